//! Ids of traces and spans: the beginning of a SHA-256 of what they are about, so that every process creates
//! the same ones.

use std::fmt::Display;

use riscv_runner_core::spans::{SpanKey, Subject};
use sha2::{Digest, Sha256};

/// The id of a subject's trace: the first 16 bytes of the SHA-256 of `riscv-runner/job/<id>` or
/// `riscv-runner/worker/<name>`.
#[must_use]
pub fn trace_id(subject: &Subject) -> [u8; 16] {
    beginning(&format_args!("riscv-runner/{subject}"))
}

/// The id of the root of a job's trace: the first 8 bytes of the SHA-256 of `riscv-runner/job/<id>/job`.
#[must_use]
pub fn root_span_id(subject: &Subject) -> [u8; 8] {
    span_id(subject, &SpanKey::Job)
}

/// The id of a span.
pub(crate) fn span_id(subject: &Subject, key: &SpanKey) -> [u8; 8] {
    beginning(&format_args!("riscv-runner/{subject}/{key}"))
}

/// Whether a trace is among the share that is sent, by the last 63 bits of its id, as OpenTelemetry's
/// `TraceIdRatioBased` decides.
pub(crate) fn is_sampled(trace: &[u8; 16], ratio: f64) -> bool {
    let [.., a, b, c, d, e, f, g, h] = *trace;
    let drawn = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
    let bound = (ratio.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64;
    drawn < bound
}

fn beginning<const N: usize>(text: &dyn Display) -> [u8; N] {
    let digest = Sha256::digest(text.to_string());
    let mut id = [0; N];
    id.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    if id.iter().all(|byte| *byte == 0) {
        // No digest is known that begins so, and OpenTelemetry takes zero for "none".
        id[N - 1] = 1;
    }
    id
}

#[cfg(test)]
mod tests {
    use riscv_runner_core::ids::JobId;

    use super::*;

    fn job(id: i64) -> Subject {
        Subject::Job(JobId::new(id).unwrap())
    }

    #[test]
    fn ids_are_what_a_shell_computes() {
        // printf 'riscv-runner/job/123' | sha256sum
        let trace = format!("{:032x}", u128::from_be_bytes(trace_id(&job(123))));
        assert_eq!(trace, "d57105b8e592391eb81b35965f1889b9");
        // printf 'riscv-runner/job/123/job' | sha256sum
        let root = format!("{:016x}", u64::from_be_bytes(root_span_id(&job(123))));
        assert_eq!(root, "e9aa197c9dbef0c3");
    }

    #[test]
    fn the_share_that_is_sent_is_the_one_that_was_asked_for() {
        let sent = |ratio| (1..=1000).filter(|id| is_sampled(&trace_id(&job(*id)), ratio)).count();
        assert_eq!((sent(0.0), sent(1.0)), (0, 1000));
        let half = sent(0.5);
        assert!((400..600).contains(&half), "{half}");
        let both = |id: &i64| {
            let trace = trace_id(&job(*id));
            is_sampled(&trace, 0.25) && !is_sampled(&trace, 0.5)
        };
        assert!(!(1..=1000).any(|id| both(&id)), "a larger share holds the smaller one");
    }
}
