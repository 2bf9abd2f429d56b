//! What the pages show, to whom, and that nothing from outside escapes its place.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use base64::prelude::{BASE64_STANDARD, Engine};
use http::{Request, StatusCode};
use riscv_runner_core::{
    controls::{Controls, Note},
    failure::{ContainerEnd, Diagnostics, FailureInfo, FailureReason},
    ids::{
        EntityId, ImageRef, InstallationId, Login, NodeName, PoolName, ReplicaName, RepoId, RepoName,
        WorkerName,
    },
    labels::LabelSet,
    ports::{Cas, LeaderProof, LeaseStore, SchedulingStore, WorkerChange},
    scope::{ScopeRef, Target},
    worker::{Worker, WorkerStatus},
};
use riscv_runner_http::{IntakeLimits, Role};
use serde_json::Value;

use crate::{
    broken::Broken,
    payloads::Job,
    serving::{Serving, Stores, TOKEN, policy, send},
};

pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";

async fn proof(serving: &Serving) -> LeaderProof {
    let replica = ReplicaName::new("replica-1").unwrap();
    let ttl = Duration::from_secs(8);
    serving.store.acquire_lease(&replica, ttl, serving.clock.now()).await.unwrap().unwrap()
}

/// A worker that failed with this info.
pub(crate) async fn failed_worker(serving: &Serving, name: &str, target: Target, info: FailureInfo) {
    let now = serving.clock.now();
    let worker = Worker {
        name: WorkerName::new(name).unwrap(),
        scope: ScopeRef {
            installation: InstallationId::new(60).unwrap(),
            entity: EntityId::new(500).unwrap(),
            login: Login::new("acme").unwrap(),
            target,
        },
        labels: LabelSet::new([HOSTILE]).unwrap(),
        pool: PoolName::new("k1").unwrap(),
        image: ImageRef::new("registry.example/runner:1").unwrap(),
        status: WorkerStatus::Running,
        node: Some(NodeName::new("node-1").unwrap()),
        pod_uid: None,
        runner: None,
        created_at: now,
        running_at: Some(now),
        completed_at: None,
        online_at: None,
        gone_at: None,
        failure: None,
        job: None,
    };
    let proof = proof(serving).await;
    assert_eq!(serving.store.adopt_worker(&proof, &worker).await.unwrap(), Cas::Done);
    let change = WorkerChange::Failed {
        at: now,
        reason: FailureReason::PodFailed,
        info: Box::new(info),
        backoff: None,
        quarantine: None,
    };
    let changed = serving.store.change_worker(&proof, &worker.name, WorkerStatus::Running, &change).await;
    assert_eq!(changed.unwrap(), Cas::Done);
}

pub(crate) fn pod_failure(text: &str) -> FailureInfo {
    let end = ContainerEnd {
        exit_code: Some(137),
        reason: Some("OOMKilled".into()),
        message: Some(text.into()),
        logs: Some(format!("log of {text}")),
    };
    let containers = [("runner".to_owned(), end)].into();
    FailureInfo::pod(FailureReason::PodFailed, Diagnostics { containers, ..Diagnostics::default() })
}

pub(crate) fn personal(repo: &str) -> Target {
    Target::Repository { id: RepoId::new(51).unwrap(), name: RepoName::new(repo).unwrap() }
}

#[tokio::test]
async fn a_job_is_shown_under_the_names_of_the_table() {
    let serving = Serving::new();
    serving.send(Job::default().request("g1")).await;
    serving
        .send(Job { action: "in_progress", runner: Some("rr-abc123xyz"), ..Job::default() }.request("g2"))
        .await;
    let body = serving.get("/jobs.json").await.json();
    let job = &body["jobs"][0];
    for (name, value) in [
        ("job_id", serde_json::json!(9_007_199_254_740_993_i64)),
        ("status", "running".into()),
        ("failure_info", serde_json::Value::Null),
        ("provider", "github".into()),
        ("entity_id", 500.into()),
        ("entity_name", "acme".into()),
        ("entity_type", "Organization".into()),
        ("repo_full_name", "acme/widgets".into()),
        ("installation_id", 60.into()),
        ("job_labels", serde_json::json!(["ubuntu-24.04-riscv"])),
        ("k8s_pool", "k1".into()),
        ("k8s_image", "registry.example/runner:1".into()),
        ("k8s_pod", "rr-abc123xyz".into()),
        ("runner_name", "rr-abc123xyz".into()),
        ("html_url", "https://github.com/acme/widgets/actions/runs/1/job/2".into()),
        ("job_name", "build".into()),
        ("job_conclusion", serde_json::Value::Null),
        ("job_created_at", "2026-01-01T00:00:00Z".into()),
        ("job_started_at", "2026-01-01T00:02:00Z".into()),
        ("job_completed_at", serde_json::Value::Null),
        ("attempt", 1.into()),
    ] {
        assert_eq!(job[name], value, "{name} in {job}");
    }
    assert!(job["created_at"].is_string() && job["updated_at"].is_string());
    let html = serving.get("/jobs").await.text;
    assert!(
        html.contains("rr-abc123xyz") && html.contains("acme/widgets") && html.contains("2 min 0 s"),
        "{html}"
    );
}

