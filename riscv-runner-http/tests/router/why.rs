//! `/why/{job_id}`: the reason, to whom it is told, and that readers do not weigh on the store.

use axum::{Router, body::Body};
use futures::future::join_all;
use http::{Request, StatusCode};
use riscv_runner_core::{
    controls::{Controls, Note},
    ids::EntityId,
    pod::PodPhase,
};
use riscv_runner_http::{IntakeLimits, Role};
use serde_json::{Value, json};

use crate::{
    payloads::Job,
    serving::{Serving, send},
};

async fn queued(serving: &Serving, id: i64) {
    let answer = serving.send(Job { id, ..Job::default() }.request(&format!("queued-{id}"))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

async fn why(serving: &Serving, id: i64) -> Value {
    let answer = serving.get(&format!("/why/{id}.json")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn a_waiting_job_has_its_reason_with_evidence_and_its_place() {
    let serving = Serving::seeing(0);
    for id in [1, 2, 3] {
        queued(&serving, id).await;
    }
    let body = why(&serving, 2).await;
    assert_eq!(body["job_id"], 2);
    assert_eq!(body["status"], "pending");
    assert_eq!(body["pool_key"], "org:500|ubuntu-24.04-riscv");
    assert_eq!(body["reason"]["name"], "no_capacity");
    assert_eq!(body["reason"]["sentence"], "pool k1 has no board that can take a job");
    assert_eq!(
        body["reason"]["evidence"],
        json!({ "pool": "k1", "total": 0, "active": 0, "quarantined": 0, "drained": 0 })
    );
    assert_eq!(body["position"]["in_key"], json!({ "place": 2, "of": 3 }));
    assert_eq!(body["position"]["in_pool"], json!({ "place": 2, "of": 3 }));
    assert_eq!(body["worker"], Value::Null);

    let html = serving.get("/why/2").await.text;
    assert!(html.contains("<h1>Job 2</h1>") && html.contains("no capacity"), "{html}");
    assert!(html.contains("2 of 3 with these labels"), "{html}");
    assert!(html.contains("http-equiv=\"refresh\""), "{html}");
    let by_accept = Request::get("/why/2").header("accept", "application/json").body(Body::empty()).unwrap();
    assert_eq!(serving.send(by_accept).await.json(), body);
}

#[tokio::test]
async fn the_place_in_the_pool_counts_other_accounts_too() {
    let serving = Serving::seeing(0);
    queued(&serving, 1).await;
    let other = Job { id: 2, owner: 501, repo: "globex/gears", ..Job::default() };
    serving.send(other.request("g2")).await;
    let body = why(&serving, 2).await;
    assert_eq!(body["position"]["in_key"], json!({ "place": 1, "of": 1 }));
    assert_eq!(body["position"]["in_pool"], json!({ "place": 2, "of": 2 }));
}

#[tokio::test]
async fn the_reason_continues_to_the_worker_and_its_board() {
    let serving = Serving::seeing(1);
    queued(&serving, 1).await;
    let cause = PodPhase::Pending { reason: Some("ImagePullBackOff".into()) };
    serving.looking.worker("rr-abc", "k1-1", cause, None).await;
    let body = why(&serving, 1).await;
    assert_eq!(body["reason"]["name"], "pod_pending");
    assert_eq!(body["reason"]["evidence"]["cause"], "ImagePullBackOff");
    assert!(body["reason"]["since"].is_string(), "{body}");
    assert_eq!(body["worker"]["pod_name"], "rr-abc");
    assert_eq!(body["worker"]["k8s_node"], "k1-1");
    let html = serving.get("/why/1").await.text;
    assert!(html.contains("ImagePullBackOff") && html.contains("k1-1"), "{html}");
}

#[tokio::test]
async fn a_paused_account_is_told_who_paused_it() {
    let serving = Serving::seeing(1);
    queued(&serving, 1).await;
    let note = Note { reason: "<b>abuse</b>".into(), actor: "eve".into(), since: serving.clock.now() };
    let paused_entities = [(EntityId::new(500).unwrap(), note)].into();
    serving.store.set_controls(Controls { paused_entities, ..Controls::default() });
    let body = why(&serving, 1).await;
    assert_eq!(body["reason"]["name"], "paused");
    assert_eq!(body["reason"]["evidence"]["note"]["actor"], "eve");
    let html = serving.get("/why/1").await.text;
    assert!(html.contains("&lt;b&gt;abuse&lt;/b&gt;") && !html.contains("<b>"), "{html}");
}

#[tokio::test]
async fn a_job_that_runs_or_is_over_has_facts_instead_of_a_reason() {
    let serving = Serving::seeing(1);
    queued(&serving, 1).await;
    let running = Job { id: 1, action: "in_progress", runner: Some("rr-abc"), ..Job::default() };
    serving.send(running.request("g2")).await;
    let at = serving.clock.now();
    serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since: at }, Some(1)).await;
    let body = why(&serving, 1).await;
    assert_eq!((&body["status"], &body["reason"]), (&json!("running"), &Value::Null));
    assert_eq!(body["runner_name"], "rr-abc");
    assert_eq!(body["worker"]["k8s_node"], "k1-1");
    assert!(serving.get("/why/1").await.text.contains("It has been running on rr-abc since"));

    let over = Job { id: 1, action: "completed", runner: Some("rr-abc"), ..Job::default() };
    serving.send(over.request("g3")).await;
    let body = why(&serving, 1).await;
    assert_eq!((&body["status"], &body["job_conclusion"]), (&json!("completed"), &json!("success")));
    let html = serving.get("/why/1").await.text;
    assert!(html.contains("It has ended as success at"), "{html}");
    assert!(!html.contains("http-equiv"), "nothing changes any more: {html}");
}

#[tokio::test]
async fn a_private_job_is_unknown_to_strangers() {
    let serving = Serving::seeing(0);
    let job = Job { id: 7, repo: "acme/skunkworks", private: true, ..Job::default() };
    serving.send(job.request("g1")).await;
    for suffix in ["", ".json"] {
        let private = serving.get(&format!("/why/7{suffix}")).await;
        let unknown = serving.get(&format!("/why/8{suffix}")).await;
        assert_eq!(private.status, StatusCode::NOT_FOUND);
        assert_eq!(private.text, unknown.text.replace("job 8", "job 7"));
        assert_eq!(private.headers, unknown.headers);
        let reader = serving.get_as_reader(&format!("/why/7{suffix}")).await;
        assert_eq!(reader.status, StatusCode::OK);
        assert!(reader.text.contains("acme/skunkworks"), "{}", reader.text);
    }
}

#[tokio::test]
async fn what_is_not_a_job_id_is_refused() {
    let serving = Serving::seeing(0);
    for id in ["x", "0", "-1", "1.5", "99999999999999999999", "%3Cscript%3E", ".json"] {
        let answer = serving.get(&format!("/why/{id}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{id}");
        assert!(answer.text.contains("job_id") && !answer.text.contains("<script"), "{}", answer.text);
    }
    assert_eq!(serving.get("/why/").await.status, StatusCode::NOT_FOUND);
    assert_eq!(serving.get("/why/1/2").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_readers_are_one_look() {
    let serving = Serving::seeing(0);
    queued(&serving, 1).await;
    let answers = join_all(
        (0..1000).map(|n| serving.get(["/why/1", "/queue", "/boards.json", "/", "/metrics"][n % 5])),
    );
    assert!(answers.await.iter().all(|answer| answer.status == StatusCode::OK));
    assert_eq!(serving.looking.looks(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_just_come_is_looked_for_once_more() {
    let serving = Serving::seeing(0);
    serving.get("/queue").await;
    tokio::time::advance(std::time::Duration::from_millis(200)).await;
    queued(&serving, 1).await;
    assert_eq!(why(&serving, 1).await["reason"]["name"], "no_capacity");
    assert_eq!(serving.looking.looks(), 2);
}

#[tokio::test]
async fn a_process_without_a_scheduler_tells_the_state_and_who_knows_more() {
    let serving = Serving::new();
    queued(&serving, 1).await;
    let body = why(&serving, 1).await;
    assert_eq!((&body["status"], &body["reason"]), (&json!("pending"), &Value::Null));
    assert!(serving.get("/why/1").await.text.contains("--role all or --role scheduler"));
}

#[tokio::test]
async fn a_webhook_process_says_who_shows_pages() {
    let serving = Serving::with(Role::Webhook, IntakeLimits::default(), |builder| builder);
    for path in ["/why/1", "/queue", "/boards", "/"] {
        let answer = serving.get(path).await;
        let known = if path == "/" { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
        assert_eq!(answer.status, known, "{path}");
    }
    assert!(serving.get("/queue").await.json()["hint"].as_str().unwrap().contains("--role scheduler"));
}

#[tokio::test]
async fn a_store_that_is_down_is_told_and_its_error_is_not() {
    let serving = Serving::seeing(0);
    queued(&serving, 1).await;
    serving.looking.lose_store();
    for path in ["/why/1", "/why/1.json", "/queue", "/queue.json", "/boards", "/"] {
        let answer = serving.get(path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(!answer.text.contains("hush"), "{}", answer.text);
    }
    assert_eq!(serving.get("/metrics").await.status, StatusCode::OK);
}

#[tokio::test]
async fn links_to_reasons_follow_where_the_host_nested_the_router() {
    let serving = Serving::seeing(0);
    queued(&serving, 1).await;
    let host = Router::new().nest("/ci", serving.router.clone());
    let get = |uri: &str| Request::get(uri).body(Body::empty()).unwrap();
    assert!(send(&host, get("/ci/jobs")).await.text.contains("href=\"/ci/why/1\""));
    let page = send(&host, get("/ci/why/1")).await;
    assert!(page.text.contains("href=\"/ci/why/1.json\""), "{}", page.text);
    assert_eq!(send(&host, get("/ci/why/1.json")).await.json()["job_id"], 1);
}
