//! Intake: deliveries into the store, concurrent ones in one transaction, acknowledged after commit.
//!
//! No GitHub and no cluster call happens on this path.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use tokio::sync::{mpsc, oneshot};

use super::{cycle::caught, traced::trace, wake::Wake};
use crate::{
    admission::{self, IntakePolicy},
    delivery::{Delivery, DeliveryRecord, JobWrite, Recorded},
    ports::{DeliveryStore, EngineEvent, Observer, PanicPlace, PortError, PortErrorKind},
    spans,
};

/// How many deliveries may share a commit: beyond this a batch only adds latency.
const MAX_BATCH: usize = 128;
/// How many batches may be on their way at once: while one waits for the disk, the next is written.
const WRITERS: usize = 2;

/// Why a delivery was not acknowledged. It was not recorded, or it is unknown whether it was; GitHub may
/// deliver it again at any time, because recording is idempotent.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The queue of deliveries is full.
    #[error("the intake queue is full")]
    Busy,
    /// The store could not record it.
    #[error("the store did not record the delivery")]
    Store(#[source] Arc<PortError>),
    /// The process is stopping.
    #[error("intake is closed")]
    Closed,
}

struct Waiting {
    record: DeliveryRecord,
    answer: oneshot::Sender<Result<Recorded, IntakeError>>,
}

/// The sending end: cheap to clone, one for each webhook handler.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Waiting>,
}

/// The receiving end of the queue; runs until every [`Intake`] is dropped.
pub struct IntakeWriter {
    queue: mpsc::Receiver<Waiting>,
    committer: Committer,
}

struct Committer {
    store: Arc<dyn DeliveryStore>,
    observer: Arc<dyn Observer>,
    schedule: Wake,
}

/// An [`Intake`] and its writer, with a queue of `capacity` deliveries.
pub fn intake(
    capacity: usize,
    store: Arc<dyn DeliveryStore>,
    observer: Arc<dyn Observer>,
    schedule: Wake,
) -> (Intake, IntakeWriter) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    (
        Intake { queue: sender },
        IntakeWriter { queue: receiver, committer: Committer { store, observer, schedule } },
    )
}

impl Intake {
    /// Records a delivery and returns once it is committed.
    ///
    /// # Errors
    /// When it may not have been recorded; see [`IntakeError`].
    pub async fn submit(
        &self,
        delivery: Delivery,
        policy: &IntakePolicy<'_>,
    ) -> Result<Recorded, IntakeError> {
        self.record(admission::decide(delivery, policy)).await
    }

    /// Records what was decided about a delivery and returns once it is committed.
    ///
    /// # Errors
    /// When it may not have been recorded; see [`IntakeError`].
    pub async fn record(&self, record: DeliveryRecord) -> Result<Recorded, IntakeError> {
        let (answer, result) = oneshot::channel();
        self.queue.try_send(Waiting { record, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => IntakeError::Busy,
            mpsc::error::TrySendError::Closed(_) => IntakeError::Closed,
        })?;
        result.await.unwrap_or(Err(IntakeError::Closed))
    }
}

impl IntakeWriter {
    /// Records what arrives, until every entrance is dropped and the queue is empty.
    ///
    /// A batch is whatever waits when a commit may begin: a lone delivery commits at once, and the
    /// batches grow with the load.
    pub async fn run(self) {
        let Self { queue, committer } = self;
        let batches = stream::unfold(queue, async |mut queue| {
            let mut batch = Vec::new();
            (queue.recv_many(&mut batch, MAX_BATCH).await > 0).then_some((batch, queue))
        });
        batches.for_each_concurrent(WRITERS, |batch| committer.answer(batch)).await;
    }
}

impl Committer {
    async fn answer(&self, batch: Vec<Waiting>) {
        let (records, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|item| (item.record, item.answer)).unzip();
        let results = self.commit(&records).await;
        for (answer, result) in answers.into_iter().zip(results) {
            // The handler may have gone with its connection; the delivery is recorded all the same.
            let _ = answer.send(result);
        }
    }

    async fn commit(&self, records: &[DeliveryRecord]) -> Vec<Result<Recorded, IntakeError>> {
        let recording = self.store.record_deliveries(records);
        let recorded = caught(&*self.observer, PanicPlace::Intake, recording).await;
        match recorded.unwrap_or_else(|| Err(panicked())) {
            Ok(results) => {
                if results.iter().flatten().any(|done| done.job.is_some_and(JobWrite::wakes_scheduler)) {
                    self.schedule.wake();
                }
                trace(&*self.observer, |tracer| {
                    let at = tracer.now();
                    let done = records.iter().zip(&results);
                    let done = done.filter_map(|(record, result)| Some((record, *result.as_ref().ok()?)));
                    done.flat_map(|(record, done)| spans::of_delivery(record, done, at)).collect()
                });
                records
                    .iter()
                    .zip(results)
                    .map(|(record, result)| {
                        let done = result.map_err(|error| IntakeError::Store(Arc::new(error)))?;
                        self.observer.observe(EngineEvent::Delivered { outcome: done.outcome });
                        if let Some(waited) = done.wait_ended(record) {
                            self.observer.observe(EngineEvent::JobStarted { waited });
                        }
                        Ok(done)
                    })
                    .collect()
            }
            Err(error) => {
                tracing::warn!(
                    deliveries = records.len(),
                    error = error.chain(),
                    "deliveries were not recorded"
                );
                let error = Arc::new(error);
                records.iter().map(|_| Err(IntakeError::Store(Arc::clone(&error)))).collect()
            }
        }
    }
}

/// Nothing is known about the batch, but the next one has its own fate.
fn panicked() -> PortError {
    PortError::new(PortErrorKind::Bug, "record deliveries", "it panicked")
}

impl IntakeError {
    /// Whether the failure is ours and temporary (503). It always is here, unless the store reports a bug.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy | Self::Closed => true,
            Self::Store(error) => error.kind() != PortErrorKind::Bug,
        }
    }
}
