//! Spans of whole days, in UTC.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use riscv_runner_core::ports::ReportWindow;

/// From midnight this many days ago to the end of tomorrow: the store's clock may be ahead of ours. The same
/// rows as `?start=-Nd` shows.
#[must_use]
pub fn last_days(days: u16, now: Timestamp) -> ReportWindow {
    let today = now.to_zoned(TimeZone::UTC).date();
    let (first, end) = (today.saturating_sub(i64::from(days).days()), today.saturating_add(2.days()));
    ReportWindow { start: midnight(first), end: midnight(end) }
}

/// The beginning of a day.
pub(crate) fn midnight(day: Date) -> Timestamp {
    // Days are kept within a few thousand of today, all of which have a midnight in UTC.
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}
