//! Payloads: GitHub's published examples, the double's, and broken ones.

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{Delivery, DeliveryContent, InstallationChange},
    entity::EntityKind,
    ids::AppId,
    job::{JobEvent, JobFacts},
};
use riscv_runner_github::{
    signature::WebhookSecrets,
    webhook::{KnownApps, WebhookError, WebhookHeaders, parse},
};
use riscv_runner_sim::doubles::github::{NewJob, PERSONAL_APP, sign};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{published::webhook_examples, setting::Setting};

fn understand(event: &str, text: &str) -> Result<Delivery, WebhookError> {
    let headers = WebhookHeaders::new(event, "guid-1", "5").unwrap();
    let apps = KnownApps::from_iter([(AppId::new(5).unwrap(), EntityKind::Organization)]);
    parse(&headers, text.as_bytes(), &apps, Timestamp::UNIX_EPOCH)
}

fn read(event: &str, payload: &Value) -> Result<Delivery, WebhookError> {
    understand(event, &payload.to_string())
}

fn job_of(delivery: &Delivery) -> (&JobFacts, Option<&JobEvent>) {
    match &delivery.content {
        DeliveryContent::Job { facts, event } => (facts, event.as_ref()),
        other @ (DeliveryContent::Ping | DeliveryContent::Installation(_) | DeliveryContent::Other) => {
            panic!("not a job: {other:?}")
        }
    }
}

fn a_job(action: &str) -> Value {
    json!({
        "action": action,
        "workflow_job": {
            "id": 9_007_199_254_740_993_i64, "run_id": 77, "labels": ["RVA23", "ubuntu-24.04-riscv"],
            "name": "build", "html_url": "https://github.com/o/r/actions/runs/77/job/1", "status": action,
            "conclusion": null, "runner_id": null, "runner_name": null,
            "created_at": "2026-11-20T10:00:00Z", "started_at": "2026-11-20T10:00:05Z",
            "completed_at": null, "steps": [{ "name": "checkout" }],
        },
        "repository": {
            "id": 3, "full_name": "o/r", "private": true,
            "owner": { "id": 2, "login": "o", "type": "Organization", "url": "https://api.github.com/users/o" },
        },
        "organization": { "id": 2, "login": "o" },
        "installation": { "id": 8 },
        "sender": { "login": "s", "id": 1, "type": "User" },
    })
}

#[test]
fn escapes_that_are_no_character_are_replaced_in_what_is_read_and_in_what_is_kept() {
    let mut payload = a_job("queued");
    payload["workflow_job"]["name"] = json!("build \0");
    payload["workflow_job"]["labels"] = json!(["riscv\0"]);
    let delivery = read("workflow_job", &payload).unwrap();
    assert_eq!(job_of(&delivery).0.name.as_deref(), Some("build \u{fffd}"));
    let kept = delivery.payload.get();
    assert!(!kept.contains("u0000") && kept.contains(r"build \ufffd"), "{kept}");
    let half = a_job("queued").to_string().replace("build", r"\ud83d \\u0000");
    let delivery = understand("workflow_job", &half).unwrap();
    assert_eq!(job_of(&delivery).0.name.as_deref(), Some("\u{fffd} \\u0000"));
    let large = a_job("queued").to_string().replacen('{', "{\"odd\":1e999999,", 1);
    let error = understand("workflow_job", &large).unwrap_err();
    assert!(matches!(error, WebhookError::Unstorable { line: 1, .. }), "{error}");
}

