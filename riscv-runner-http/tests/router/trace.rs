//! `/trace/*`: who may read, what lists hold, pages, and the diagnosis beside them.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use riscv_runner_core::entity::EntityKind;
use riscv_runner_github::webhook::KnownApps;
use riscv_runner_http::{AppState, IntakeLimits, Role, router_for};
use riscv_runner_sim::{
    chance::Stream,
    clock::{SimClock, SimPlatform},
    store::MemoryStore,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    payloads::{Job, signed},
    serving::{Answer, ORG_APP, Serving, TOKEN, policy, send},
};

const PATHS: [&str; 4] = ["/trace/entity/500", "/trace/installation/60", "/trace/job/1", "/trace/payload/1"];

fn serving() -> Serving {
    let apps = KnownApps::from_iter([(ORG_APP.try_into().unwrap(), EntityKind::Organization)]);
    Serving::tracing(&apps)
}

/// An installation with one repository, and its account.
fn installation(action: &str) -> Value {
    json!({
        "action": action,
        "installation": {
            "id": 60, "app_id": ORG_APP, "repository_selection": "selected", "target_type": "Organization",
            "account": { "id": 500, "login": "acme", "type": "Organization" },
        },
        "repositories": [{ "id": 50, "full_name": "acme/widgets" }],
        "sender": { "id": 70, "login": "alice", "type": "User" },
    })
}

