//! What the router needs from its process, put together once by its builder.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use riscv_runner_core::{
    controls::Controls,
    policy::Policy,
    ports::{
        ControlStore, EventStore, Inspector, Lately, LeaseStore, Platform, PortError, PortErrorKind,
        PortResult, ReportStore, UnroutedRow,
    },
    unrouted,
};
use riscv_runner_github::webhook::KnownApps;
use secrecy::SecretString;
use tokio::sync::watch;

use crate::{
    cached::{Cached, Shared},
    clients::{Allowances, Client},
    intake::Webhooks,
    live::Live,
    metrics::{Counted, Metrics},
    orders::Operators,
    pages::lately::last_day,
    picture::Picture,
    pods::{PodSource, Pods},
    readiness::Readiness,
    snapshots::SnapshotSource,
    staging::StagingProxy,
    trace::TraceSource,
    turns::Turns,
};

/// How long reading a page's data may take; after that the page reports an outage.
const STORE_READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How old the picture on a page may be: a reader does not see less, and the store is asked once.
pub(crate) const PICTURE_MAX_AGE: Duration = Duration::from_secs(1);
/// What the last day showed changes slowly, and takes long to read.
const LATELY_MAX_AGE: Duration = Duration::from_secs(30);
/// How many viewers of the overview there may be at the same time, unless the host says otherwise: each costs
/// a connection and nothing else.
const WATCHERS: usize = 200;
/// How often the viewers of the overview get an update, if anything changed.
const LIVE_EVERY: Duration = Duration::from_secs(2);

/// Questions to GitHub that one address may ask at once.
const QUESTIONS: u32 = 10;
/// A further one is allowed this often.
const QUESTION_EVERY: Duration = Duration::from_secs(6);

/// Everything that the router shares between requests; cheap to clone.
#[derive(Clone)]
pub struct AppState(pub(crate) Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) reports: Arc<dyn ReportStore>,
    pub(crate) lease: Arc<dyn LeaseStore>,
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) policy: watch::Receiver<Arc<Policy>>,
    pub(crate) controls: watch::Receiver<Arc<Controls>>,
    pub(crate) snapshots: Option<Arc<dyn SnapshotSource>>,
    pub(crate) picture: Cached<Picture>,
    pub(crate) turns: Turns,
    pub(crate) lately: Cached<Lately>,
    pub(crate) unrouted: Cached<Vec<UnroutedRow>>,
    pub(crate) live: Live,
    pub(crate) webhooks: Option<Webhooks>,
    pub(crate) staging: Option<Arc<dyn StagingProxy>>,
    pub(crate) inspector: Option<Arc<dyn Inspector>>,
    pub(crate) pods: Option<Pods>,
    /// How many questions to GitHub each visitor may still ask.
    pub(crate) questions: Allowances,
    pub(crate) behind_proxy: bool,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) counted: Option<Arc<dyn Counted>>,
    pub(crate) trace: Option<TraceSource>,
    pub(crate) reader_token: Option<SecretString>,
    pub(crate) public_pages: bool,
    pub(crate) operators: Option<Operators>,
}

/// Puts an [`AppState`] together; what is not set takes its default.
pub struct AppStateBuilder(Parts);

impl AppState {
    /// Begins with what is always needed. `reports` and `lease` are usually one database; with connections of
    /// its own for `reports`, readers of pages delay nothing else. `policy` and `controls` are read for every
    /// request, so a reload takes effect at once.
    #[must_use]
    pub fn builder(
        reports: Arc<dyn ReportStore>,
        lease: Arc<dyn LeaseStore>,
        platform: Arc<dyn Platform>,
        policy: watch::Receiver<Arc<Policy>>,
        controls: watch::Receiver<Arc<Controls>>,
    ) -> AppStateBuilder {
        AppStateBuilder(Parts {
            reports,
            lease,
            platform,
            policy,
            controls,
            snapshots: None,
            picture: Cached::default(),
            turns: Turns::default(),
            lately: Cached::default(),
            unrouted: Cached::default(),
            live: Live::new(WATCHERS, LIVE_EVERY),
            webhooks: None,
            staging: None,
            inspector: None,
            pods: None,
            questions: Allowances::new(QUESTIONS, QUESTION_EVERY),
            behind_proxy: false,
            readiness: Arc::default(),
            metrics: Arc::default(),
            counted: None,
            trace: None,
            reader_token: None,
            public_pages: true,
            operators: None,
        })
    }
}

impl AppStateBuilder {
    /// Shows the queue, the boards and why jobs wait; usually the engine. Without it those pages are answered
    /// 404, and the metrics lack what only it knows.
    #[must_use]
    pub fn snapshots(mut self, source: Arc<dyn SnapshotSource>) -> Self {
        self.0.snapshots = Some(source);
        self
    }

    /// Accepts webhooks at `POST /`. Without it that route is not served.
    #[must_use]
    pub fn webhooks(mut self, webhooks: Webhooks) -> Self {
        self.0.webhooks = Some(webhooks);
        self
    }

    /// Where deliveries of staging accounts and repositories go. Without it they are answered 502.
    #[must_use]
    pub fn staging(mut self, staging: Arc<dyn StagingProxy>) -> Self {
        self.0.staging = Some(staging);
        self
    }

    /// Greets users who installed an App, and checks repositories for them. Without it those pages are
    /// answered 404.
    #[must_use]
    pub fn inspector(mut self, inspector: Arc<dyn Inspector>) -> Self {
        self.0.inspector = Some(inspector);
        self
    }

