//! Records what the loops and the GitHub adapter do: in metrics, on `/ready`, and failed authentications in
//! the event log.

use std::sync::Arc;

use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, LogEntry, LogSource, Outcome},
    engine::intake::Intake,
    heartbeat::Vitals,
    ports::{EngineEvent, EventStore, NoticeOutcome, Observer, Platform, Tracer},
};
use riscv_runner_github::{Answer, AuthFailure, GithubObserver};
use riscv_runner_http::{
    metrics::Metrics,
    readiness::{Peer, Readiness},
};
use serde_json::value::RawValue;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::platform::TokioPlatform;

/// Failures that wait to be recorded: one for each installation, when every one fails at once.
const WAITING: usize = 4096;

/// How many events may wait for notifications; a burst of failures is summed up anyway.
const EVENTS: usize = 256;

/// An observer of everything.
pub(crate) struct Witness {
    /// The metrics.
    pub(crate) metrics: Arc<Metrics>,
    /// When each peer was last seen.
    pub(crate) readiness: Arc<Readiness>,
    /// The engine's health.
    pub(crate) vitals: Arc<Vitals>,
    failures: mpsc::Sender<AuthFailure>,
    events: mpsc::Sender<EngineEvent>,
    tracer: Option<Arc<dyn Tracer>>,
}

/// What a witness hands on.
pub(crate) struct Heard {
    /// For [`record_failures`].
    pub(crate) failures: mpsc::Receiver<AuthFailure>,
    /// Events for notifications.
    pub(crate) events: mpsc::Receiver<EngineEvent>,
}

impl Witness {
    /// A witness that gives spans to `tracer`, and what it hands on.
    pub(crate) fn new(tracer: Option<Arc<dyn Tracer>>) -> (Arc<Self>, Heard) {
        let ((failures, failures_heard), (events, events_heard)) =
            (mpsc::channel(WAITING), mpsc::channel(EVENTS));
        let (metrics, readiness, vitals) = (Arc::default(), Arc::default(), Arc::default());
        let heard = Heard { failures: failures_heard, events: events_heard };
        (Arc::new(Self { metrics, readiness, vitals, failures, events, tracer }), heard)
    }

    /// Hands on events for notifications; there is no receiver where nobody is to be notified.
    fn hand_on(&self, event: EngineEvent) {
        if let Err(TrySendError::Full(_)) = self.events.try_send(event) {
            let outcome = NoticeOutcome::Dropped;
            self.metrics.observe(EngineEvent::Noticed { notifier: "none", outcome });
        }
    }
}

impl Observer for Witness {
    fn observe(&self, event: EngineEvent) {
        if let EngineEvent::Leading(leading) = event {
            self.readiness.set_leading(leading);
        }
        self.vitals.observe(&event, TokioPlatform.now());
        if matches!(event, EngineEvent::Leading(_) | EngineEvent::WorkerFailed { .. }) {
            self.hand_on(event);
        }
        self.metrics.observe(event);
    }

    fn tracer(&self) -> Option<&dyn Tracer> {
        self.tracer.as_deref()
    }
}

impl GithubObserver for Witness {
    fn answered(&self, answer: Answer) {
        let now = TokioPlatform.now();
        match answer.status {
            Some(status) if status < 500 => self.readiness.seen(Peer::GitHub, now),
            Some(_) | None => self.readiness.failed(Peer::GitHub, now),
        }
        self.metrics.answered(answer);
    }

    fn auth_failed(&self, failure: &AuthFailure) {
        if self.failures.try_send(failure.clone()).is_err() {
            tracing::warn!(installation = %failure.installation, "too many failed authentications to record this one");
        }
    }
}

/// Writes failed authentications into the event log, until the witness is gone.
pub(crate) async fn record_failures(
    mut failures: mpsc::Receiver<AuthFailure>,
    intake: Intake,
    events: Arc<dyn EventStore>,
) {
    while let Some(failure) = failures.recv().await {
        let record = authentication_failed(&failure, events.as_ref()).await;
        if let Err(error) = intake.record(record).await {
            tracing::warn!(%error, installation = %failure.installation, "a failed authentication was not recorded");
        }
    }
}

/// The row of the log about a failed authentication. Without its account, where none is known, it is still
/// found by its installation.
pub(crate) async fn authentication_failed(failure: &AuthFailure, events: &dyn EventStore) -> DeliveryRecord {
    let outcome = if failure.status == Some(404) { Outcome::Auth404 } else { Outcome::AuthOtherError };
    let payload = serde_json::json!({ "status": failure.status, "message": failure.message });
    let log = LogEntry {
        source: LogSource::Scheduler,
        guid: None,
        event: failure.event().to_owned(),
        installation: Some(failure.installation),
        app: Some(failure.app),
        entity: events.entity_of_installation(failure.installation).await.unwrap_or_default(),
        payload: serde_json::value::to_raw_value(&payload).unwrap_or_else(|_| RawValue::NULL.to_owned()),
        received_at: failure.at,
    };
    DeliveryRecord { log, effect: Effect::Nothing(outcome), installation: None }
}
