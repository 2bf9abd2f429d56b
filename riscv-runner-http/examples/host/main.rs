//! A host application that runs riscv-runner inside: its own routes beside the nested pages and webhooks, the
//! engine as one of its tasks, a store in memory, and machines and a GitHub of its own behind the ports.
//!
//! `cargo run -p riscv-runner-http --example host` takes one signed webhook, sees a machine start for its job, and ends.

mod github;
mod lab;

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use futures::{FutureExt, future::BoxFuture};
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, StatusCode};
use jiff::Timestamp;
use riscv_runner_core::{
    controls::Controls,
    engine::{Engine, EngineParts, Wakes, intake::intake},
    entity::EntityKind,
    ids::{AppId, PoolName, ReplicaName},
    labels::LabelSet,
    policy::{Limits, NamePrefix, Policy, PoolPolicy, Timeouts},
    ports::{Platform, Silent},
    routing::{LabelMatch, Route},
};
use riscv_runner_github::{signature::WebhookSecrets, webhook::KnownApps};
use riscv_runner_http::{AppState, IntakeLimits, Webhooks, metrics::Metrics, router};
use riscv_runner_sim::store::MemoryStore;
use sha2::Sha256;
use tokio::sync::{oneshot, watch};
use tower::ServiceExt;

use self::{github::OwnGithub, lab::Lab};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const SECRET: &str = "the host's webhook secret";
/// Far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The host's time and chance.
struct Clock;

impl Platform for Clock {
    #[expect(clippy::disallowed_methods, reason = "the edge of the host")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }

    fn seed(&self) -> u64 {
        // A host takes it from its source of chance; it decides the names of workers.
        7
    }
}

fn policy() -> Outcome<Policy> {
    let pool = PoolName::new("lab")?;
    let lab = PoolPolicy {
        node_selector: BTreeMap::from([("kind".to_owned(), "riscv".to_owned())]),
        image: "registry.example/runner:24.04".parse()?,
        max_workers: None,
    };
    let route = Route {
        labels: LabelSet::new(["riscv"])?,
        label_match: LabelMatch::Exact,
        entities: Vec::new(),
        repositories: Vec::new(),
        app: None,
        pool: pool.clone(),
        image: None,
        max_workers: None,
        warm: 0,
    };
    Ok(Policy {
        pools: BTreeMap::from([(pool, lab)]),
        routes: vec![route],
        entities: BTreeMap::new(),
        banned_senders: [].into(),
        staging_repositories: [].into(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        name_prefix: NamePrefix::new("lab-")?,
    })
}

/// What GitHub would send for a queued job.
fn webhook() -> Outcome<Request<Body>> {
    let body = serde_json::json!({
        "action": "queued",
        "workflow_job": { "id": 1, "run_id": 2, "labels": ["riscv"], "name": "build",
                          "html_url": "https://github.com/acme/tool", "created_at": "2026-01-01T00:00:00Z" },
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
        .header("x-github-delivery", "00000000-0000-0000-0000-000000000001")
        .header("x-github-hook-installation-target-id", "1")
        .header("x-hub-signature-256", signature)
        .body(Body::from(body))?)
}

/// Runs the host until one job has its machine.
#[tokio::main]
pub(crate) async fn main() -> Outcome<()> {
    let platform: Arc<dyn Platform> = Arc::new(Clock);
    let (store, lab) = (Arc::new(MemoryStore::new(Arc::clone(&platform))), Arc::new(Lab::with_machines(2)?));
    let (_reload, policy) = watch::channel(Arc::new(policy()?));
    let wakes = Wakes::default();
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
    let state = AppState::builder(store.clone(), store, platform, policy, controls)
        .snapshots(engine)
        .webhooks(Webhooks::new(entrance, secrets, apps, IntakeLimits::default()))
        .metrics(metrics)
        .build();
    let host =
        Router::new().route("/", get(|| async { "the host's own page" })).nest("/runners", router(state));

    assert_eq!(host.clone().oneshot(webhook()?).await?.status(), StatusCode::OK);
    let machine = tokio::time::timeout(PATIENCE, lab.started()).await?;
    let page = host.oneshot(Request::get("/runners/queue").body(Body::empty())?).await?;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(machine.starts_with("machine-"), "{machine}");
    // A deaf receiver means that the engine has ended already.
    let _ = stop.send(());
    running.await?;
    Ok(())
}
