//! `/worker/{name}`: one worker's life, and to whom it is told.

use http::StatusCode;
use riscv_runner_core::{
    failure::{ContainerEnd, Diagnostics, FailureInfo, FailureReason, PodEvent, PodFailure},
    pod::PodPhase,
    scope::Target,
};
use serde_json::{Value, json};

use crate::{
    pages::{HOSTILE, failed_worker, personal, pod_failure},
    payloads::Job,
    serving::Serving,
};

fn stages(body: &Value) -> Vec<&str> {
    body["timeline"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_life_is_told_in_the_order_in_which_it_happened() {
    let serving = Serving::seeing(1);
    serving.send(Job { id: 7, ..Job::default() }.request("g1")).await;
    serving
        .send(Job { id: 7, action: "in_progress", runner: Some("rr-abc"), ..Job::default() }.request("g2"))
        .await;
    let since = serving.clock.now();
    serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since }, Some(7)).await;
    let body = serving.get("/worker/rr-abc.json").await.json();
    assert_eq!(stages(&body), ["reserved", "pod_created", "running", "job_started"]);
    assert_eq!((&body["job_id"], &body["k8s_node"]), (&json!(7), &json!("k1-1")));
    assert_eq!(body["timeline"][3]["at"], "2026-01-01T00:02:00Z");
    assert_eq!(body["timeline"][3]["detail"], "build");
    assert_eq!(body["pod"]["phase"], "running");
    let html = serving.get("/worker/rr-abc").await.text;
    for text in ["Job started", "on k1-1", "href=\"/why/7\"", "acme/widgets"] {
        assert!(html.contains(text), "{text} is missing in {html}");
    }
    for path in ["/workers", "/boards", "/why/7"] {
        let html = serving.get(path).await.text;
        assert!(html.contains("href=\"/worker/rr-abc\""), "{path} does not lead there: {html}");
    }
}

#[tokio::test]
async fn a_failure_is_shown_whole_and_its_logs_to_readers_only() {
    let serving = Serving::new();
    failed_worker(&serving, "rr-bob", personal("bob/diary"), pod_failure(HOSTILE)).await;
    let stranger = serving.get("/worker/rr-bob").await.text;
    assert!(!stranger.contains("diary") && !stranger.contains("log of"), "{stranger}");
    assert!(stranger.contains("exit code 137"), "{stranger}");
    let json = serving.get("/worker/rr-bob.json").await.text;
    assert!(!json.contains("diary") && !json.contains("log of"), "{json}");
    let reader = serving.get_as_reader("/worker/rr-bob").await.text;
    assert!(reader.contains("bob/diary") && reader.contains("log of &lt;img"), "{reader}");
    assert!(!reader.contains("<img"), "{reader}");
    let body = serving.get_as_reader("/worker/rr-bob.json").await.json();
    assert_eq!(stages(&body).last(), Some(&"failed"));
}

