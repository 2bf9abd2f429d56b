//! A router on an in-memory store, with its intake running, and the answers it gives.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use riscv_runner_core::{
    controls::Controls,
    engine::{
        intake::{Intake, intake},
        wake::Wake,
    },
    entity::EntityKind,
    ids::{AppId, EntityId, ImageRef, Login, PoolName, RepoName},
    labels::LabelSet,
    policy::{EntityPolicy, Limits, NamePrefix, Policy, PoolPolicy, Timeouts},
    ports::{DeliveryStore, LeaseStore, ReportStore, Silent},
    routing::{LabelMatch, Route},
};
use riscv_runner_github::{signature::WebhookSecrets, webhook::KnownApps};
use riscv_runner_http::{
    AppState, AppStateBuilder, IntakeLimits, PodSource, Role, Webhooks, metrics::Metrics,
    readiness::Readiness, router_for,
};
use riscv_runner_sim::{
    chance::Stream,
    clock::{SimClock, SimPlatform},
    store::MemoryStore,
};
use secrecy::SecretString;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::looking::Looking;

/// The secret that [`crate::payloads::signed`] signs with.
pub(crate) const SECRET: &str = "webhook-secret";
/// The token of an authenticated reader.
pub(crate) const TOKEN: &str = "reader-token";
/// The App of organizations.
pub(crate) const ORG_APP: i64 = 11;
/// The App of personal accounts.
pub(crate) const USER_APP: i64 = 12;
/// An account whose deliveries go to staging.
pub(crate) const STAGING_ENTITY: i64 = 700;
/// An account whose jobs are refused.
pub(crate) const BANNED_ENTITY: i64 = 666;

/// A router with everything behind it.
pub(crate) struct Serving {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: SimClock,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) controls: watch::Sender<Arc<Controls>>,
    pub(crate) looking: Arc<Looking>,
    pub(crate) state: AppState,
    pub(crate) router: Router,
    _policy: watch::Sender<Arc<Policy>>,
}

