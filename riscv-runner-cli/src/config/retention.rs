//! `[retention]`: how long rows are kept.

use std::time::Duration;

use super::reader::Section;

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long rows are kept.
#[derive(Debug)]
pub(crate) struct Retention {
    /// Rows of the event log.
    pub(crate) events: Duration,
    /// Ended jobs and workers.
    pub(crate) jobs: Duration,
}

impl Retention {
    /// Reads `[retention]`.
    pub(crate) fn read(section: Section<'_>) -> Self {
        let retention = Self { events: section.or("events", DAY * 90), jobs: section.or("jobs", DAY * 365) };
        for (key, kept) in [("events", retention.events), ("jobs", retention.jobs)] {
            if kept.is_zero() {
                section.error(key, "must not be zero", None);
            }
        }
        not_acted_on(&section);
        section.done();
        retention
    }
}

/// Says of a section that somebody filled in that this version does nothing with it.
pub(crate) fn not_acted_on(section: &Section<'_>) {
    if !section.entries().is_empty() {
        section.warn("", "is checked, but this version does not act on it yet", None);
    }
}