#[tokio::test]
async fn a_private_repositorys_job_is_not_told_to_strangers() {
    let serving = Serving::seeing(1);
    let job = Job { id: 7, repo: "acme/skunkworks", private: true, name: "skunkworks", ..Job::default() };
    serving.send(job.request("g1")).await;
    serving.send(Job { action: "in_progress", runner: Some("rr-abc"), ..job }.request("g2")).await;
    let since = serving.clock.now();
    serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since }, Some(7)).await;
    for path in ["/worker/rr-abc", "/worker/rr-abc.json"] {
        let text = serving.get(path).await.text;
        assert!(!text.contains("skunkworks"), "{path}: {text}");
        let text = serving.get_as_reader(path).await.text;
        assert!(text.contains("skunkworks"), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_has_is_not_found_and_one_that_nobody_can_have_is_a_fault() {
    let serving = Serving::new();
    let unknown = serving.get("/worker/rr-nobody.json").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.json()["hint"].as_str().unwrap().contains("/workers"));
    let wrong = serving.get("/worker/Not%20A%20Name.json").await;
    assert_eq!((wrong.status, &wrong.json()["parameter"]), (StatusCode::BAD_REQUEST, &json!("name")));
}

#[tokio::test]
async fn who_revoked_it_and_why_is_on_the_pages() {
    let serving = Serving::new();
    let told = FailureInfo::pod(FailureReason::Revoked, Diagnostics::default());
    let FailureInfo::V2(told) = told else { unreachable!("a pod's failure is of version 2") };
    let told = FailureInfo::V2(PodFailure { note: Some(format!("ann: {HOSTILE}")), ..told });
    failed_worker(&serving, "rr-hot", Target::Organization, told).await;
    for path in ["/worker/rr-hot", "/workers"] {
        let page = serving.get(path).await.text;
        assert!(page.contains("ann: &lt;img") && !page.contains("<img"), "{path}: {page}");
    }
}

#[tokio::test]
async fn what_a_job_wrote_to_its_termination_log_is_for_readers() {
    let serving = Serving::new();
    let FailureInfo::V2(mut told) = pod_failure("the secret plan") else { unreachable!("a pod's failure") };
    let waits = ContainerEnd { message: Some("back-off pulling image".into()), ..ContainerEnd::default() };
    told.diagnostics.containers.insert("sidecar".into(), waits);
    failed_worker(&serving, "rr-org", Target::Organization, FailureInfo::V2(told)).await;
    for path in ["/worker/rr-org", "/worker/rr-org.json", "/workers", "/workers.json"] {
        let stranger = serving.get(path).await.text;
        assert!(!stranger.contains("secret plan"), "{path}: {stranger}");
        assert!(stranger.contains("back-off pulling image"), "Kubernetes' own words, {path}: {stranger}");
        let reader = serving.get_as_reader(path).await.text;
        assert!(reader.contains("the secret plan"), "{path}: {reader}");
    }
}

#[tokio::test]
async fn details_of_an_unknown_shape_are_for_readers() {
    let serving = Serving::new();
    let told = json!({"version": 3, "containers": {"runner": {"logs": "the secret plan"}}});
    failed_worker(&serving, "rr-org", Target::Organization, FailureInfo::Other(told)).await;
    for path in ["/worker/rr-org", "/worker/rr-org.json", "/workers", "/workers.json"] {
        let stranger = serving.get(path).await;
        assert_eq!(stranger.status, StatusCode::OK, "{path}");
        assert!(!stranger.text.contains("secret plan"), "{path}: {}", stranger.text);
    }
    for path in ["/worker/rr-org", "/worker/rr-org.json"] {
        let reader = serving.get_as_reader(path).await.text;
        assert!(reader.contains("the secret plan"), "{path}: {reader}");
    }
}

#[tokio::test]
async fn why_a_pod_waits_is_asked_of_the_cluster_when_somebody_looks() {
    let serving = Serving::seeing(2);
    let event = PodEvent {
        kind: "Warning".into(),
        reason: "FailedScheduling".into(),
        message: format!("no board is free {HOSTILE}"),
        count: 3,
        first_seen: None,
        last_seen: Some(serving.clock.now()),
    };
    let waits = ContainerEnd { reason: Some("ContainerCreating".into()), ..ContainerEnd::default() };
    let started = ContainerEnd { logs: Some("a step's output".into()), ..ContainerEnd::default() };
    let containers = [("runner".to_owned(), waits), ("init".to_owned(), started)].into();
    serving.looking.tell(Diagnostics { events: vec![event], containers, ..Diagnostics::default() });
    let since = serving.clock.now();
    serving.looking.worker("rr-waits", "k1-1", PodPhase::Pending { reason: None }, None).await;
    serving.looking.worker("rr-runs", "k1-2", PodPhase::Running { since }, None).await;
    let page = serving.get("/worker/rr-waits").await.text;
    for text in [
        "Why its pod waits",
        "FailedScheduling",
        "no board is free &lt;img",
        "(3 times)",
        "ContainerCreating",
    ] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    let body = serving.get_as_reader("/worker/rr-waits.json").await.json();
    assert_eq!(body["diagnostics"]["events"][0]["reason"], "FailedScheduling");
    assert!(!body.to_string().contains("a step's output"), "a log is for failures: {body}");
    assert_eq!(serving.looking.asked(), 1, "once for all who look within a moment");
    let runs = serving.get("/worker/rr-runs.json").await.json();
    assert_eq!((&runs["diagnostics"], serving.looking.asked()), (&Value::Null, 1));
    for _ in 0..40 {
        serving.get("/worker/rr-waits.json").await;
    }
    let often = serving.get("/worker/rr-waits.json").await;
    assert_eq!((often.status, &often.json()["diagnostics"]), (StatusCode::OK, &Value::Null));
}