/// Where each part of the router finds its store.
pub(crate) struct Stores {
    pub(crate) deliveries: Arc<dyn DeliveryStore>,
    pub(crate) reports: Arc<dyn ReportStore>,
    pub(crate) lease: Arc<dyn LeaseStore>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Serving {
    /// Everything in order, and everything served.
    pub(crate) fn new() -> Self {
        Self::with(Role::All, IntakeLimits::default(), |builder| builder)
    }

    /// The same with these settings.
    pub(crate) fn with(
        role: Role,
        limits: IntakeLimits,
        settings: impl FnOnce(AppStateBuilder) -> AppStateBuilder,
    ) -> Self {
        Self::on(role, limits, settings, |store| Stores {
            deliveries: store.clone(),
            reports: store.clone(),
            lease: store,
        })
    }

    /// The same with other stores in front of the one in memory. Must be called in a runtime.
    pub(crate) fn on(
        role: Role,
        limits: IntakeLimits,
        settings: impl FnOnce(AppStateBuilder) -> AppStateBuilder,
        stores: impl FnOnce(Arc<MemoryStore>) -> Stores,
    ) -> Self {
        Self::made(role, limits, |builder, _| settings(builder), stores)
    }

    /// Everything in order, in a process that sees the queue and these boards of the pool `k1`.
    pub(crate) fn seeing(boards: u32) -> Self {
        let serving = Self::made(
            Role::All,
            IntakeLimits::default(),
            |builder, looking| builder.pods(Arc::clone(&looking) as Arc<dyn PodSource>).snapshots(looking),
            |store| Stores { deliveries: store.clone(), reports: store.clone(), lease: store },
        );
        serving.looking.add_boards("k1", boards);
        serving
    }

    /// The same without boards, with these settings.
    pub(crate) fn seeing_with(
        settings: impl FnOnce(AppStateBuilder, Arc<MemoryStore>) -> AppStateBuilder,
    ) -> Self {
        Self::made(
            Role::All,
            IntakeLimits::default(),
            |builder, looking| {
                let store = looking.store();
                settings(builder.snapshots(looking), store)
            },
            |store| Stores { deliveries: store.clone(), reports: store.clone(), lease: store },
        )
    }

    /// Everything in order, with a log that can be traced.
    pub(crate) fn tracing(apps: &KnownApps) -> Self {
        Self::made(
            Role::All,
            IntakeLimits::default(),
            |builder, looking| builder.trace(looking.store(), apps),
            |store| Stores { deliveries: store.clone(), reports: store.clone(), lease: store },
        )
    }

    /// The same with settings that need the boards.
    pub(crate) fn made(
        role: Role,
        limits: IntakeLimits,
        settings: impl FnOnce(AppStateBuilder, Arc<Looking>) -> AppStateBuilder,
        stores: impl FnOnce(Arc<MemoryStore>) -> Stores,
    ) -> Self {
        let clock = SimClock::default();
        let platform = Arc::new(SimPlatform::new(clock.clone(), Stream::new(1, "http")));
        let store = Arc::new(MemoryStore::new(platform.clone()));
        let stores = stores(Arc::clone(&store));
        let (entrance, writer) = intake(64, stores.deliveries, Arc::new(Silent), Wake::default());
        tokio::spawn(writer.run());
        let (policy, policy_seen) = watch::channel(Arc::new(policy()));
        let (controls, controls_seen) = watch::channel(Arc::new(Controls::default()));
        let (readiness, metrics) = (Arc::new(Readiness::default()), Arc::new(Metrics::new()));
        let builder = AppState::builder(stores.reports, stores.lease, platform, policy_seen, controls_seen)
            .webhooks(webhooks(entrance, limits))
            .readiness(Arc::clone(&readiness))
            .metrics(Arc::clone(&metrics))
            .reader_token(SecretString::from(TOKEN));
        let looking = Arc::new(Looking::new(Arc::clone(&store), clock.clone()));
        let state = settings(builder, Arc::clone(&looking)).build();
        let router = router_for(role, state.clone());
        Self { store, clock, readiness, metrics, controls, looking, state, router, _policy: policy }
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    /// Reads a page.
    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.send(Request::get(uri).body(Body::empty()).unwrap()).await
    }

    /// Reads a page as the holder of the token.
    pub(crate) async fn get_as_reader(&self, uri: &str) -> Answer {
        let request = Request::get(uri).header("authorization", format!("Bearer {TOKEN}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Whether no delivery and no job was stored.
    pub(crate) fn stored_nothing(&self) -> bool {
        self.store.log().is_empty() && self.store.all_jobs().is_empty()
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request to any router.
pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
}

fn webhooks(entrance: Intake, limits: IntakeLimits) -> Webhooks {
    let secrets = ["older-secret", SECRET].map(SecretString::from);
    let apps: KnownApps = [(ORG_APP, EntityKind::Organization), (USER_APP, EntityKind::User)]
        .map(|(app, kind)| (AppId::new(app).unwrap(), kind))
        .into_iter()
        .collect();
    Webhooks::new(entrance, WebhookSecrets::new(&secrets).unwrap(), apps, limits)
}

/// One pool with one route, a banned account and a staging account.
pub(crate) fn policy() -> Policy {
    let pool = PoolName::new("k1").unwrap();
    let entity = |id| EntityId::new(id).unwrap();
    Policy {
        pools: BTreeMap::from([(
            pool.clone(),
            PoolPolicy {
                node_selector: BTreeMap::from([("riseproject.dev/board".to_owned(), "k1".to_owned())]),
                image: ImageRef::new("registry.example/runner:1").unwrap(),
                max_workers: None,
            },
        )]),
        routes: vec![Route {
            labels: LabelSet::new(["ubuntu-24.04-riscv"]).unwrap(),
            label_match: LabelMatch::Exact,
            entities: Vec::new(),
            repositories: Vec::new(),
            app: None,
            pool,
            image: None,
            max_workers: None,
            warm: 0,
        }],
        entities: BTreeMap::from([
            (entity(STAGING_ENTITY), EntityPolicy { staging: true, ..EntityPolicy::default() }),
            (entity(BANNED_ENTITY), EntityPolicy { banned: true, ..EntityPolicy::default() }),
        ]),
        banned_senders: [Login::new("mallory").unwrap()].into(),
        staging_repositories: [RepoName::new("acme/staged").unwrap()].into(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        name_prefix: NamePrefix::new("rr-").unwrap(),
    }
}
