//! Exponential back-off of pool keys whose workers keep failing: state, not a sleeping task.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::Timeouts;

/// Failures in a row, and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Consecutive failures since the last success.
    pub failures: u32,
    /// When the first of them happened.
    pub since: Timestamp,
    /// Nothing is tried before this time.
    pub until: Timestamp,
}

impl Backoff {
    /// The state after one more failure: the configured wait, doubling, shortened by up to a fifth so
    /// that keys that failed together do not return together.
    #[must_use]
    pub fn after_failure(previous: Option<&Self>, now: Timestamp, seed: u64, timeouts: &Timeouts) -> Self {
        let failures = previous.map_or(0, |backoff| backoff.failures).saturating_add(1);
        Self {
            failures,
            since: previous.map_or(now, |backoff| backoff.since),
            until: add(now, jittered(doubling(timeouts.backoff, timeouts.backoff_longest, failures), seed)),
        }
    }

    /// Whether it still holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// `first` doubled for every failure after the first, at most `longest`.
#[must_use]
pub fn doubling(first: Duration, longest: Duration, failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(31));
    first.saturating_mul(factor).min(longest)
}

/// The duration less up to a fifth of it, chosen by `seed`.
#[must_use]
pub fn jittered(duration: Duration, seed: u64) -> Duration {
    let thousandths = u32::try_from(seed % 200).unwrap_or(0);
    duration - duration / 1000 * thousandths
}

/// `at + span`, or the end of time.
#[must_use]
pub fn add(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// How long ago `then` was, zero if it lies ahead.
#[must_use]
pub fn age(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let now = Timestamp::UNIX_EPOCH;
        let mut backoff = None;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let next = Backoff::after_failure(backoff.as_ref(), now, 0, &Timeouts::default());
            waits.push(age(next.until, now).as_secs());
            backoff = Some(next);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn jitter_only_shortens_and_by_a_fifth_at_most() {
        for seed in 0..1000 {
            let wait = jittered(Duration::from_secs(30), seed);
            assert!(wait <= Duration::from_secs(30) && wait >= Duration::from_secs(24));
        }
    }
}