#[test]
fn every_published_example_is_understood_or_refused_for_a_named_reason() {
    let examples = webhook_examples();
    assert!(examples.len() > 50, "only {} events", examples.len());
    let (mut jobs, mut installations, mut pings) = (0, 0, 0);
    for (event, payloads) in &examples {
        for payload in payloads {
            let mut payload = payload.clone();
            let mut result = read(event, &payload);
            // Examples of a repository's own hook have no installation; an App's always have one.
            if let Err(WebhookError::MissingField { path }) = &result {
                assert_eq!((event.as_str(), path.as_str()), ("workflow_job", "installation"));
                payload["installation"] = json!({ "id": 8 });
                result = read(event, &payload);
            }
            let delivery = result.unwrap_or_else(|error| panic!("{event}: {error}\n{payload}"));
            match delivery.content {
                DeliveryContent::Job { .. } => jobs += 1,
                DeliveryContent::Installation(_) => installations += 1,
                DeliveryContent::Ping => pings += 1,
                DeliveryContent::Other => {}
            }
            let named = payload["action"].as_str().map(|action| format!("{event}.{action}"));
            assert_eq!(delivery.event, named.unwrap_or_else(|| event.clone()));
            assert_eq!(
                delivery.sender.map(|login| login.to_string()).as_deref(),
                payload["sender"]["login"].as_str()
            );
            check_trimmed(&payload, &serde_json::from_str(delivery.payload.get()).unwrap());
        }
    }
    assert_eq!((jobs, installations, pings), (8, 10, 4));
}

/// What is left is what was there, and only keys under the four named objects are missing.
fn check_trimmed(full: &Value, kept: &Value) {
    for (key, value) in full.as_object().unwrap() {
        match key.as_str() {
            "sender" | "repository" | "organization" | "workflow_job" if value.is_object() => {
                for (inner, kept) in kept[key].as_object().unwrap() {
                    assert!(inner == "owner" || kept == &value[inner], "{key}.{inner}");
                }
                assert_eq!(kept[key]["id"], value["id"]);
            }
            _ => assert_eq!(&kept[key], value, "{key}"),
        }
    }
    assert_eq!(full.as_object().unwrap().len(), kept.as_object().unwrap().len());
}

#[test]
fn a_queued_job_is_read_with_every_digit_of_its_id() {
    let delivery = read("workflow_job", &a_job("queued")).unwrap();
    let (facts, event) = job_of(&delivery);
    assert_eq!(facts.id.get(), 9_007_199_254_740_993);
    assert_eq!(facts.labels.originals(), ["RVA23", "ubuntu-24.04-riscv"]);
    assert_eq!((facts.repo.as_str(), facts.private, facts.repo_id.get()), ("o/r", true, 3));
    assert_eq!((facts.entity.id.get(), facts.entity.kind), (2, EntityKind::Organization));
    assert_eq!(facts.created_at, "2026-11-20T10:00:00Z".parse().unwrap());
    assert_eq!(event, Some(&JobEvent::Queued));
    assert_eq!(delivery.installation.unwrap().get(), 8);
    assert_eq!(delivery.app_kind, Some(EntityKind::Organization));
    assert_eq!(delivery.event, "workflow_job.queued");
    let kept: Value = serde_json::from_str(delivery.payload.get()).unwrap();
    assert_eq!(kept["workflow_job"]["id"], 9_007_199_254_740_993_i64);
    assert_eq!((kept["workflow_job"].get("steps"), kept["repository"]["owner"].get("url")), (None, None));
}

#[test]
fn progress_carries_runner_times_and_conclusion() {
    let mut payload = a_job("in_progress");
    payload["workflow_job"]["runner_name"] = "rise-riscv-runner-a".into();
    let delivery = read("workflow_job", &payload).unwrap();
    let (_, Some(JobEvent::InProgress(start))) = job_of(&delivery) else { panic!("not in progress") };
    assert_eq!(start.runner.as_ref().unwrap().as_str(), "rise-riscv-runner-a");
    assert_eq!(start.at, "2026-11-20T10:00:05Z".parse().unwrap());
    payload["action"] = "completed".into();
    payload["workflow_job"]["conclusion"] = "failure".into();
    payload["workflow_job"]["completed_at"] = "2026-11-20T11:00:00Z".into();
    let delivery = read("workflow_job", &payload).unwrap();
    let (_, Some(JobEvent::Completed { end, start: Some(_) })) = job_of(&delivery) else {
        panic!("not over")
    };
    assert_eq!(end.conclusion.as_deref(), Some("failure"));
    assert_eq!(end.at, "2026-11-20T11:00:00Z".parse().unwrap());
}

