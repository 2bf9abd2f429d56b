//! Spans on their way to the collector: in batches, retried where that may help, and never for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use prost::Message;
use riscv_runner_core::ports::Platform;
use tokio::{
    pin, select,
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

use crate::{
    OtlpConfig, OtlpTracer, Pace, SetupError,
    attributes::attribute,
    collector::Collector,
    wire::{AnyValue, ExportRequest, Resource, ResourceSpans, Scope, ScopeSpans, Span},
};

/// As many spans share a request.
const BATCH: usize = 512;
/// Losses are logged at once, and then summed up for this long.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Takes spans out of the queue and sends them.
pub struct OtlpCourier {
    queue: mpsc::Receiver<Span>,
    collector: Collector,
    resource: Resource,
    pace: Pace,
    losses: Losses,
}

/// Losses since the last log message.
struct Losses {
    dropped: Arc<AtomicU64>,
    refused: u64,
    why: String,
    told: Option<Instant>,
}

pub(crate) fn pair(
    config: &OtlpConfig,
    platform: Arc<dyn Platform>,
) -> Result<(OtlpTracer, OtlpCourier), SetupError> {
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        return Err(SetupError::Ratio);
    }
    let (sender, queue) = mpsc::channel(config.pace.queue.max(1));
    let dropped = Arc::<AtomicU64>::default();
    let courier = OtlpCourier {
        queue,
        collector: Collector::new(config)?,
        resource: resource(config),
        pace: config.pace,
        losses: Losses { dropped: Arc::clone(&dropped), refused: 0, why: String::new(), told: None },
    };
    let tracer = OtlpTracer { queue: sender, dropped, sample_ratio: config.sample_ratio, platform };
    Ok((tracer, courier))
}

/// The sender: the same in every request.
fn resource(config: &OtlpConfig) -> Resource {
    let known = [
        ("service.name", "riscv-runner"),
        ("service.version", &config.version),
        ("service.instance.id", &config.instance),
    ];
    Resource { attributes: known.map(|(key, text)| attribute(key, AnyValue::text(text))).into() }
}

impl OtlpCourier {
    /// Sends what is put into the queue, until `stopping` turns true or every tracer is gone; then sends what
    /// is left, each batch once. To give up on a collector that hangs, drop the future: what was not sent is
    /// lost.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            let mut batch = Vec::new();
            select! {
                biased;
                () = stopped(&mut stopping) => break,
                n = self.queue.recv_many(&mut batch, BATCH) => if n == 0 { break },
            }
            self.fill(&mut batch, &mut stopping).await;
            self.deliver(batch, &mut stopping).await;
            self.losses.tell(false);
        }
        self.queue.close();
        let mut rest = Vec::new();
        while self.queue.recv_many(&mut rest, BATCH).await > 0 {
            self.deliver(std::mem::take(&mut rest), &mut stopping).await;
        }
        self.losses.tell(true);
    }

    /// Waits a little for others to share the request.
    async fn fill(&mut self, batch: &mut Vec<Span>, stopping: &mut watch::Receiver<bool>) {
        let end = sleep(self.pace.linger);
        pin!(end);
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            select! {
                biased;
                () = stopped(stopping) => break,
                () = &mut end => break,
                n = self.queue.recv_many(batch, room) => if n == 0 { break },
            }
        }
    }

    /// Sends a batch; one that is refused for a passing reason is tried again, a few times.
    async fn deliver(&mut self, batch: Vec<Span>, stopping: &mut watch::Receiver<bool>) {
        let n = batch.len() as u64;
        let body = Bytes::from(request(&self.resource, batch).encode_to_vec());
        let mut wait = self.pace.first_wait;
        let mut tries = 1;
        loop {
            let last = tries >= self.pace.tries || *stopping.borrow();
            match self.collector.post(body.clone()).await {
                Ok(taken) if taken.rejected == 0 => return,
                Ok(taken) => {
                    let why = format!("it rejects spans: {}", taken.says);
                    return self.losses.add(taken.rejected.min(n), why);
                }
                Err(refused) if last || !refused.passes => return self.losses.add(n, refused.why),
                Err(refused) => {
                    tracing::debug!(
                        why = refused.why,
                        tries,
                        "the collector did not accept spans; trying again"
                    );
                    let pause = refused.after.unwrap_or(wait).min(self.pace.longest_wait);
                    select! {
                        () = stopped(stopping) => {}
                        () = sleep(pause) => {}
                    }
                    wait = wait.saturating_mul(2);
                    tries += 1;
                }
            }
        }
    }
}

impl Losses {
    fn add(&mut self, n: u64, why: String) {
        self.refused += n;
        self.why = why;
    }

    /// Logs what was lost, at once the first time and then rarely; `at_the_end` logs whatever is left to say.
    fn tell(&mut self, at_the_end: bool) {
        let is_soon = self.told.is_some_and(|told| told.elapsed() < TELL_EVERY);
        if is_soon && !at_the_end {
            return;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let refused = std::mem::take(&mut self.refused);
        if dropped == 0 && refused == 0 {
            return;
        }
        self.told = Some(Instant::now());
        tracing::warn!(
            dropped,
            refused,
            why = std::mem::take(&mut self.why),
            "spans were lost on their way to the collector; jobs do not depend on them"
        );
    }
}

fn request(resource: &Resource, spans: Vec<Span>) -> ExportRequest {
    let scope =
        Scope { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    ExportRequest { resource_spans: vec![ResourceSpans { resource: Some(resource.clone()), scope_spans }] }
}

/// Completes once it is to stop; whoever could say so and is gone has said so.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|it_is| *it_is).await;
}
