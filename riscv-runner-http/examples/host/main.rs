//! A host application that runs riscv-runner inside: its own routes beside the nested pages and webhooks, the
//! engine as one of its tasks, and a store, machines and a GitHub of its own behind the ports: those of the
//! core's example `service`.
//!
//! `cargo run -p riscv-runner-http --example host` takes the signed webhooks of one job, looks at the pages meanwhile,
//! and ends with the job.

#[path = "../../../riscv-runner-core/examples/service/github.rs"]
mod github;
#[path = "../../../riscv-runner-core/examples/service/lab.rs"]
mod lab;
#[path = "../../../riscv-runner-core/examples/service/parts.rs"]
mod parts;
#[path = "../../../riscv-runner-core/examples/service/store/mod.rs"]
mod store;

use std::{error::Error, sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use riscv_runner_core::{
    controls::Controls,
    engine::{Engine, EngineParts, Wakes, intake::intake},
    entity::EntityKind,
    ids::{AppId, ReplicaName, WorkerName},
    ports::{Platform, Silent},
    worker::WorkerStatus,
};
use riscv_runner_github::{signature::WebhookSecrets, webhook::KnownApps};
use riscv_runner_http::{AppState, IntakeLimits, Webhooks, metrics::Metrics, router};
use serde_json::json;
use sha2::Sha256;
use tokio::sync::{oneshot, watch};
use tower::ServiceExt;

use self::{github::OwnGithub, lab::Lab, parts::Clock, store::OwnStore};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const SECRET: &str = "the host's webhook secret";
/// Far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What GitHub would send when its one job moves.
fn webhook(action: &str, runner: Option<&WorkerName>) -> Outcome<Request<Body>> {
    let done = action == "completed";
    let body = json!({
        "action": action,
        "workflow_job": { "id": 1, "run_id": 2, "labels": ["riscv"], "name": "build",
                          "html_url": "https://github.com/acme/tool", "created_at": "2026-01-01T00:00:00Z",
                          "started_at": runner.map(|_| "2026-01-01T00:00:10Z"),
                          "runner_name": runner.map(WorkerName::as_str),
                          "conclusion": done.then_some("success"),
                          "completed_at": done.then_some("2026-01-01T00:00:20Z") },
        "repository": { "id": 3, "name": "tool", "full_name": "acme/tool", "private": false,
                        "owner": { "id": 4, "login": "acme", "type": "Organization" } },
        "organization": { "id": 4, "login": "acme" },
        "installation": { "id": 5 },
        "sender": { "id": 6, "login": "alice", "type": "User" },
    })
    .to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    Ok(Request::post("/runners")
        .header("content-type", "application/json")
        .header("x-github-event", "workflow_job")
        .header("x-github-delivery", format!("{action}-00000000-0000-0000-0000-000000000001"))
        .header("x-github-hook-installation-target-id", "1")
        .header("x-hub-signature-256", signature)
        .body(Body::from(body))?)
}

/// What the host answers for one of its pages.
async fn page(host: &Router, path: &str) -> Outcome<String> {
    let answer = host.clone().oneshot(Request::get(path).body(Body::empty())?).await?;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    Ok(String::from_utf8(answer.into_body().collect().await?.to_bytes().into())?)
}

/// The host's routes, with riscv-runner's below `/runners`.
fn host(state: AppState) -> Router {
    Router::new().route("/", get(|| async { "the host's own page" })).nest("/runners", router(state))
}

/// Runs the host until one job is through.
#[tokio::main]
pub(crate) async fn main() -> Outcome<()> {
    let (platform, wakes): (Arc<dyn Platform>, _) = (Arc::new(Clock), Wakes::default());
    let store = Arc::new(OwnStore::new(Arc::clone(&platform)));
    let lab = Arc::new(Lab::with_machines(2, Arc::clone(&platform), wakes.workers.clone())?);
    let (_reload, policy) = watch::channel(Arc::new(parts::policy()?));
    let engine = Engine::new(EngineParts {
        store: store.clone(),
        forge: Arc::new(OwnGithub::default()),
        cluster: lab.clone(),
        platform: Arc::clone(&platform),
        observer: Arc::new(Silent),
        policy: policy.clone(),
        replica: ReplicaName::new("host")?,
        wakes: wakes.clone(),
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(Arc::clone(&engine).run(async { drop(stopped.await) }));

    let metrics = Arc::new(Metrics::new());
    let (entrance, writer) = intake(1024, store.clone(), metrics.clone(), wakes.schedule.clone());
    tokio::spawn(writer.run());
    let (_operators, controls) = watch::channel(Arc::new(Controls::default()));
    let secrets = WebhookSecrets::new(&[SECRET.into()])?;
    let apps = KnownApps::from_iter([(AppId::new(1)?, EntityKind::Organization)]);
    let state = AppState::builder(store.clone(), store.clone(), platform, policy, controls)
        .snapshots(engine)
        .webhooks(Webhooks::new(entrance, secrets, apps, IntakeLimits::default()))
        .metrics(metrics)
        .build();
    let host = host(state);

    assert_eq!(host.clone().oneshot(webhook("queued", None)?).await?.status(), StatusCode::OK);
    let worker = tokio::time::timeout(PATIENCE, lab.started()).await?;
    lab.up(&worker);
    for action in ["in_progress", "completed"] {
        let answer = host.clone().oneshot(webhook(action, Some(&worker))?).await?;
        assert_eq!(answer.status(), StatusCode::OK, "{action}");
    }
    lab.done(&worker);
    let row = tokio::time::timeout(PATIENCE, store.ended(&worker)).await?;
    assert_eq!(row.status, WorkerStatus::Completed);

    assert_eq!(page(&host, "/").await?, "the host's own page");
    assert!(page(&host, "/runners/jobs").await?.contains("acme/tool"));
    assert!(page(&host, "/runners/workers").await?.contains(worker.as_str()));
    assert!(page(&host, "/runners/metrics").await?.contains("job_marked_completed"));
    // A deaf receiver means that the engine has ended already.
    let _ = stop.send(());
    running.await?;
    Ok(())
}
