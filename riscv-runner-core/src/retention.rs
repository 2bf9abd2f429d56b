//! How long rows are kept, and how gently expired ones are removed.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    backoff::age,
    ids::{EventId, JobId, WorkerName},
    policy::Timeouts,
    ports::{PortError, PortErrorKind, PortResult},
};

/// Rows removed by one statement: few enough that nobody waits for their locks, many enough that a
/// day's worth is gone in minutes.
pub const BATCH: u32 = 500;

/// Kinds of rows that expire. Pinned rows, and those of what is still live, are kept whatever their age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiring {
    /// Deliveries and failed authentications in the event log.
    Events,
    /// Jobs that have ended.
    Jobs,
    /// Workers that have ended.
    Workers,
    /// The audit of operators' orders.
    Orders,
    /// Back-offs of keys that have had no demand since.
    Backoffs,
    /// Quarantines of boards that have not been tried since.
    Quarantines,
}

impl Expiring {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Events, Self::Jobs, Self::Workers, Self::Orders, Self::Backoffs, Self::Quarantines];

    /// The name in answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Jobs => "jobs",
            Self::Workers => "workers",
            Self::Orders => "orders",
            Self::Backoffs => "backoffs",
            Self::Quarantines => "quarantines",
        }
    }

    /// How long rows of this kind are kept.
    #[must_use]
    pub const fn kept(self, timeouts: &Timeouts) -> Duration {
        match self {
            // What is over for as long as events are kept has no bearing on anything.
            Self::Events | Self::Backoffs | Self::Quarantines => timeouts.keep_events,
            Self::Jobs | Self::Workers | Self::Orders => timeouts.keep_jobs,
        }
    }

    /// Rows older than this are removed at `now`.
    #[must_use]
    pub fn cutoff(self, now: Timestamp, timeouts: &Timeouts) -> Cutoff {
        Cutoff { before: now.checked_sub(self.kept(timeouts)).unwrap_or(Timestamp::MIN), now }
    }
}

/// A process may be ahead of its store by this much: clocks differ by less, and rows are kept for days.
const MAX_AHEAD: Duration = Duration::from_secs(600);

/// The time before which rows have expired, by the clock of the process that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoff {
    /// Rows older than this have expired.
    pub before: Timestamp,
    /// The time on the clock from which `before` was calculated.
    pub now: Timestamp,
}

impl Cutoff {
    /// The cutoff, checked for a store whose own clock shows `now`.
    ///
    /// # Errors
    /// When the process is far ahead of the store: by a clock that is years ahead, everything is old.
    pub fn checked_by(self, now: Timestamp) -> PortResult<Timestamp> {
        let ahead = age(self.now, now);
        if ahead <= MAX_AHEAD {
            return Ok(self.before);
        }
        let told = format!(
            "the clock of this process shows {}, {} s ahead of the store's: nothing is removed; set the clock",
            self.now,
            ahead.as_secs()
        );
        Err(PortError::new(PortErrorKind::Denied, "remove old rows", told))
    }
}

impl fmt::Display for Expiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A row that can be pinned, so that it is kept whatever its age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keepsake {
    /// A row of the event log.
    Event(EventId),
    /// A job.
    Job(JobId),
    /// A worker.
    Worker(WorkerName),
}

impl fmt::Display for Keepsake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(id) => write!(f, "event {id}"),
            Self::Job(id) => write!(f, "job {id}"),
            Self::Worker(name) => write!(f, "worker {name}"),
        }
    }
}

/// The result of pinning or unpinning a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Kept {
    /// The row changed.
    Changed,
    /// The row was in that state already.
    Already,
    /// There is no such row.
    NoSuchRow,
}

/// The pause after a batch: removal takes at most half of the time, the rest is for those who work.
#[must_use]
pub fn pause_after(batch_took: Duration) -> Duration {
    batch_took.clamp(Duration::from_millis(5), Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_age() {
        let day = 24 * 3600;
        let now = Timestamp::from_second(1_000 * day).unwrap();
        let timeouts = Timeouts::default();
        let age = |kind: Expiring| (now.as_second() - kind.cutoff(now, &timeouts).before.as_second()) / day;
        assert_eq!(Expiring::ALL.map(age), [90, 365, 365, 365, 90, 90]);
        let forever = Timeouts { keep_events: Duration::MAX, ..timeouts };
        assert_eq!(Expiring::Events.cutoff(now, &forever).before, Timestamp::MIN);
    }

    #[test]
    fn a_clock_that_is_far_ahead_is_not_believed() {
        let store = Timestamp::from_second(1_000_000).unwrap();
        for (seconds, believed) in [(-86_400, true), (0, true), (600, true), (601, false)] {
            let cutoff = Cutoff { before: store, now: Timestamp::from_second(1_000_000 + seconds).unwrap() };
            assert_eq!(cutoff.checked_by(store).is_ok(), believed, "{seconds} s");
        }
    }

    #[test]
    fn removal_rests_as_long_as_it_works() {
        let batch = Duration::from_millis(40);
        assert_eq!(pause_after(batch), batch);
        assert!(pause_after(Duration::ZERO) > Duration::ZERO);
        assert!(pause_after(Duration::from_secs(3600)) < Duration::from_secs(60));
    }
}
