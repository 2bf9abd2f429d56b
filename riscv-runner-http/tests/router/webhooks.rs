//! Every row of the contract for `POST /`: the status, a body that names the fault, what is stored.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Request, StatusCode};
use riscv_runner_core::{delivery::Outcome, job::JobPhase};
use riscv_runner_http::{IntakeLimits, Role};
use serde_json::{Value, json};

use crate::{
    broken::Broken,
    payloads::{Job, signature, signed},
    serving::{BANNED_ENTITY, SECRET, Serving, Stores},
};

/// Sends the request to a router that must refuse it with this status, naming this field, and store
/// nothing.
async fn refused(request: Request<Body>, status: StatusCode, field: &str) -> Value {
    let serving = Serving::new();
    let answer = serving.send(request).await;
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body["field"].as_str().unwrap_or_default(), field, "{body}");
    assert!(!body["error"].as_str().unwrap().is_empty(), "{body}");
    assert!(serving.stored_nothing());
    body
}

/// Sends the request to a router that must acknowledge it with this outcome, and log it once.
async fn acknowledged(request: Request<Body>, outcome: &str) -> Serving {
    let serving = Serving::new();
    let answer = serving.send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json(), json!({ "outcome": outcome }));
    let log = serving.store.log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].outcome.as_str(), outcome);
    serving
}

fn without(mut request: Request<Body>, header: &str) -> Request<Body> {
    request.headers_mut().remove(header).unwrap();
    request
}

fn with_payload(change: impl FnOnce(&mut Value)) -> Request<Body> {
    let mut payload = Job::default().payload();
    change(&mut payload);
    signed("workflow_job", "g1", payload.to_string())
}

#[tokio::test]
async fn a_queued_job_is_stored_with_its_id_to_the_last_digit() {
    let serving = acknowledged(Job::default().request("g1"), "job_stored").await;
    let jobs = serving.store.all_jobs();
    assert_eq!(jobs[0].job.facts.id.get(), 9_007_199_254_740_993);
    assert_eq!(jobs[0].job.state.phase, JobPhase::Pending);
}

#[tokio::test]
async fn a_job_is_followed_to_its_end() {
    let serving = Serving::new();
    let mut job = Job::default();
    for (guid, action, runner, outcome) in [
        ("g1", "queued", None, "job_stored"),
        ("g2", "in_progress", Some("rr-abc"), "job_marked_running"),
        ("g3", "completed", Some("rr-abc"), "job_marked_completed"),
    ] {
        (job.action, job.runner) = (action, runner);
        assert_eq!(serving.send(job.request(guid)).await.json(), json!({ "outcome": outcome }));
    }
    assert_eq!(serving.store.all_jobs()[0].job.state.phase, JobPhase::Completed);
}

#[tokio::test]
async fn without_a_signature_nothing_is_believed() {
    let request = without(Job::default().request("g1"), "x-hub-signature-256");
    refused(request, StatusCode::UNAUTHORIZED, "").await;
}

#[tokio::test]
async fn a_signature_of_another_secret_or_another_body_does_not_hold() {
    let body = Job::default().payload().to_string();
    for signature in [
        signature("guessed", body.as_bytes()),
        signature(SECRET, b"another body"),
        "sha256=00".to_owned(),
        signature(SECRET, body.as_bytes()).replace("sha256=", "sha1="),
    ] {
        let mut request = signed("workflow_job", "g1", body.clone());
        request.headers_mut().insert("x-hub-signature-256", signature.parse().unwrap());
        let body = refused(request, StatusCode::UNAUTHORIZED, "").await;
        assert_eq!(body, json!({ "error": "the signature is invalid" }), "no detail for a guesser");
    }
}

#[tokio::test]
async fn the_signature_is_checked_before_anything_is_read() {
    let request = Request::post("/").body(Body::from("{ not json")).unwrap();
    refused(request, StatusCode::UNAUTHORIZED, "").await;
}

#[tokio::test]
async fn an_older_secret_is_valid_during_a_rotation() {
    let body = Job::default().payload().to_string();
    let mut request = signed("workflow_job", "g1", body.clone());
    let older = signature("older-secret", body.as_bytes());
    request.headers_mut().insert("x-hub-signature-256", older.parse().unwrap());
    acknowledged(request, "job_stored").await;
}