    /// Shows why a worker's pod waits, in the cluster's words; usually the engine's cluster. Without it such
    /// a worker's page shows its state alone.
    #[must_use]
    pub fn pods(mut self, source: Arc<dyn PodSource>) -> Self {
        self.0.pods = Some(Pods::new(source));
        self
    }

    /// Whether a proxy in front of the router passes on its clients' addresses in `X-Forwarded-For`: how
    /// often a client may query GitHub is counted by address. Default: no, the address of the connection.
    #[must_use]
    pub fn behind_proxy(mut self, behind_proxy: bool) -> Self {
        self.0.behind_proxy = behind_proxy;
        self
    }

    /// The record that the loops write to. Default: one that is never written.
    #[must_use]
    pub fn readiness(mut self, readiness: Arc<Readiness>) -> Self {
        self.0.readiness = readiness;
        self
    }

    /// The metrics that the engine's observer counts in. Default: the router's own.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<Metrics>) -> Self {
        self.0.metrics = metrics;
        self
    }

    /// What other parts of the process count themselves. Default: nothing, and those metrics stay at zero.
    #[must_use]
    pub fn counted(mut self, counted: Arc<dyn Counted>) -> Self {
        self.0.counted = Some(counted);
        self
    }

    /// Serves `/trace/*` from this log to the holder of the reader's token; `apps` are ours. Without it, or
    /// without a token, those routes are not served.
    #[must_use]
    pub fn trace(mut self, events: Arc<dyn EventStore>, apps: &KnownApps) -> Self {
        self.0.trace = Some(TraceSource::new(events, apps));
        self
    }

    /// The bearer token that lets a reader see everything. Default: none, so no reader may.
    #[must_use]
    pub fn reader_token(mut self, token: SecretString) -> Self {
        self.0.reader_token = Some(token);
        self
    }

    /// Whether pages may be read without the token, then without the names of private repositories.
    /// Default: yes.
    #[must_use]
    pub fn public_pages(mut self, public: bool) -> Self {
        self.0.public_pages = public;
        self
    }

    /// How many viewers the live overview may have at the same time, and how often it is updated. Further
    /// viewers reload the page every 15 seconds instead. Default: 200, every two seconds.
    #[must_use]
    pub fn live(mut self, watchers: usize, every: Duration) -> Self {
        self.0.live = Live::new(watchers, every);
        self
    }

    /// Where orders of operators are kept, for the page that shows them; and the bearer token with
    /// which programs may give them at `POST /controls`. Without a token that route is not served.
    #[must_use]
    pub fn operators(mut self, store: Arc<dyn ControlStore>, token: Option<SecretString>) -> Self {
        self.0.operators = Some(Operators { store, token });
        self
    }

    /// The state, ready for [`crate::router`].
    #[must_use]
    pub fn build(self) -> AppState {
        AppState(Arc::new(self.0))
    }
}

impl AppState {
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.0.policy.borrow().clone()
    }

    pub(crate) fn controls(&self) -> Arc<Controls> {
        self.0.controls.borrow().clone()
    }

    /// The scheduler's view, with the oldest jobs of each queue and counts of the others, at most this old;
    /// `None` in a process that has no scheduler.
    pub(crate) async fn picture(&self, max_age: Duration) -> Option<Shared<Picture>> {
        let source = Arc::clone(self.0.snapshots.as_ref()?);
        let policy = self.policy();
        let look = async move {
            let snapshot = in_time(source.overview(Picture::MOST_OF_A_KEY)).await?;
            Ok(Picture::new(snapshot, &policy))
        };
        Some(self.0.picture.get(max_age, look).await)
    }

    /// Ends the streams of the overview's viewers: a server that waits for its connections to close would
    /// wait for ever. To be called when the process is asked to stop.
    pub fn end_streams(&self) {
        self.0.live.end();
    }

    /// What happened in the last day.
    pub(crate) async fn lately(&self) -> Shared<Lately> {
        let (reports, now) = (Arc::clone(&self.0.reports), self.0.platform.now());
        let read = async move { in_time(reports.lately(last_day(now))).await };
        self.0.lately.get(LATELY_MAX_AGE, read).await
    }

    /// Jobs whose labels matched no rule.
    pub(crate) async fn unrouted(&self) -> Shared<Vec<UnroutedRow>> {
        let (reports, now) = (Arc::clone(&self.0.reports), self.0.platform.now());
        let since = now.checked_sub(unrouted::LOOK_BACK).unwrap_or(Timestamp::MIN);
        let read = async move { in_time(reports.unrouted(since, unrouted::MOST_ROWS)).await };
        self.0.unrouted.get(LATELY_MAX_AGE, read).await
    }

    /// Reads much of the store, when it is this client's turn; waiting for that counts as well.
    pub(crate) async fn read_in_turn<T>(
        &self,
        client: Client,
        read: impl Future<Output = PortResult<T>>,
    ) -> PortResult<T> {
        let in_turn = async {
            let _reading = self.0.turns.wait(client).await;
            read.await
        };
        in_time(in_turn).await
    }

    /// Reads the store, but not for ever: a store that hangs is as good as down.
    pub(crate) async fn read<T>(&self, read: impl Future<Output = PortResult<T>>) -> PortResult<T> {
        in_time(read).await
    }
}

async fn in_time<T>(read: impl Future<Output = PortResult<T>>) -> PortResult<T> {
    tokio::time::timeout(STORE_READ_TIMEOUT, read).await.unwrap_or_else(|_| {
        let detail = format!("no answer within {} s", STORE_READ_TIMEOUT.as_secs());
        Err(PortError::new(PortErrorKind::Transient, "read the store", detail))
    })
}
