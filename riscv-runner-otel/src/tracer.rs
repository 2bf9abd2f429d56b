//! Receives the engine's spans: into a bounded queue, at once, or nowhere.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;
use riscv_runner_core::{
    ports::{Platform, ProvisionStep, Tracer},
    spans::{Span, SpanKey},
};
use tokio::sync::mpsc;

use crate::{
    attributes,
    identity::{is_sampled, span_id, trace_id},
    wire::{self, SAMPLED, SpanKind, StatusCode},
};

/// Takes spans for [`crate::OtlpCourier`]. Cheap to clone.
#[derive(Clone)]
pub struct OtlpTracer {
    pub(crate) queue: mpsc::Sender<wire::Span>,
    pub(crate) dropped: Arc<AtomicU64>,
    pub(crate) sample_ratio: f64,
    pub(crate) platform: Arc<dyn Platform>,
}

impl Tracer for OtlpTracer {
    fn now(&self) -> Timestamp {
        self.platform.now()
    }

    fn traced(&self, span: Span) {
        let trace = trace_id(&span.subject);
        if !is_sampled(&trace, self.sample_ratio) {
            return;
        }
        match self.queue.try_reserve() {
            Ok(place) => place.send(to_wire(&span, &trace)),
            Err(_) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn to_wire(span: &Span, trace: &[u8; 16]) -> wire::Span {
    let parent = span.parent().map(|parent| span_id(&span.subject, &parent).to_vec());
    wire::Span {
        trace_id: trace.to_vec(),
        span_id: span_id(&span.subject, &span.key).to_vec(),
        parent_span_id: parent.unwrap_or_default(),
        name: span.key.name().to_owned(),
        kind: kind(&span.key).into(),
        start_time_unix_nano: nanos(span.began),
        end_time_unix_nano: nanos(span.ended),
        attributes: attributes::of_span(span),
        status: span.trouble.as_ref().map(|trouble| wire::Status {
            message: wire::shortened(trouble.to_string()),
            code: StatusCode::Error.into(),
        }),
        flags: SAMPLED,
    }
}

/// Which side of a call it is, where it is one.
const fn kind(key: &SpanKey) -> SpanKind {
    match key {
        SpanKey::Delivery { .. } => SpanKind::Server,
        SpanKey::Step(
            ProvisionStep::Reserve | ProvisionStep::Mint | ProvisionStep::Create | ProvisionStep::Confirm,
            _,
        ) => SpanKind::Client,
        SpanKey::Job
        | SpanKey::Queued { .. }
        | SpanKey::Running { .. }
        | SpanKey::Provision(_)
        | SpanKey::Worker(_)
        | SpanKey::PodStarting(_) => SpanKind::Internal,
    }
}

/// Times before 1970 are nobody's.
fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}