#[tokio::test]
async fn history_and_accept_lead_to_the_same_list() {
    let serving = Serving::new();
    serving.send(Job::default().request("g1")).await;
    let jobs = serving.get("/jobs.json").await;
    assert_eq!(serving.get("/history.json").await.json(), jobs.json());
    let request = Request::get("/history").header("accept", "application/json").body(Body::empty()).unwrap();
    let by_accept = serving.send(request).await;
    assert_eq!(by_accept.json(), jobs.json());
    assert_eq!(by_accept.header("vary"), "accept, authorization");
    assert!(serving.get("/history").await.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn hostile_text_stays_text() {
    let serving = Serving::new();
    let job = Job { name: HOSTILE, html_url: "javascript:alert(1)", ..Job::default() };
    serving.send(job.request("g1")).await;
    failed_worker(&serving, "rr-abc", Target::Organization, pod_failure(HOSTILE)).await;
    for path in ["/", "/jobs", "/workers", "/usage", "/stats/weekly-usage", "/worker/rr-abc"] {
        let html = serving.get_as_reader(path).await.text;
        assert!(!html.contains("<img"), "{path}: {html}");
        assert!(!html.contains("href=\"javascript"), "{path}: {html}");
        let ours = "<script src=\"/live.js\" defer></script>";
        assert!(!html.replace(ours, "").contains("<script"), "{path}: {html}");
        assert!(!html.contains(" style=\""), "{path}: {html}");
    }
    let workers = serving.get_as_reader("/workers").await.text;
    assert!(workers.contains("&lt;img src=x onerror=alert(1)&gt;"), "{workers}");
}

#[tokio::test]
async fn a_private_repository_is_named_to_its_readers_only() {
    let serving = Serving::new();
    let job = Job {
        repo: "acme/skunkworks",
        private: true,
        name: "skunkworks tests",
        html_url: "https://github.com/acme/skunkworks/actions/runs/1/job/2",
        ..Job::default()
    };
    serving.send(job.request("g1")).await;
    for path in ["/jobs", "/jobs.json", "/", "/usage", "/usage.json"] {
        let text = serving.get(path).await.text;
        assert!(!text.contains("skunkworks"), "{path}: {text}");
        assert!(!serving.get(path).await.text.is_empty());
    }
    assert_eq!(serving.get("/jobs.json").await.json()["jobs"][0]["private"], true);
    for path in ["/jobs", "/jobs.json"] {
        assert!(serving.get_as_reader(path).await.text.contains("acme/skunkworks"), "{path}");
    }
}

#[tokio::test]
async fn logs_and_repositories_of_workers_are_for_authenticated_readers() {
    let serving = Serving::new();
    failed_worker(&serving, "rr-org", Target::Organization, pod_failure("out of memory")).await;
    failed_worker(&serving, "rr-user", personal("bob/diary"), pod_failure("bob/diary is too large")).await;
    let anonymous = serving.get("/workers.json").await.text;
    assert!(anonymous.contains("OOMKilled") && !anonymous.contains("out of memory"), "{anonymous}");
    assert!(!anonymous.contains("log of") && !anonymous.contains("bob/diary"), "{anonymous}");
    let html = serving.get("/workers").await.text;
    assert!(
        html.contains("exit code 137") && !html.contains("log of") && !html.contains("bob/diary"),
        "{html}"
    );

    let full = serving.get_as_reader("/workers.json").await.json();
    let worker = &full["workers"].as_array().unwrap().iter().find(|w| w["pod_name"] == "rr-user").unwrap();
    assert_eq!(worker["repo_full_name"], "bob/diary");
    assert_eq!(worker["failure_reason"], "pod_failed");
    assert_eq!(worker["failure_info"]["version"], 2);
    let ended = &worker["failure_info"]["containers"]["runner"];
    assert_eq!((&ended["exit_code"], &ended["logs"]), (&137.into(), &Value::Null), "a list has no logs");
    assert_eq!(worker["k8s_node"], "node-1");
    let html = serving.get_as_reader("/workers").await.text;
    assert!(html.contains("exit code 137") && !html.contains("log of"), "{html}");
    let html = serving.get_as_reader("/worker/rr-user").await.text;
    assert!(html.contains("log of bob/diary is too large"), "{html}");
}

#[tokio::test]
async fn plain_failures_of_personal_accounts_are_withheld_too() {
    let serving = Serving::new();
    let info = FailureInfo::message("bob/diary forbids self-hosted runners");
    failed_worker(&serving, "rr-user", personal("bob/diary"), info).await;
    assert!(!serving.get("/workers.json").await.text.contains("diary"));
    assert!(serving.get_as_reader("/workers.json").await.text.contains("forbids self-hosted runners"));
}

#[tokio::test]
async fn a_tenants_own_runner_of_a_private_job_is_withheld_and_ours_is_not() {
    let serving = Serving::new();
    for (id, runner) in [(1, "acme-secretproject-3"), (2, "rr-abc123xyz"), (3, "rr-staging-abc123xyz")] {
        let job = Job { id, repo: "acme/hidden", private: true, ..Job::default() };
        serving.send(job.request(&format!("q{id}"))).await;
        let begun = Job { action: "in_progress", runner: Some(runner), ..job };
        serving.send(begun.request(&format!("p{id}"))).await;
    }
    let runners = |body: &Value, name: &str| {
        let mut jobs = body["jobs"].as_array().unwrap().clone();
        jobs.sort_by_key(|job| job["job_id"].as_i64());
        jobs.iter().map(|job| job[name].clone()).collect::<Vec<_>>()
    };
    let body = serving.get("/jobs.json").await.json();
    assert_eq!(runners(&body, "runner_name"), [Value::Null, "rr-abc123xyz".into(), Value::Null]);
    assert!(!serving.get("/jobs").await.text.contains("secretproject"));
    let body = serving.get_as_reader("/jobs.json").await.json();
    assert_eq!(
        runners(&body, "runner_name"),
        ["acme-secretproject-3", "rr-abc123xyz", "rr-staging-abc123xyz"]
    );
    let ours = [Value::Null, "rr-abc123xyz".into(), Value::Null];
    assert_eq!(runners(&body, "k8s_pod"), ours, "another environment's prefix may begin with ours");
}

#[tokio::test]
async fn a_wrong_token_is_refused_instead_of_ignored() {
    let serving = Serving::new();
    let longer = format!("Bearer {TOKEN}x");
    let wrong_password = format!("Basic {}", BASE64_STANDARD.encode("eve:wrong"));
    for value in ["Bearer wrong", "Bearer ", "Basic !", "Digest x", TOKEN, &longer, &wrong_password] {
        let request = Request::get("/jobs.json").header("authorization", value).body(Body::empty()).unwrap();
        let answer = serving.send(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value}");
        assert!(answer.header("www-authenticate").contains("Bearer"));
        assert!(!answer.text.contains(TOKEN));
    }
}

#[tokio::test]
async fn a_person_signs_in_with_the_token_as_the_password() {
    let serving = Serving::with(Role::All, IntakeLimits::default(), |builder| builder.public_pages(false));
    let challenged = serving.get("/sign-in").await;
    assert_eq!(challenged.status, StatusCode::UNAUTHORIZED);
    assert!(challenged.header("www-authenticate").starts_with("Basic realm="));
    let credentials = format!("Basic {}", BASE64_STANDARD.encode(format!("anybody:{TOKEN}")));
    let signed_in =
        |uri: &str| Request::get(uri).header("authorization", &credentials).body(Body::empty()).unwrap();
    assert_eq!(serving.send(signed_in("/jobs")).await.status, StatusCode::OK);
    assert_eq!(serving.send(signed_in("/sign-in")).await.header("location"), "/");
}

#[tokio::test]
async fn without_a_configured_token_nobody_is_authenticated() {
    let clock = riscv_runner_sim::clock::SimClock::default();
    let stream = riscv_runner_sim::chance::Stream::new(1, "http");
    let platform = Arc::new(riscv_runner_sim::clock::SimPlatform::new(clock, stream));
    let store = Arc::new(riscv_runner_sim::store::MemoryStore::new(platform.clone()));
    let (_policy, policy) = tokio::sync::watch::channel(Arc::new(policy()));
    let (_controls, controls) = tokio::sync::watch::channel(Arc::new(Controls::default()));
    let router = riscv_runner_http::router(
        riscv_runner_http::AppState::builder(store.clone(), store, platform, policy, controls).build(),
    );
    let request = Request::get("/jobs").header("authorization", "Bearer ").body(Body::empty()).unwrap();
    assert_eq!(send(&router, request).await.status, StatusCode::UNAUTHORIZED);
    let unsigned = Request::post("/").body(Body::empty()).unwrap();
    let answer = send(&router, unsigned).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "without webhooks they are not taken");
    assert_eq!(answer.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn closed_pages_ask_for_the_token() {
    let serving = Serving::with(Role::All, IntakeLimits::default(), |builder| builder.public_pages(false));
    for path in ["/", "/jobs", "/jobs.json", "/workers", "/usage.json"] {
        assert_eq!(serving.get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(serving.get_as_reader(path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(serving.get("/health").await.status, StatusCode::OK);
    assert_eq!(serving.get("/style.css").await.status, StatusCode::OK);
}

#[tokio::test]
async fn usage_sums_demand_and_supply() {
    let serving = Serving::new();
    for id in 1..=3 {
        serving.send(Job { id, ..Job::default() }.request(&format!("g{id}"))).await;
    }
    let body = serving.get("/usage.json").await.json();
    assert_eq!(body["totals"]["jobs_pending"], 3);
    let row = &body["usage"][0];
    assert_eq!(row["entity_name"], "acme");
    assert_eq!(row["k8s_pool"], "k1");
    assert_eq!(row["jobs"]["pending"], 3);
    assert!(serving.get("/usage").await.text.contains("ubuntu-24.04-riscv"));
}

#[tokio::test]
async fn the_overview_tells_what_is_held_back() {
    let serving = Serving::new();
    serving.send(Job::default().request("g1")).await;
    let note = Note { reason: "power work".into(), actor: "eve".into(), since: serving.clock.now() };
    let drained_pools = [(PoolName::new("k1").unwrap(), note.clone())].into();
    let controls = Controls { everything_paused: Some(note), drained_pools, ..Controls::default() };
    serving.controls.send_replace(Arc::new(controls));
    let html = serving.get("/").await.text;
    assert!(html.contains("Everything is paused: <bdi>power work</bdi> (<bdi>eve</bdi>"), "{html}");
    let request = Request::get("/").header("accept", "application/json").body(Body::empty()).unwrap();
    let body = serving.send(request).await.json();
    assert_eq!(body["pools"]["k1"]["jobs_pending"], 1);
    assert_eq!(body["drained_pools"]["k1"]["reason"], "power work");
}

#[tokio::test]
async fn a_store_that_is_down_is_told_to_the_reader() {
    let serving = Serving::on(
        Role::All,
        IntakeLimits::default(),
        |b| b,
        |store| Stores { deliveries: store, reports: Arc::new(Broken::Down), lease: Arc::new(Broken::Down) },
    );
    for path in ["/", "/jobs", "/jobs.json", "/workers", "/usage.json"] {
        let answer = serving.get(path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.header("retry-after"), "5", "{path}");
        assert!(!answer.text.contains("hush"), "{}", answer.text);
    }
}

#[tokio::test]
async fn every_answer_is_protected() {
    let serving = Serving::new();
    for path in ["/", "/jobs.json", "/style.css", "/health", "/nowhere", "/jobs?page=x"] {
        let answer = serving.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("server"), "", "{path}");
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
    assert_eq!(serving.get("/nowhere").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn tables_are_described_to_screen_readers() {
    let serving = Serving::new();
    serving.send(Job::default().request("g1")).await;
    for path in ["/", "/jobs", "/workers", "/usage"] {
        let html = serving.get(path).await.text;
        assert!(html.contains("<html lang=\"en\">") && html.contains("name=\"viewport\""), "{path}");
        assert!(html.contains("<caption>") && html.contains("<th scope=\"col\">"), "{path}");
        assert_eq!(html.matches("<h1>").count(), 1, "{path}");
        assert_eq!(html.matches("aria-current=\"page\"").count(), 1, "{path}");
    }
}

#[tokio::test]
async fn links_follow_where_the_host_nested_the_router() {
    let serving = Serving::new();
    for id in 1..=2 {
        serving.send(Job { id, ..Job::default() }.request(&format!("g{id}"))).await;
    }
    let host = Router::new().nest("/ci", serving.router.clone());
    let get = |uri: &str| Request::get(uri).body(Body::empty()).unwrap();
    for uri in ["/ci", "/ci/jobs"] {
        let html = send(&host, get(uri)).await.text;
        assert!(html.contains("href=\"/ci/style.css\"") && html.contains("href=\"/ci/workers\""), "{html}");
    }
    let list = send(&host, get("/ci/jobs.json?per_page=1")).await;
    assert!(list.header("link").starts_with("</ci/jobs.json?page=1&per_page=1>"), "{}", list.header("link"));
    let overview = send(&host, get("/ci/jobs")).await.text;
    let links = overview.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    for link in links.filter(|link| link.starts_with('/') && !link.ends_with("sign-in")) {
        assert_eq!(send(&host, get(link)).await.status, StatusCode::OK, "{link}");
    }
    let page = send(&host, get("/ci/nowhere")).await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (StatusCode::NOT_FOUND, "text/html; charset=utf-8")
    );
    assert!(page.text.contains("no such page") && page.text.contains("href=\"/ci/jobs\""), "{}", page.text);
    assert_eq!(send(&host, get("/ci/nowhere.json")).await.json()["error"], "no such page");
}