async fn deliver(serving: &Serving, event: &str, guid: &str, payload: &Value) {
    let answer = serving.send(signed(event, guid, payload.to_string())).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

/// Installed, then three jobs, then uninstalled; a second apart.
async fn story() -> Serving {
    let serving = serving();
    let mut deliveries = vec![("installation", "made", installation("created"))];
    let jobs: Vec<_> = (1..=3).map(|id| Job { id, ..Job::default() }.payload()).collect();
    for (guid, job) in ["one", "two", "three"].into_iter().zip(jobs) {
        deliveries.push(("workflow_job", guid, job));
    }
    deliveries.push(("installation", "gone", installation("deleted")));
    for (event, guid, payload) in deliveries {
        deliver(&serving, event, guid, &payload).await;
        serving.clock.advance_to(serving.clock.at(std::time::Duration::from_secs(1)));
    }
    serving
}

async fn read(serving: &Serving, path: &str) -> Value {
    let answer = serving.get_as_reader(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

fn guids(report: &Value) -> Vec<&str> {
    report["events"].as_array().unwrap().iter().map(|row| row["delivery_guid"].as_str().unwrap()).collect()
}

async fn with_authorization(serving: &Serving, path: &str, value: &str) -> Answer {
    let request = Request::get(path).header("authorization", value).body(Body::empty());
    serving.send(request.unwrap()).await
}

#[tokio::test]
async fn nobody_but_the_holder_of_the_token_learns_anything() {
    let serving = story().await;
    let close = format!("{TOKEN}x");
    let wrong = [
        String::new(),
        TOKEN.to_owned(),
        format!("Bearer {close}"),
        format!("Bearer {}", &TOKEN[1..]),
        format!("Basic {TOKEN}"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
    ];
    for path in PATHS.iter().chain(&["/trace/entity/none", "/trace/payload/404", "/trace/job/0?at=x"]) {
        let mut answers = vec![serving.get(path).await];
        for value in &wrong {
            answers.push(with_authorization(&serving, path, value).await);
        }
        for answer in answers {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(answer.text, r#"{"error":"unauthorized"}"#, "without detail");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    let answer = with_authorization(&serving, PATHS[0], &format!("bearer {TOKEN}")).await;
    assert_eq!(answer.status, StatusCode::OK, "the scheme is a word in any case");
}

#[tokio::test]
async fn without_a_token_the_routes_are_not_there() {
    let serving = Serving::with(Role::All, IntakeLimits::default(), |builder| builder);
    for path in PATHS {
        assert_eq!(serving.get_as_reader(path).await.status, StatusCode::NOT_FOUND, "no log is given");
    }
    let platform = Arc::new(SimPlatform::new(SimClock::default(), Stream::new(1, "http")));
    let store = Arc::new(MemoryStore::new(platform.clone()));
    let (policy, controls) = (watch::Sender::new(Arc::new(policy())), watch::Sender::new(Arc::default()));
    let state =
        AppState::builder(store.clone(), store.clone(), platform, policy.subscribe(), controls.subscribe())
            .trace(store, &KnownApps::default())
            .build();
    for path in PATHS {
        let request = Request::get(path).header("authorization", "Bearer ").body(Body::empty()).unwrap();
        let answer = send(&router_for(Role::All, state.clone()), request).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text.contains("no such page"), "as any other: {}", answer.text);
    }
}

#[tokio::test]
async fn a_trace_lists_rows_without_payloads_and_says_what_is_the_matter() {
    let serving = story().await;
    let report = read(&serving, "/trace/entity/500").await;
    assert_eq!(guids(&report), ["gone", "three", "two", "one", "made"]);
    let row = &report["events"][1];
    let expected = json!({
        "id": 4,
        "source": "webhook",
        "event": "workflow_job.queued",
        "outcome": "job_stored",
        "installation_id": 60,
        "app_id": ORG_APP,
        "entity_type": "Organization",
        "entity_id": 500,
        "entity_name": "acme",
        "job_id": 3,
        "repo_full_name": "acme/widgets",
        "delivery_guid": "three",
        "received_at": row["received_at"],
    });
    assert_eq!(row, &expected);
    assert_eq!(report["diagnoses"][0]["diagnosis"], "uninstalled");
    assert_eq!(report["diagnoses"][0]["evidence"], json!([5]));
    assert_eq!(report["evidence"][0]["delivery_guid"], "gone");
    assert_eq!(report["total_count"], 5);

    let at = report["events"][1]["received_at"].as_str().unwrap();
    let before = read(&serving, &format!("/trace/entity/500?at={at}")).await;
    assert_eq!(guids(&before), ["three", "two", "one", "made"]);
    assert_eq!(before["diagnoses"][0]["diagnosis"], "healthy");
    let other = read(&serving, &format!("/trace/installation/60?at={at}&repo=acme/other")).await;
    assert_eq!(other["diagnoses"][0]["diagnosis"], "repository_not_selected");
    assert_eq!(guids(&other), ["three", "two", "one", "made"]);

    assert_eq!(guids(&read(&serving, "/trace/entity/ACME").await), guids(&report), "by its login");
    let stranger = serving.get_as_reader("/trace/entity/stranger").await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
    assert!(stranger.text.contains("no account named stranger"), "{}", stranger.text);
    let of_job = read(&serving, "/trace/job/2").await;
    assert_eq!(guids(&of_job), ["two"]);
    assert_eq!(of_job["diagnoses"][0]["diagnosis"], "uninstalled");
    assert_eq!(of_job["job"]["facts"]["id"], 2);
    let nobody = read(&serving, "/trace/entity/404").await;
    assert_eq!((guids(&nobody), &nobody["diagnoses"][0]["diagnosis"]), (vec![], &json!("nothing_known")));
}

#[tokio::test]
async fn pages_of_a_trace_are_linked() {
    let serving = story().await;
    let answer = serving.get_as_reader("/trace/entity/500?per_page=2&page=1&at=2027-12-01T00:00:00Z").await;
    assert_eq!(guids(&answer.json()), [""; 0], "the window counts back from the time asked for");
    let answer = serving.get_as_reader("/trace/entity/500?per_page=2&page=1").await;
    assert_eq!(guids(&answer.json()), ["two", "one"]);
    let link = answer.header("link");
    assert!(link.contains("</trace/entity/500?page=2&per_page=2>; rel=\"next\""), "{link}");
    for (query, parameter) in [
        ("page=x", "page"),
        ("per_page=1001", "per_page"),
        ("start=x", "start"),
        ("at=x", "at"),
        ("repo=x", "repo"),
    ] {
        let answer = serving.get_as_reader(&format!("/trace/job/1?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.json()["parameter"], parameter);
    }
    for path in ["/trace/entity/%07", "/trace/installation/0", "/trace/job/1.5", "/trace/payload/-1"] {
        assert_eq!(serving.get_as_reader(path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn a_payload_is_read_by_its_row() {
    let serving = story().await;
    let row = read(&serving, "/trace/payload/1").await;
    assert_eq!(row["delivery_guid"], "made");
    assert_eq!(row["payload"]["installation"]["repository_selection"], "selected");
    assert_eq!(serving.get_as_reader("/trace/payload/99").await.status, StatusCode::NOT_FOUND);
}
