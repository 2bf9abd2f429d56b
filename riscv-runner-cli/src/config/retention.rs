//! `[retention]`: how long rows are kept. Checked only: nothing removes rows yet.

use std::time::Duration;

use super::reader::Section;

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Checks `[retention]`: `events` are rows of the event log, `jobs` are ended jobs and workers.
pub(crate) fn check(section: Section<'_>) {
    for (key, usual) in [("events", DAY * 90), ("jobs", DAY * 365)] {
        if section.or(key, usual).is_zero() {
            section.error(key, "must not be zero", None);
        }
    }
    not_acted_on(&section);
    section.done();
}

/// Says of a section that somebody filled in that this version does nothing with it.
pub(crate) fn not_acted_on(section: &Section<'_>) {
    if !section.entries().is_empty() {
        section.warn("", "is checked, but this version does not act on it yet", None);
    }
}
