//! `/health`, `/ready` and `/metrics` in good and bad times.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::{Request, StatusCode};
use riscv_runner_core::{
    ids::ReplicaName,
    ports::{EngineEvent, LeaseStore, Observer},
};
use riscv_runner_http::{IntakeLimits, Role, readiness::Peer};

use crate::{
    broken::Broken,
    payloads::Job,
    serving::{Serving, Stores},
};

async fn lead(serving: &Serving) {
    let replica = ReplicaName::new("replica-1").unwrap();
    let ttl = Duration::from_secs(8);
    serving.store.acquire_lease(&replica, ttl, serving.clock.now()).await.unwrap().unwrap();
}

fn without_store(role: Role, broken: Broken) -> Serving {
    Serving::on(
        role,
        IntakeLimits::default(),
        |b| b,
        |_| Stores { deliveries: Arc::new(broken), reports: Arc::new(broken), lease: Arc::new(broken) },
    )
}

#[tokio::test]
async fn health_needs_nobody() {
    let answer = without_store(Role::All, Broken::Down).get("/health").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["status"], "ok");
}

#[tokio::test]
async fn ready_while_the_store_answers_and_somebody_leads() {
    let serving = Serving::new();
    let answer = serving.get("/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["reasons"][0], "leader: no replica holds the lease");

    lead(&serving).await;
    let answer = serving.get("/ready").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json()["leader"]["name"], "replica-1");

    serving.clock.advance_to(serving.clock.now() + Duration::from_secs(9));
    let answer = serving.get("/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "its lease is over");
}

#[tokio::test]
async fn webhooks_need_no_leader() {
    let serving = Serving::with(Role::Webhook, IntakeLimits::default(), |builder| builder);
    let answer = serving.get("/ready").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["warnings"][0], "leader: no replica holds the lease");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_or_hangs_is_the_reason() {
    for broken in [Broken::Down, Broken::Silent] {
        let answer = without_store(Role::Webhook, broken).get("/ready").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        let body = answer.json();
        assert!(body["reasons"][0].as_str().unwrap().starts_with("store:"), "{body}");
        assert_eq!(body["store"]["reachable"], false);
        assert!(!answer.text.contains("hush"), "{}", answer.text);
    }
}

#[tokio::test]
async fn readers_who_crowd_the_pages_make_no_process_unfit_for_deliveries() {
    let serving = Serving::on(
        Role::Webhook,
        IntakeLimits::default(),
        |builder| builder,
        |store| Stores { deliveries: store.clone(), reports: Arc::new(Broken::Silent), lease: store },
    );
    assert_eq!(serving.get("/ready").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_silent_peer_is_a_warning_with_its_last_sign() {
    let serving = Serving::new();
    lead(&serving).await;
    let seen = serving.clock.now();
    serving.readiness.seen(Peer::Cluster, seen);
    serving.readiness.failed(Peer::Cluster, seen + Duration::from_secs(1));
    let answer = serving.get("/ready").await;
    assert_eq!(answer.status, StatusCode::OK, "webhooks can still be recorded");
    let body = answer.json();
    assert_eq!(body["warnings"][0], format!("cluster: does not answer; last seen {seen}"));
    assert_eq!(body["github"]["reachable"], serde_json::Value::Null);
}

#[tokio::test]
async fn where_pages_are_not_public_counts_are_for_readers_and_probes_learn_no_names() {
    for role in [Role::All, Role::Webhook] {
        let serving = Serving::with(role, IntakeLimits::default(), |builder| builder.public_pages(false));
        lead(&serving).await;
        let refused = serving.get("/metrics").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert!(refused.header("www-authenticate").ends_with("Bearer"), "{}", refused.text);
        assert!(!refused.text.contains("rrctl_"), "{}", refused.text);
        let wrong = Request::get("/metrics").header("authorization", "Bearer wrong").body(Body::empty());
        assert_eq!(serving.send(wrong.unwrap()).await.status, StatusCode::UNAUTHORIZED);
        let read = serving.get_as_reader("/metrics").await;
        assert!(read.status == StatusCode::OK && read.text.contains("rrctl_leader "), "{}", read.text);

        let probe = serving.get("/ready").await;
        assert_eq!((probe.status, serving.get("/health").await.status), (StatusCode::OK, StatusCode::OK));
        assert!(probe.json()["leader"]["until"].is_string() && !probe.text.contains("replica-1"));
        assert_eq!(serving.get_as_reader("/ready").await.json()["leader"]["name"], "replica-1");
    }
}

#[tokio::test]
async fn metrics_show_the_queue_and_survive_an_outage_of_the_store() {
    let serving = Serving::new();
    serving.send(Job::default().request("g1")).await;
    serving.metrics.observe(EngineEvent::Leading(true));
    let answer = serving.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(answer.text.contains("rrctl_queue_depth{pool=\"k1\"} 1\n"), "{}", answer.text);
    assert!(answer.text.contains("rrctl_leader 1\n"));
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let request = Request::get("/metrics").header("accept", accept).body(Body::empty()).unwrap();
    let answer = serving.send(request).await;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(answer.text.contains("rrctl_leader 1\n") && answer.text.ends_with("# EOF\n"), "{}", answer.text);

    let answer = without_store(Role::All, Broken::Down).get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_process_that_migrates_lives_and_takes_nothing() {
    let router = riscv_runner_http::router_while_migrating();
    let ask = async |method: &str, path: &str| {
        let request = http::Request::builder().method(method).uri(path).body(axum::body::Body::empty());
        tower::ServiceExt::oneshot(router.clone(), request.unwrap()).await.unwrap()
    };
    assert_eq!(ask("GET", "/health").await.status(), StatusCode::OK);
    for (method, path) in [("GET", "/ready"), ("POST", "/"), ("GET", "/"), ("GET", "/metrics")] {
        let answer = ask(method, path).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{method} {path}");
        assert_eq!(answer.headers()["retry-after"], "5", "{method} {path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}
