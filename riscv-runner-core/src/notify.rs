//! What operators are notified of: which events and states are worth it, how bad they are, and how
//! often. Pure; [`crate::engine::notices`] looks and sends.

mod condition;
mod throttle;
mod watchman;

use std::{collections::BTreeSet, fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{condition::Condition, throttle::Throttle, watchman::Watchman};

/// The subject of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// A worker failed; the subject is the reason.
    WorkerFailed,
    /// Jobs wait for boards of a pool, and have for long.
    PoolExhausted,
    /// An App cannot authenticate for an installation.
    AuthFailing,
    /// GitHub's limits hold an installation back.
    RateLimited,
    /// A board is not ready, does not answer, or is gone.
    BoardLost,
    /// This process led and no longer does.
    LeadershipLost,
    /// A summary of notifications that were withheld because there were too many.
    Summary,
}

impl Topic {
    /// The topics that may be chosen; the summary of what was withheld of them is always sent.
    pub const ALL: [Self; 6] = [
        Self::WorkerFailed,
        Self::PoolExhausted,
        Self::AuthFailing,
        Self::RateLimited,
        Self::BoardLost,
        Self::LeadershipLost,
    ];

    /// The name in configuration and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkerFailed => "worker_failed",
            Self::PoolExhausted => "pool_exhausted",
            Self::AuthFailing => "auth_failing",
            Self::RateLimited => "rate_limited",
            Self::BoardLost => "board_lost",
            Self::LeadershipLost => "leadership_lost",
            Self::Summary => "summary",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The severity of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// May need an operator soon.
    Warning,
    /// Needs an operator now.
    Critical,
}

impl Severity {
    /// The name in configuration and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A subject of notifications to operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// The notification's id: the same for every attempt to deliver it, and for nothing else.
    pub id: String,
    /// Its topic.
    #[serde(rename = "type")]
    pub topic: Topic,
    /// Its severity.
    pub severity: Severity,
    /// What it concerns in particular: a reason, a pool, a board, an installation.
    pub subject: String,
    /// The title, in one line.
    pub title: String,
    /// The details, and where to look.
    pub text: String,
    /// Whether it has ended: an earlier notification of this topic and subject no longer holds.
    pub ended: bool,
    /// When it was noticed.
    pub at: Timestamp,
}

/// Which notifications are wanted, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The topics of wanted notifications.
    pub topics: BTreeSet<Topic>,
    /// The least severity of wanted notifications.
    pub min_severity: Severity,
    /// How long jobs must wait for a pool's boards before a notification is sent.
    pub pool_exhausted_after: Duration,
    /// The time in which the same thing is notified once, and after which what was withheld is summarized.
    pub window: Duration,
    /// The most notifications in that time.
    pub per_window: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            topics: Topic::ALL.into(),
            min_severity: Severity::Warning,
            pool_exhausted_after: Duration::from_secs(15 * 60),
            window: Duration::from_secs(10 * 60),
            per_window: 10,
        }
    }
}

/// How often the state is polled: operators need minutes, and each poll reads the store.
const LOOK_EVERY: Duration = Duration::from_secs(30);

impl Rules {
    /// How often the state is polled.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        (self.pool_exhausted_after / 2).clamp(Duration::from_millis(100), LOOK_EVERY)
    }

    /// Whether the notification is wanted.
    #[must_use]
    pub fn want(&self, notification: &Notification) -> bool {
        notification.topic == Topic::Summary
            || self.topics.contains(&notification.topic) && notification.severity >= self.min_severity
    }
}