#[tokio::test]
async fn a_missing_header_is_named() {
    for header in ["X-GitHub-Event", "X-GitHub-Delivery", "X-GitHub-Hook-Installation-Target-ID"] {
        let request = without(Job::default().request("g1"), header);
        refused(request, StatusCode::BAD_REQUEST, header).await;
    }
}

#[tokio::test]
async fn a_target_that_is_not_a_number_is_named() {
    let mut request = Job::default().request("g1");
    request.headers_mut().insert("x-github-hook-installation-target-id", "eleven".parse().unwrap());
    refused(request, StatusCode::BAD_REQUEST, "X-GitHub-Hook-Installation-Target-ID").await;
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_with_what_to_do() {
    for body in [&b"payload=%7B%7D"[..], b"{", b"", b"\xff\xfe", b"[1,"] {
        let body = refused(signed("workflow_job", "g1", body), StatusCode::BAD_REQUEST, "body").await;
        assert!(body["hint"].as_str().unwrap().contains("application/json"), "{body}");
    }
}

#[tokio::test]
async fn a_missing_or_odd_field_is_named_by_its_path() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 6] = [
        (|payload| drop(payload["workflow_job"].as_object_mut().unwrap().remove("id")), "workflow_job.id"),
        (|payload| payload["workflow_job"]["id"] = json!(1.5), "workflow_job.id"),
        (|payload| payload["workflow_job"]["labels"] = json!("riscv"), "workflow_job.labels"),
        (|payload| payload["repository"]["full_name"] = json!(7), "repository.full_name"),
        (|payload| drop(payload.as_object_mut().unwrap().remove("action")), "action"),
        (|payload| drop(payload.as_object_mut().unwrap().remove("workflow_job")), "workflow_job"),
    ];
    for (change, field) in cases {
        refused(with_payload(change), StatusCode::BAD_REQUEST, field).await;
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let body = Job::default().payload().to_string();
    let limits = |body| IntakeLimits { body, ..IntakeLimits::default() };
    let serving = Serving::with(Role::All, limits(body.len()), |builder| builder);
    assert_eq!(serving.send(signed("workflow_job", "g1", body.clone())).await.status, StatusCode::OK);

    let serving = Serving::with(Role::All, limits(body.len() - 1), |builder| builder);
    let answer = serving.send(signed("workflow_job", "g1", body.clone())).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.json()["field"], "body");
    assert!(serving.stored_nothing());
}

