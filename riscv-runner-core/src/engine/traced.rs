//! Spans for the tracer, if there is one; otherwise none is created and nothing is read for one.

use super::Engine;
use crate::{
    ids::WorkerName,
    ports::{Observer, Tracer},
    spans::{self, Span},
};

/// Hands on the spans that `make` makes of the tracer's time.
pub(super) fn trace(observer: &dyn Observer, make: impl FnOnce(&dyn Tracer) -> Vec<Span>) {
    if let Some(tracer) = observer.tracer() {
        for span in make(tracer) {
            tracer.traced(span);
        }
    }
}

impl Engine {
    /// Hands on the spans that `make` makes.
    pub(super) fn trace(&self, make: impl FnOnce() -> Vec<Span>) {
        trace(&*self.parts.observer, |_| make());
    }

    /// Hands on the spans of a worker that has just ended. Its row is read again, for it has what the steps
    /// of the plan do not carry: since when it ran, and which job.
    pub(super) async fn trace_end(&self, worker: &WorkerName) {
        if self.parts.observer.tracer().is_none() {
            return;
        }
        match self.parts.store.workers_named(std::slice::from_ref(worker)).await {
            Ok(rows) => self.trace(|| rows.values().flat_map(spans::of_worker).collect()),
            Err(error) => tracing::debug!(%worker, error = error.chain(), "a worker has no span"),
        }
    }
}
