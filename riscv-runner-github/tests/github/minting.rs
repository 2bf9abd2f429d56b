//! Registering runners: groups, names, refusals, answers that are lost.

use riscv_runner_core::ports::{Forge as _, MintError};
use riscv_runner_sim::doubles::github::{Effect, Fault};
use secrecy::ExposeSecret as _;
use std::time::Duration;

use crate::setting::{CREATE_GROUP, GROUPS, ORG_JIT, REPO_JIT, Setting};

fn refuse(status: u16, message: &str) -> Effect {
    Effect::Refuse { status, message: message.into(), headers: Vec::new() }
}

#[tokio::test]
async fn an_organizations_runner_joins_our_group_with_labels_as_they_were_written() {
    let t = Setting::new().await;
    let minted = t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    assert!(!minted.jit.expose_secret().is_empty());
    let runner = t.double.runner("rise-riscv-runner-a").unwrap();
    assert_eq!(runner.id, minted.runner.get());
    assert_eq!(runner.scope, "orgs/acme");
    assert_eq!(runner.labels, ["RVA23", "ubuntu-24.04-riscv"]);
    assert_eq!(t.double.groups("Acme"), ["Default", "RISE RISC-V Runners"]);
    let created = t.double.requests().into_iter().find(|request| request.template == CREATE_GROUP).unwrap();
    let expected = serde_json::json!({
        "name": "RISE RISC-V Runners", "visibility": "all", "allows_public_repositories": true,
    });
    assert_eq!(created.body, Some(expected));
    t.assert_lawful();
}

#[tokio::test]
async fn a_persons_runner_is_registered_on_the_repository_in_group_one() {
    let t = Setting::new().await;
    t.mint(&t.person, "rise-riscv-runner-b").await.unwrap();
    let runner = t.double.runner("rise-riscv-runner-b").unwrap();
    assert_eq!((runner.scope.as_str(), runner.group), ("repos/ada/engine", 1));
    let body = t.double.requests().pop().unwrap().body.unwrap();
    assert_eq!(body["work_folder"], "_work");
    assert_eq!(t.double.count(GROUPS), 0);
    t.assert_lawful();
}

#[tokio::test]
async fn the_group_is_found_on_a_later_page_and_remembered() {
    let t = Setting::with(|config| config.page_limit = 2, |_| {}).await;
    for n in 0..4 {
        t.double.add_group("Acme", &format!("group {n}"));
    }
    let ours = t.double.add_group("Acme", "RISE RISC-V Runners");
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    t.mint(&t.org, "rise-riscv-runner-b").await.unwrap();
    assert_eq!(t.double.runner("rise-riscv-runner-b").unwrap().group, ours);
    assert_eq!(t.double.count(GROUPS), 3, "three pages, once");
    assert_eq!(t.double.count(CREATE_GROUP), 0);
    t.assert_lawful();
}

