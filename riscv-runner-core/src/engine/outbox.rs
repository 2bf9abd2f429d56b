//! Notifications on their way to one notifier: a bounded queue that never blocks its writers, and a worker
//! that retries for a while.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use crate::{
    backoff,
    notify::Notification,
    ports::{EngineEvent, NoticeOutcome, Notifier, Observer, Platform, PortErrorKind},
};

/// Notifications that may wait; the throttle lets few through, so more means that the notifier does not
/// respond.
const QUEUE: usize = 64;
/// How often one is tried before it is given up.
const TRIES: u32 = 6;
/// The wait after the first failure; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait, whatever the other side asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Where notifications for one notifier are put.
#[derive(Clone)]
pub struct Outbox {
    name: &'static str,
    queue: mpsc::Sender<Arc<Notification>>,
    observer: Arc<dyn Observer>,
}

/// Takes notifications out and delivers them.
pub struct Courier {
    queue: mpsc::Receiver<Arc<Notification>>,
    notifier: Arc<dyn Notifier>,
    platform: Arc<dyn Platform>,
    observer: Arc<dyn Observer>,
}

/// An outbox, and the courier that empties it while [`Courier::run`] runs.
#[must_use]
pub fn outbox(
    notifier: Arc<dyn Notifier>,
    platform: Arc<dyn Platform>,
    observer: Arc<dyn Observer>,
) -> (Outbox, Courier) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let outbox = Outbox { name: notifier.name(), queue: sender, observer: Arc::clone(&observer) };
    (outbox, Courier { queue, notifier, platform, observer })
}

impl Outbox {
    /// Puts one in, or drops and counts it when too many wait. Returns at once.
    pub fn put(&self, notification: Arc<Notification>) {
        if self.queue.try_send(notification).is_err() {
            tracing::warn!(notifier = self.name, "a notification was dropped: too many are waiting");
            self.observer
                .observe(EngineEvent::Noticed { notifier: self.name, outcome: NoticeOutcome::Dropped });
        }
    }
}

impl Courier {
    /// Delivers until every outbox is gone.
    pub async fn run(mut self) {
        while let Some(notification) = self.queue.recv().await {
            let outcome = self.deliver(&notification).await;
            self.observer.observe(EngineEvent::Noticed { notifier: self.notifier.name(), outcome });
        }
    }

    async fn deliver(&self, notification: &Notification) -> NoticeOutcome {
        for tried in 1..=TRIES {
            let Err(error) = self.notifier.notify(notification).await else { return NoticeOutcome::Sent };
            let wait = self.wait(error.kind(), tried);
            tracing::warn!(
                notifier = self.notifier.name(),
                tried,
                again = wait.is_some(),
                error = error.chain(),
                "a notification was not delivered"
            );
            let Some(wait) = wait else { break };
            self.platform.sleep(wait).await;
        }
        NoticeOutcome::Failed
    }

    /// How long to wait for the next try; `None` if there is none.
    fn wait(&self, kind: PortErrorKind, tried: u32) -> Option<Duration> {
        let usual = Some(backoff::doubling(FIRST_WAIT, LONGEST_WAIT, tried)).filter(|_| tried < TRIES);
        match kind {
            PortErrorKind::Transient => usual,
            PortErrorKind::RateLimited { until } => {
                usual.map(|usual| backoff::age(until, self.platform.now()).clamp(usual, LONGEST_WAIT))
            }
            PortErrorKind::Conflict
            | PortErrorKind::Denied
            | PortErrorKind::NotFound
            | PortErrorKind::NotLeader
            | PortErrorKind::Bug => None,
        }
    }
}
