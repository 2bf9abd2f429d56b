//! GitHub's own log of deliveries, and asking for another attempt.

use std::time::Duration;

use riscv_runner_core::{
    entity::EntityKind,
    ports::{Forge as _, Platform as _, PortErrorKind},
};
use riscv_runner_sim::doubles::github::NewJob;

use crate::setting::Setting;

#[tokio::test]
async fn the_log_is_read_newest_first_back_to_the_time_and_no_further() {
    let t = Setting::with(|config| config.page_limit = 2, |_| {}).await;
    let job = t.double.queue(&NewJob::new("Acme/widget", &["a"]));
    let mut guids = Vec::new();
    for _ in 0..9 {
        let webhook = t.double.webhook(job, "queued").unwrap();
        t.double.lose(&webhook);
        guids.push(webhook.guid);
        t.clock.advance(Duration::from_secs(60));
    }
    let since = t.clock.now().checked_sub(Duration::from_secs(240)).unwrap();
    let listed = t.forge.hook_deliveries(EntityKind::Organization, since).await.unwrap();
    let found: Vec<_> = listed.iter().map(|delivery| delivery.guid.as_str()).collect();
    let expected: Vec<_> = guids.iter().rev().take(4).map(String::as_str).collect();
    assert_eq!(found, expected);
    assert!(listed.iter().all(|delivery| !delivery.delivered() && delivery.event == "workflow_job"));
    assert_eq!(t.double.count("GET /app/hook/deliveries"), 3);
    assert_eq!(t.forge.hook_deliveries(EntityKind::User, since).await.unwrap(), []);
    t.assert_lawful();
}

#[tokio::test]
async fn nothing_was_sent_to_an_app_that_there_is_not() {
    let t =
        Setting::with(|_| {}, |config| config.apps.retain(|app| app.kind == EntityKind::Organization)).await;
    let since = t.clock.now();
    assert_eq!(t.forge.hook_deliveries(EntityKind::User, since).await.unwrap(), []);
    assert_eq!(t.double.count("GET /app/hook/deliveries"), 0);
    assert_eq!(t.forge.hook_deliveries(EntityKind::Organization, since).await.unwrap(), []);
    t.assert_lawful();
}

#[tokio::test]
async fn a_lost_delivery_is_asked_for_again() {
    let t = Setting::new().await;
    let job = t.double.queue(&NewJob::new("Acme/widget", &["a"]));
    let webhook = t.double.webhook(job, "queued").unwrap();
    t.double.lose(&webhook);
    let since = t.clock.now();
    let lost = t.forge.hook_deliveries(EntityKind::Organization, since).await.unwrap().remove(0);
    t.forge.redeliver(&t.proof(), EntityKind::Organization, lost.id).await.unwrap();
    let attempts = tokio::time::timeout(Duration::from_secs(10), async {
        while t.double.deliveries().len() < 2 {
            tokio::task::yield_now().await;
        }
        t.double.deliveries()
    });
    let attempts = attempts.await.unwrap();
    assert_eq!(attempts[1].1, webhook.guid, "the GUID stays the same");
    let error = t.forge.redeliver(&t.proof(), EntityKind::User, lost.id).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::NotFound, "of the other App");
    let error = t.forge.redeliver(&t.ended_proof(), EntityKind::Organization, lost.id).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::NotLeader);
    t.assert_lawful();
}
