//! What the engine needs of a collector of traces.

use jiff::Timestamp;

use crate::spans::Span;

/// Somebody who takes spans. Must return at once: what cannot be kept is dropped, for no job waits for its
/// trace.
pub trait Tracer: Send + Sync {
    /// The time; intake, which ends spans, has no clock of its own.
    fn now(&self) -> Timestamp;

    /// Takes a span. Each is made once, by whoever wrote what ended it; after a crash in between it is
    /// missing.
    fn traced(&self, span: Span);
}
