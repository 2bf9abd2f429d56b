//! Bodies of webhooks.

use jiff::Timestamp;
use riscv_runner_core::{delivery::DeliveryContent, entity::EntityKind, ids::AppId};
use riscv_runner_github::webhook::{KnownApps, WebhookHeaders, parse};
use serde_json::Value;

/// The kinds of payload that are read in different ways.
const EVENTS: [&str; 6] =
    ["workflow_job", "installation", "installation_repositories", "installation_target", "ping", "push"];

/// A body that is understood keeps its meaning when it is trimmed for the log, and its job's id
/// keeps every digit.
pub fn webhook_body(body: &[u8]) {
    let apps: KnownApps = AppId::new(5).map(|app| (app, EntityKind::Organization)).into_iter().collect();
    for event in EVENTS {
        let headers = WebhookHeaders::new(event, "guid", "5").expect("the headers are fixed");
        let read = |body: &[u8]| parse(&headers, body, &apps, Timestamp::UNIX_EPOCH);
        let Ok(delivery) = read(body) else { continue };
        let again = match read(delivery.payload.get().as_bytes()) {
            Ok(again) => again,
            Err(error) => panic!("{event}: what was trimmed is not understood: {error}"),
        };
        assert_eq!(format!("{:?}", delivery.content), format!("{:?}", again.content), "{event}");
        assert_eq!(delivery.payload.get(), again.payload.get(), "{event}: trimming again trims more");
        assert_eq!(delivery.entity, again.entity, "{event}");
        if let DeliveryContent::Job { facts, .. } = &delivery.content {
            let tree: Value = serde_json::from_slice(body).expect("an understood body is JSON");
            assert_eq!(tree["workflow_job"]["id"].as_i64(), Some(facts.id.get()));
        }
    }
}