#[tokio::test]
async fn the_default_limit_is_25_mebibytes() {
    let request = |len: usize| {
        let request = Request::post("/").header("content-length", len);
        request.body(Body::from_stream(stream::empty::<Result<Bytes, std::io::Error>>())).unwrap()
    };
    let limit = 25 * 1024 * 1024;
    let serving = Serving::new();
    assert_eq!(serving.send(request(limit + 1)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        serving.send(request(limit)).await.status,
        StatusCode::UNAUTHORIZED,
        "read, then not believed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up_after_ten_seconds() {
    let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let started = tokio::time::Instant::now();
    refused(Request::post("/").body(never).unwrap(), StatusCode::REQUEST_TIMEOUT, "body").await;
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_store_that_is_down_acknowledges_nothing_and_tells_no_secret() {
    let serving = Serving::on(
        Role::All,
        IntakeLimits::default(),
        |b| b,
        |store| Stores { deliveries: Arc::new(Broken::Down), reports: store.clone(), lease: store },
    );
    let answer = serving.send(Job::default().request("g1")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "5");
    assert!(!answer.text.contains("hush"), "{}", answer.text);
    assert!(serving.stored_nothing());
}

#[tokio::test]
async fn a_defect_of_the_store_is_ours() {
    let serving = Serving::on(
        Role::All,
        IntakeLimits::default(),
        |b| b,
        |store| Stores { deliveries: Arc::new(Broken::Defective), reports: store.clone(), lease: store },
    );
    assert_eq!(serving.send(Job::default().request("g1")).await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

fn silent_store(commit: Duration) -> Serving {
    let limits = IntakeLimits { commit, ..IntakeLimits::default() };
    Serving::on(
        Role::All,
        limits,
        |b| b,
        |store| Stores { deliveries: Arc::new(Broken::Silent), reports: store.clone(), lease: store },
    )
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_answered_for_before_github_gives_up() {
    let serving = silent_store(IntakeLimits::default().commit);
    let started = tokio::time::Instant::now();
    let answer = serving.send(Job::default().request("g1")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_answered_at_once() {
    let serving = silent_store(Duration::from_secs(3600));
    // One batch is being written for ever, and the queue behind it fills.
    let waiting: Vec<_> = (0..200)
        .map(|n| {
            let (router, request) = (serving.router.clone(), Job::default().request(&format!("g{n}")));
            tokio::spawn(async move { crate::serving::send(&router, request).await })
        })
        .collect();
    let mut full = None;
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
        full = waiting.iter().position(tokio::task::JoinHandle::is_finished);
        if full.is_some() {
            break;
        }
    }
    let full = full.expect("one of 200 deliveries finds the queue full");
    let answer = waiting.into_iter().nth(full).unwrap().await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(answer.json()["error"], "too many deliveries are waiting to be recorded");
}

#[tokio::test]
async fn a_duplicate_is_acknowledged_and_says_so() {
    let serving = acknowledged(Job::default().request("g1"), "job_stored").await;
    let answer = serving.send(Job::default().request("g1")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), json!({ "outcome": "duplicate_delivery" }));
    assert_eq!(serving.store.log().len(), 1);
    assert_eq!(serving.store.all_jobs().len(), 1);
}

#[tokio::test]
async fn an_app_that_is_not_ours_is_recorded_and_nothing_else() {
    let mut request = Job::default().request("g1");
    request.headers_mut().insert("x-github-hook-installation-target-id", 999.into());
    let serving = acknowledged(request, "ignored_event").await;
    assert!(serving.store.all_jobs().is_empty());
}

#[tokio::test]
async fn null_where_an_object_was_expected_is_recorded_and_nothing_else() {
    for key in ["workflow_job", "repository", "installation"] {
        let serving = acknowledged(with_payload(|payload| payload[key] = Value::Null), "ignored_event").await;
        assert!(serving.store.all_jobs().is_empty(), "{key}");
    }
}

#[tokio::test]
async fn ping_is_answered_pong() {
    acknowledged(signed("ping", "g1", r#"{"zen":"Keep it simple.","hook_id":1}"#), "pong").await;
}

#[tokio::test]
async fn an_event_that_we_do_not_model_is_recorded() {
    acknowledged(signed("star", "g1", r#"{"action":"created"}"#), "ignored_event").await;
}

#[tokio::test]
async fn jobs_for_nobody_are_recorded_without_demand() {
    let unrouted = Job { labels: vec!["ubuntu-latest"], ..Job::default() };
    let banned = Job { owner: BANNED_ENTITY, ..Job::default() };
    let banned_sender = Job { sender: "Mallory", ..Job::default() };
    let waiting = Job { action: "waiting", ..Job::default() };
    for (job, outcome) in [
        (unrouted, "ignored_no_label"),
        (banned, "banned_entity"),
        (banned_sender, "banned_entity"),
        (waiting, "ignored_action"),
    ] {
        let serving = acknowledged(job.request("g1"), outcome).await;
        assert!(serving.store.all_jobs().is_empty(), "{outcome}");
    }
}

#[tokio::test]
async fn every_request_is_counted_once_under_bounded_labels() {
    let serving = Serving::new();
    serving.send(Job::default().request("g1")).await;
    serving.send(without(Job::default().request("g2"), "x-hub-signature-256")).await;
    serving.send(signed("made_up_by_the_sender", "g3", "{}")).await;
    let text = serving.get("/metrics").await.text;
    for (event, outcome) in [
        ("workflow_job", Outcome::JobStored.as_str()),
        ("workflow_job", "unauthorized"),
        ("other", Outcome::IgnoredEvent.as_str()),
    ] {
        let line = format!("rrctl_webhook_requests_total{{event=\"{event}\",outcome=\"{outcome}\"}} 1");
        assert!(text.lines().any(|found| found == line), "{line} is missing:\n{text}");
    }
    assert!(!text.contains("made_up_by_the_sender"));
}

#[tokio::test]
async fn webhooks_are_taken_in_their_role_only() {
    let pages_only = Serving::with(Role::Scheduler, IntakeLimits::default(), |builder| builder);
    let answer = pages_only.send(Job::default().request("g1")).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    let webhooks_only = Serving::with(Role::Webhook, IntakeLimits::default(), |builder| builder);
    assert_eq!(webhooks_only.send(Job::default().request("g1")).await.status, StatusCode::OK);
    assert_eq!(webhooks_only.get("/jobs").await.status, StatusCode::NOT_FOUND);
    assert_eq!(webhooks_only.get("/").await.status, StatusCode::METHOD_NOT_ALLOWED);
}