#[tokio::test]
async fn many_at_once_make_one_group_and_ask_for_one_token() {
    let t = Setting::new().await;
    let names: Vec<_> = (0..20).map(|n| format!("rise-riscv-runner-{n}")).collect();
    let results = futures::future::join_all(names.iter().map(|name| t.mint(&t.org, name))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(t.double.count(CREATE_GROUP), 1);
    assert_eq!(t.double.count(crate::setting::TOKEN), 1);
    assert_eq!(t.double.runners().len(), 20);
    t.assert_lawful();
}

#[tokio::test]
async fn a_group_that_another_replica_made_meanwhile_is_used() {
    let t = Setting::new().await;
    let empty = Fault::on(CREATE_GROUP, refuse(409, "A runner group with this name already exists")).times(1);
    t.double.inject(empty);
    // The first look finds nothing; between it and the refusal the group appears.
    t.double.inject(Fault::on(GROUPS, Effect::Slow(Duration::ZERO)).times(1));
    let error = t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
    assert!(matches!(error, MintError::Rejected { status: 409, .. }), "{error:?}: it is not there after all");
    let group = t.double.add_group("Acme", "RISE RISC-V Runners");
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    assert_eq!(t.double.runner("rise-riscv-runner-a").unwrap().group, group);
}

#[tokio::test]
async fn a_plan_without_groups_falls_back_to_the_default_group() {
    let t = Setting::new().await;
    t.double.set_custom_groups("Acme", false);
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    t.mint(&t.org, "rise-riscv-runner-b").await.unwrap();
    assert_eq!(t.double.runner("rise-riscv-runner-b").unwrap().group, 1);
    assert_eq!(t.double.count(CREATE_GROUP), 1, "not asked again");
}

#[tokio::test]
async fn a_group_that_was_deleted_is_made_again() {
    let t = Setting::new().await;
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    let group = t.double.runner("rise-riscv-runner-a").unwrap().group;
    t.double.remove_group("Acme", group);
    t.mint(&t.org, "rise-riscv-runner-b").await.unwrap();
    assert_ne!(t.double.runner("rise-riscv-runner-b").unwrap().group, group);
    t.assert_lawful();
}

#[tokio::test]
async fn a_taken_name_is_told() {
    let t = Setting::new().await;
    t.mint(&t.person, "rise-riscv-runner-a").await.unwrap();
    let error = t.mint(&t.person, "rise-riscv-runner-a").await.unwrap_err();
    assert!(matches!(error, MintError::NameTaken), "{error:?}");
}

#[tokio::test]
async fn disabled_runners_are_not_asked_for_again_for_ten_minutes() {
    let t = Setting::new().await;
    t.double.set_runners_disabled("Acme", true);
    for _ in 0..3 {
        let error = t.mint(&t.org, "rise-riscv-runner-a").await.unwrap_err();
        assert!(matches!(error, MintError::SelfHostedDisabled), "{error:?}");
    }
    assert_eq!(t.double.count(ORG_JIT), 1);
    let (until, status) = t.forge.health(t.org.installation).minting_refused.unwrap();
    assert_eq!(status, 403);
    t.double.set_runners_disabled("Acme", false);
    t.clock.advance(Duration::from_secs(600));
    assert!(until.as_second() <= riscv_runner_core::ports::Platform::now(&t.clock).as_second());
    t.mint(&t.org, "rise-riscv-runner-a").await.unwrap();
    assert_eq!(t.forge.health(t.org.installation).minting_refused, None);
}

#[tokio::test]
async fn one_disabled_repository_does_not_hold_back_the_account() {
    let t = Setting::new().await;
    t.double.set_runners_disabled("ada/engine", true);
    for _ in 0..2 {
        let error = t.mint(&t.person, "rise-riscv-runner-a").await.unwrap_err();
        assert!(matches!(error, MintError::SelfHostedDisabled), "{error:?}");
    }
    assert_eq!(t.double.count(REPO_JIT), 1);
    assert_eq!(t.forge.health(t.person.installation).minting_refused, None);
}

#[tokio::test]
async fn bursts_of_bad_gateways_are_tried_through() {
    for status in [502, 503] {
        let t = Setting::new().await;
        t.double.inject(Fault::status(REPO_JIT, status).times(2));
        t.mint(&t.person, "rise-riscv-runner-a").await.unwrap();
        assert_eq!(t.double.count(REPO_JIT), 3);
    }
}

#[tokio::test]
async fn trying_ends_and_the_outcome_is_unclear() {
    let t = Setting::new().await;
    t.double.inject(Fault::status(REPO_JIT, 503));
    let error = t.mint(&t.person, "rise-riscv-runner-a").await.unwrap_err();
    assert!(matches!(error, MintError::Unclear(_)), "{error:?}");
    assert_eq!(t.double.count(REPO_JIT), 3);
}

#[tokio::test]
async fn a_name_taken_by_our_own_lost_try_is_unclear_and_not_taken() {
    let t = Setting::new().await;
    t.double.inject(Fault::on(REPO_JIT, Effect::DoneButReports(502)).times(1));
    let error = t.mint(&t.person, "rise-riscv-runner-a").await.unwrap_err();
    assert!(matches!(error, MintError::Unclear(_)), "{error:?}");
    assert_eq!(t.double.runners().len(), 1);
}

#[tokio::test]
async fn lost_answers_and_server_errors_are_unclear_and_not_repeated() {
    for effect in [Effect::DoneButLost, Effect::Lost, Effect::DoneButReports(500), refuse(504, "")] {
        let t = Setting::new().await;
        t.double.inject(Fault::on(REPO_JIT, effect.clone()));
        let error = t.mint(&t.person, "rise-riscv-runner-a").await.unwrap_err();
        assert!(matches!(error, MintError::Unclear(_)), "{effect:?}: {error:?}");
        assert_eq!(t.double.count(REPO_JIT), 1, "{effect:?}");
    }
}

#[tokio::test]
async fn a_slow_github_ends_in_a_time_out() {
    let t = Setting::with(|_| {}, |config| config.request_timeout = Duration::from_millis(200)).await;
    t.double.inject(Fault::on(REPO_JIT, Effect::Slow(Duration::from_secs(60))));
    let error = t.mint(&t.person, "rise-riscv-runner-a").await.unwrap_err();
    assert!(matches!(error, MintError::Unclear(_)), "{error:?}");
}

#[tokio::test]
async fn other_refusals_carry_status_and_message() {
    let t = Setting::new().await;
    t.double.inject(Fault::on(REPO_JIT, refuse(422, "too many runners in this group")));
    let error = t.mint(&t.person, "rise-riscv-runner-a").await.unwrap_err();
    let MintError::Rejected { status: 422, source } = error else { panic!("{error:?}") };
    assert!(source.chain().contains("too many runners in this group"), "{}", source.chain());
}

#[tokio::test]
async fn who_does_not_lead_registers_and_deletes_nothing() {
    let t = Setting::new().await;
    let id = t.mint(&t.person, "rise-riscv-runner-a").await.unwrap().runner;
    let before = t.double.requests().len();
    let request = crate::setting::request(&t.org, "rise-riscv-runner-b");
    let error = t.forge.mint(&t.ended_proof(), &request).await.unwrap_err();
    assert!(matches!(error, MintError::NotLeader), "{error:?}");
    let error = t.forge.delete_runner(&t.ended_proof(), &t.person, id).await.unwrap_err();
    assert_eq!(error.kind(), riscv_runner_core::ports::PortErrorKind::NotLeader);
    assert_eq!(t.double.requests().len(), before);
}
