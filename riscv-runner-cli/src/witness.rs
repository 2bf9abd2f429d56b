//! What the loops and the GitHub adapter do, noted: counted, seen on `/ready`, and failed authentications
//! recorded in the event log.

use std::sync::Arc;

use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, LogEntry, LogSource, Outcome},
    engine::intake::Intake,
    ports::{EngineEvent, Observer, Platform},
};
use riscv_runner_github::{Answer, AuthFailure, GithubObserver};
use riscv_runner_http::{
    metrics::Metrics,
    readiness::{Peer, Readiness},
};
use tokio::sync::mpsc;

use crate::platform::TokioPlatform;

/// Failures that wait to be recorded; more at a time tell nothing new.
const WAITING: usize = 64;

/// Somebody who takes note of everything.
pub(crate) struct Witness {
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Who was seen when.
    pub(crate) readiness: Arc<Readiness>,
    failures: mpsc::Sender<AuthFailure>,
}

impl Witness {
    /// A witness, and the failures that it hands on to [`record_failures`].
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<AuthFailure>) {
        let (failures, waiting) = mpsc::channel(WAITING);
        (Arc::new(Self { metrics: Arc::default(), readiness: Arc::default(), failures }), waiting)
    }
}

impl Observer for Witness {
    fn observe(&self, event: EngineEvent) {
        if let EngineEvent::Leading(leading) = event {
            self.readiness.set_leading(leading);
        }
        self.metrics.observe(event);
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
        // One more of the same kind is no loss.
        let _ = self.failures.try_send(failure.clone());
    }
}

/// Writes failed authentications into the event log, until the witness is gone.
pub(crate) async fn record_failures(mut failures: mpsc::Receiver<AuthFailure>, intake: Intake) {
    while let Some(failure) = failures.recv().await {
        let outcome = if failure.status == Some(404) { Outcome::Auth404 } else { Outcome::AuthOtherError };
        let payload = serde_json::json!({ "status": failure.status, "message": failure.message });
        let Ok(payload) = serde_json::value::to_raw_value(&payload) else { continue };
        let log = LogEntry {
            source: LogSource::Scheduler,
            guid: None,
            event: failure.event().to_owned(),
            installation: Some(failure.installation),
            app: Some(failure.app),
            entity: None,
            payload,
            received_at: failure.at,
        };
        if let Err(error) =
            intake.record(DeliveryRecord { log, effect: Effect::Nothing(outcome), installation: None }).await
        {
            tracing::warn!(%error, installation = %failure.installation, "a failed authentication was not recorded");
        }
    }
}
