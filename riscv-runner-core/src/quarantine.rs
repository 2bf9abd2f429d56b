//! Boards that keep failing are set aside for a doubling time; one canary job lets them back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    backoff::{add, doubling},
    policy::Timeouts,
};

/// Failures in a row, for a reason of the board, that set it aside.
pub const STRIKES: u32 = 3;
/// The failures counted against a board.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// Consecutive failures of the board.
    pub strikes: u32,
    /// How often it has been set aside since its last success.
    pub times: u32,
    /// Set aside until then; afterwards a single canary may try it.
    pub until: Option<Timestamp>,
}

/// Whether a board may take a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// As many as it has slots.
    Open,
    /// One at a time, to see whether it works again.
    Canary,
    /// None before this time.
    Closed(Timestamp),
}

impl Quarantine {
    /// The state after one more worker failed there for a reason of the board.
    #[must_use]
    pub fn after_failure(previous: Option<&Self>, now: Timestamp, timeouts: &Timeouts) -> Self {
        let previous = previous.copied().unwrap_or_default();
        let strikes = previous.strikes.saturating_add(1);
        if strikes < STRIKES {
            return Self { strikes, ..previous };
        }
        let times = previous.times.saturating_add(1);
        Self {
            strikes,
            times,
            until: Some(add(now, doubling(timeouts.quarantine, timeouts.quarantine_longest, times))),
        }
    }

    /// What the board may take now.
    #[must_use]
    pub fn admission(&self, now: Timestamp) -> Admission {
        match self.until {
            None => Admission::Open,
            Some(until) if now < until => Admission::Closed(until),
            Some(_) => Admission::Canary,
        }
    }
}
