//! What the engine needs from a collector of traces.

use jiff::Timestamp;

use crate::spans::Span;

/// Receives finished spans. Must return at once: spans that cannot be queued are dropped, because no job
/// waits for its trace.
pub trait Tracer: Send + Sync {
    /// The current time; intake, which ends spans, has no clock of its own.
    fn now(&self) -> Timestamp;

    /// Receives a span. Each is created once, by the writer of what ended it; after a crash in between it is
    /// missing.
    fn traced(&self, span: Span);
}