#[test]
fn a_job_cancelled_in_the_queue_never_started() {
    let mut payload = a_job("completed");
    for runner in [Value::Null, "".into()] {
        payload["workflow_job"]["runner_name"] = runner;
        let delivery = read("workflow_job", &payload).unwrap();
        let (_, Some(JobEvent::Completed { start, .. })) = job_of(&delivery) else { panic!("not over") };
        assert_eq!(*start, None);
    }
}

#[test]
fn waiting_and_actions_of_the_future_do_not_move_the_job() {
    for action in ["waiting", "teleported"] {
        assert_eq!(job_of(&read("workflow_job", &a_job(action)).unwrap()).1, None);
    }
}

#[test]
fn each_missing_or_wrong_field_is_named_by_its_path() {
    for path in [
        "action",
        "workflow_job",
        "workflow_job.id",
        "workflow_job.run_id",
        "workflow_job.labels",
        "repository",
        "repository.id",
        "repository.full_name",
        "repository.private",
        "repository.owner",
        "repository.owner.id",
        "repository.owner.login",
        "installation",
        "installation.id",
    ] {
        let (parent, key) = path
            .rsplit_once('.')
            .map_or((String::new(), path), |(parent, key)| (format!("/{}", parent.replace('.', "/")), key));
        let mut missing = a_job("queued");
        missing.pointer_mut(&parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        let error = read("workflow_job", &missing).unwrap_err();
        assert_eq!(error, WebhookError::MissingField { path: path.into() });
        let mut wrong = a_job("queued");
        wrong.pointer_mut(&parent).unwrap()[key] = json!(1.5);
        let error = read("workflow_job", &wrong).unwrap_err();
        assert!(matches!(&error, WebhookError::BadField { path: at, .. } if at == path), "{path}: {error}");
    }
}

#[test]
fn a_null_where_an_object_was_expected_is_recorded_and_nothing_else() {
    for key in ["workflow_job", "repository", "installation"] {
        let mut payload = a_job("queued");
        payload[key] = Value::Null;
        let delivery = read("workflow_job", &payload).unwrap();
        assert!(matches!(delivery.content, DeliveryContent::Other), "{key}");
    }
    let delivery = read("installation", &json!({ "action": "created", "installation": null })).unwrap();
    assert!(matches!(delivery.content, DeliveryContent::Other));
    let mut without_labels = a_job("completed");
    without_labels["workflow_job"]["labels"] = json!([]);
    let delivery = read("workflow_job", &without_labels).unwrap();
    assert!(matches!(delivery.content, DeliveryContent::Other), "a job skipped before it was queued");
}

#[test]
fn what_is_not_json_is_located() {
    let error = understand("workflow_job", "{\n \"action\": queued }").unwrap_err();
    assert!(matches!(error, WebhookError::Json { line: 2, column: 12.., .. }), "{error}");
    assert!(error.to_string().contains("line 2 column"), "{error}");
    for text in ["", "{\"action\":\"queued\"", "{} {}"] {
        assert!(matches!(understand("workflow_job", text), Err(WebhookError::Json { .. })), "{text}");
    }
    let headers = WebhookHeaders::new("ping", "g", "5").unwrap();
    let error =
        parse(&headers, b"{\"a\":\"\xff\"}", &KnownApps::default(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!(error, WebhookError::Utf8 { valid_up_to: 6 });
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!("{{\"action\":\"x\",\"novelty\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    for event in ["workflow_job", "push", "installation"] {
        // Whatever the answer is, it is an answer.
        let _ = understand(event, &deep);
    }
    // A database would refuse it, and GitHub deliver it again.
    assert!(matches!(understand("push", &deep), Err(WebhookError::Unstorable { .. })));
}

#[test]
fn an_app_that_is_not_ours_is_known_as_such() {
    let headers = WebhookHeaders::new("workflow_job", "g", "6").unwrap();
    let apps = KnownApps::from_iter([(AppId::new(5).unwrap(), EntityKind::Organization)]);
    let text = a_job("queued").to_string();
    let delivery = parse(&headers, text.as_bytes(), &apps, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((delivery.app.get(), delivery.app_kind), (6, None));
}

#[test]
fn the_owners_type_decides_and_an_organization_beside_it_fills_the_gap() {
    let mut payload = a_job("queued");
    payload["repository"]["owner"]["type"] = "User".into();
    let delivery = read("workflow_job", &payload).unwrap();
    assert_eq!(job_of(&delivery).0.entity.kind, EntityKind::User);
    payload["repository"]["owner"].as_object_mut().unwrap().remove("type");
    let delivery = read("workflow_job", &payload).unwrap();
    assert_eq!(job_of(&delivery).0.entity.kind, EntityKind::Organization);
    payload["repository"]["owner"]["type"] = "Enterprise".into();
    assert!(matches!(read("workflow_job", &payload).unwrap().content, DeliveryContent::Other));
}

#[test]
fn installations_come_go_and_change() {
    let payload = |action: &str| {
        json!({
            "action": action,
            "installation": { "id": 8, "account": { "id": 2, "login": "o", "type": "User" } },
            "sender": { "login": "s" },
        })
    };
    for (event, action, expected) in [
        ("installation", "created", InstallationChange::Returned),
        ("installation", "unsuspend", InstallationChange::Returned),
        ("installation", "deleted", InstallationChange::Gone),
        ("installation", "suspend", InstallationChange::Suspended),
        ("installation", "new_permissions_accepted", InstallationChange::Changed),
        ("installation_repositories", "added", InstallationChange::Changed),
        ("installation_target", "renamed", InstallationChange::Changed),
    ] {
        let delivery = read(event, &payload(action)).unwrap();
        assert!(matches!(delivery.content, DeliveryContent::Installation(change) if change == expected));
        assert_eq!(delivery.entity.unwrap().kind, EntityKind::User);
        assert_eq!(delivery.installation.unwrap().get(), 8);
    }
    let error = read("installation", &json!({ "action": "created" })).unwrap_err();
    assert_eq!(error, WebhookError::MissingField { path: "installation".into() });
}

#[test]
fn a_renamed_account_stands_beside_its_installation() {
    let payload = json!({
        "action": "renamed", "target_type": "Organization", "installation": { "id": 8 },
        "account": { "id": 2, "login": "new-name" }, "changes": { "login": { "from": "old-name" } },
    });
    let delivery = read("installation_target", &payload).unwrap();
    let entity = delivery.entity.unwrap();
    assert_eq!((entity.login.as_str(), entity.kind), ("new-name", EntityKind::Organization));
}

#[test]
fn unknown_events_and_odd_identities_never_fail() {
    for payload in [
        json!({}),
        json!({ "action": 5, "sender": null, "repository": "x", "installation": { "id": "eight" } }),
        json!({ "installation": { "id": 8, "account": { "slug": "an-enterprise", "id": 1 } } }),
    ] {
        assert!(matches!(read("novelty", &payload).unwrap().content, DeliveryContent::Other));
    }
    assert!(matches!(read("ping", &json!({ "zen": "." })).unwrap().content, DeliveryContent::Ping));
}

#[tokio::test]
async fn what_the_double_signs_is_believed_and_understood() {
    let t = Setting::new().await;
    let id = t.double.queue(&NewJob::new("ada/engine", &["ubuntu-24.04-riscv"]));
    let webhook = t.double.webhook(id, "queued").unwrap();
    let map = webhook
        .headers("hush")
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let map: http::HeaderMap = map.collect();
    let secrets = WebhookSecrets::new(&[SecretString::from("hush")]).unwrap();
    let signature =
        map.get(riscv_runner_github::signature::SIGNATURE_HEADER).map(http::HeaderValue::as_bytes);
    secrets.verify(signature, webhook.body.as_bytes()).unwrap();
    assert_eq!(signature.unwrap(), sign("hush", webhook.body.as_bytes()).as_bytes());
    let apps = KnownApps::from_iter([(AppId::new(PERSONAL_APP).unwrap(), EntityKind::User)]);
    let headers = WebhookHeaders::from_map(&map).unwrap();
    let delivery = parse(&headers, webhook.body.as_bytes(), &apps, Timestamp::UNIX_EPOCH).unwrap();
    let (facts, event) = job_of(&delivery);
    assert_eq!((facts.id.get(), event), (id, Some(&JobEvent::Queued)));
    assert_eq!(facts.scope_ref(), t.person);
}
