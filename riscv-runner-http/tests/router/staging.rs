//! Deliveries of staging accounts and repositories: handed on untouched, and logged.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use riscv_runner_http::{IntakeLimits, Role, staging::HttpStaging};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    payloads::{Job, signature},
    serving::{SECRET, STAGING_ENTITY, Serving},
};

type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A staging service on a real socket that answers with `status`; its URL and what it received.
async fn staging(status: StatusCode) -> (String, Received) {
    let received = Received::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let take = move |State(received): State<Received>, headers: HeaderMap, body: Bytes| async move {
        received.lock().unwrap().push((headers, body));
        status
    };
    let router = Router::new().route("/", post(take)).with_state(Arc::clone(&received));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

fn handing_on(url: &str) -> Serving {
    let proxy = Arc::new(HttpStaging::new(url).unwrap());
    Serving::with(Role::All, IntakeLimits::default(), |builder| builder.staging(proxy))
}

fn staged() -> Job {
    Job { owner: STAGING_ENTITY, ..Job::default() }
}

#[tokio::test]
async fn the_raw_body_and_githubs_headers_arrive_and_the_log_knows() {
    let (url, received) = staging(StatusCode::OK).await;
    for job in [staged(), Job { repo: "acme/staged", ..Job::default() }] {
        let serving = handing_on(&url);
        let answer = serving.send(job.request("g1")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.json(), json!({ "outcome": "proxied_to_staging" }));
        assert_eq!(serving.store.log()[0].outcome.as_str(), "proxied_to_staging");
        assert!(serving.store.all_jobs().is_empty());
        let (headers, body) = received.lock().unwrap().pop().unwrap();
        assert_eq!(body, job.payload().to_string());
        assert_eq!(headers["x-hub-signature-256"], signature(SECRET, &body).as_str());
        assert_eq!(headers["x-github-event"], "workflow_job");
        assert_eq!(headers["x-github-delivery"], "g1");
        assert_eq!(headers["x-github-hook-installation-target-id"], "11");
        assert_eq!(headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn headers_of_the_connection_and_of_others_stay_here() {
    let (url, received) = staging(StatusCode::OK).await;
    let mut request = staged().request("g1");
    for (name, value) in [
        ("connection", "keep-alive, x-private"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "Basic planted"),
        ("authorization", "Bearer planted"),
        ("cookie", "session=planted"),
        ("x-private", "planted"),
        ("x-forwarded-for", "192.0.2.1"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = handing_on(&url).send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let (headers, _) = received.lock().unwrap().pop().unwrap();
    let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-github-delivery",
            "x-github-event",
            "x-github-hook-installation-target-id",
            "x-hub-signature-256",
            "x-riscv-runner-forwarded"
        ]
    );
    assert_eq!(headers["host"], url.trim_start_matches("http://").trim_end_matches('/'));
}

#[tokio::test(start_paused = true)]
async fn a_staging_that_does_not_answer_is_given_up_before_github_gives_up() {
    // It accepts the connection and stays silent. Time runs as soon as nothing else is to be done.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let serving = handing_on(&url);
    let begun = tokio::time::Instant::now();
    let answer = serving.send(staged().request("g1")).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (StatusCode::BAD_GATEWAY, &json!("staging does not answer"))
    );
    let waited = begun.elapsed().as_secs();
    assert!((1..10).contains(&waited), "it waited for {waited} s");
    assert!(serving.stored_nothing());
}

#[tokio::test]
async fn other_accounts_stay_here() {
    let (url, received) = staging(StatusCode::OK).await;
    let answer = handing_on(&url).send(Job::default().request("g1")).await;
    assert_eq!(answer.json(), json!({ "outcome": "job_stored" }));
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_delivery_of_an_app_that_is_not_ours_goes_nowhere() {
    let (url, received) = staging(StatusCode::OK).await;
    let mut request = staged().request("g1");
    request.headers_mut().insert("x-github-hook-installation-target-id", 999.into());
    assert_eq!(handing_on(&url).send(request).await.json(), json!({ "outcome": "ignored_event" }));
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_unsigned_delivery_goes_nowhere() {
    let (url, received) = staging(StatusCode::OK).await;
    let mut request = staged().request("g1");
    request.headers_mut().remove("x-hub-signature-256");
    assert_eq!(handing_on(&url).send(request).await.status, StatusCode::UNAUTHORIZED);
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_handed_on_once_is_not_handed_on_again() {
    let (url, received) = staging(StatusCode::OK).await;
    let serving = handing_on(&url);
    let mut request = staged().request("g1");
    request.headers_mut().insert("x-riscv-runner-forwarded", 1.into());
    assert_eq!(serving.send(request).await.json(), json!({ "outcome": "job_stored" }));
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_delivery_that_staging_does_not_take_is_not_acknowledged() {
    let (refusing, _) = staging(StatusCode::SERVICE_UNAVAILABLE).await;
    let (redirecting, _) = staging(StatusCode::FOUND).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    for (url, problem) in [
        (refusing, "staging answered 503 Service Unavailable"),
        (redirecting, "staging answered 302 Found"),
        (nobody, "staging does not answer"),
    ] {
        let serving = handing_on(&url);
        let answer = serving.send(staged().request("g1")).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_eq!(answer.json()["error"], problem);
        assert!(serving.stored_nothing());
    }
}

#[tokio::test]
async fn without_a_staging_url_the_fault_is_told() {
    let serving = Serving::new();
    let answer = serving.send(staged().request("g1")).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.json()["error"], "no staging URL is set");
    assert!(serving.stored_nothing());
}

#[test]
fn an_address_that_is_not_http_is_refused() {
    for url in ["staging.example", "ftp://staging.example", ""] {
        let error = HttpStaging::new(url).unwrap_err().to_string();
        assert_eq!(error, "the staging URL is not an http or https URL", "it may hold a password");
    }
}
