//! `[retention]`: how long rows are kept.

use std::time::Duration;

use riscv_runner_core::policy::Timeouts;

use super::reader::Section;

/// Reads `[retention]` into the deadlines: `events` are rows of the event log; `jobs` are jobs and
/// workers that have ended, and orders of operators.
pub(crate) fn read(section: Section<'_>, timeouts: &mut Timeouts) {
    let kept = |key, usual: Duration| {
        let kept = section.or(key, usual);
        if kept.is_zero() {
            section.error(key, "must not be zero", None);
        }
        kept
    };
    timeouts.keep_events = kept("events", timeouts.keep_events);
    timeouts.keep_jobs = kept("jobs", timeouts.keep_jobs);
    section.done();
}
