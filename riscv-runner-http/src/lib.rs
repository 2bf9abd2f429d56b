//! The HTTP router of riscv-runner: webhook intake, pages, health and metrics.
//!
//! It reads the store and the engine's snapshots, and hands deliveries to the engine's intake; it calls
//! neither GitHub nor the cluster, and decides nothing.
//!
//! [`router`] is an ordinary [`axum::Router`]: a host serves it as it is, or nests it among its own
//! routes, and the links of the pages follow.
//!
//! ```
//! use std::{collections::BTreeMap, sync::Arc};
//!
//! use axum::{Router, body::Body, routing::get};
//! use http::{Request, StatusCode};
//! use riscv_runner_core::{
//!     controls::Controls,
//!     engine::{intake::intake, wake::Wake},
//!     entity::EntityKind,
//!     ids::AppId,
//!     policy::{Limits, NamePrefix, Policy, Timeouts},
//! };
//! use riscv_runner_github::{signature::WebhookSecrets, webhook::KnownApps};
//! use riscv_runner_http::{AppState, IntakeLimits, Webhooks, metrics::Metrics, router};
//! use riscv_runner_sim::{
//!     chance::Stream,
//!     clock::{SimClock, SimPlatform},
//!     store::MemoryStore,
//! };
//! use tokio::sync::watch;
//! use tower::ServiceExt;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A store and a clock: here simulated, in production PostgreSQL and the system's.
//! let platform = Arc::new(SimPlatform::new(SimClock::default(), Stream::new(1, "example")));
//! let store = Arc::new(MemoryStore::new(platform.clone()));
//!
//! // Intake writes what the router receives; its writer runs beside the server.
//! let metrics = Arc::new(Metrics::new());
//! let (entrance, writer) = intake(1024, store.clone(), metrics.clone(), Wake::default());
//! tokio::spawn(writer.run());
//!
//! let policy = Policy {
//!     pools: BTreeMap::new(),
//!     routes: Vec::new(),
//!     entities: BTreeMap::new(),
//!     banned_senders: [].into(),
//!     staging_repositories: [].into(),
//!     limits: Limits::default(),
//!     timeouts: Timeouts::default(),
//!     name_prefix: NamePrefix::new("riscv-runner-")?,
//! };
//! let (_reload, policy) = watch::channel(Arc::new(policy));
//! let (_operators, controls) = watch::channel(Arc::new(Controls::default()));
//! let secrets = WebhookSecrets::new(&["the webhook secret".into()])?;
//! let apps = KnownApps::from_iter([(AppId::new(1)?, EntityKind::Organization)]);
//!
//! let state = AppState::builder(store.clone(), store, platform, policy, controls)
//!     .webhooks(Webhooks::new(entrance, secrets, apps, IntakeLimits::default()))
//!     .metrics(metrics)
//!     .build();
//!
//! // The host keeps its own routes; GitHub's webhooks go to POST /runners.
//! let host = Router::new().route("/", get(|| async { "home" })).nest("/runners", router(state));
//!
//! let request = Request::get("/runners/health").body(Body::empty())?;
//! assert_eq!(host.clone().oneshot(request).await?.status(), StatusCode::OK);
//! let unsigned = Request::post("/runners").body(Body::from("{}"))?;
//! assert_eq!(host.oneshot(unsigned).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```

mod answer;
mod cached;
mod health;
mod intake;
mod live;
pub mod metrics;
mod orders;
mod pages;
mod picture;
pub mod rate;
pub mod readiness;
mod router;
mod security;
mod snapshots;
pub mod staging;
mod state;

pub use intake::{IntakeLimits, Webhooks};
pub use router::{Role, router, router_for};
pub use snapshots::SnapshotSource;
pub use state::{AppState, AppStateBuilder};
