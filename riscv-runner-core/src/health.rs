//! Health of workers: a table of rules, each a small pure function over one view.
//!
//! Guards that hold for every rule live once, in [`examine`]. Nothing here acts.

mod drained;
mod rules;

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{drained::drained_since, rules::WORKER_RULES};
use crate::{
    backoff::age,
    failure::FailureReason,
    observed::Observed,
    pod::{Node, Pod},
    policy::Timeouts,
    runner::{Runner, Sightings},
    worker::Worker,
};

/// Everything that the rules may use about one worker.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// The time.
    pub now: Timestamp,
    /// Since when this process has been watching without interruption.
    pub watching_since: Timestamp,
    /// The thresholds.
    pub timeouts: &'a Timeouts,
    /// The worker's row.
    pub worker: &'a Worker,
    /// Its pod.
    pub pod: Observed<&'a Pod>,
    /// The node that its pod is bound to; `None` while it is not bound.
    pub node: Option<Observed<&'a Node>>,
    /// Its registration.
    pub runner: Observed<&'a Runner>,
    /// What earlier polls of its registration showed.
    pub sightings: Option<&'a Sightings>,
    /// By how many workers its key's supply exceeds demand and `warm`.
    pub surplus: u32,
    /// Whether a rule keeps idle runners for its key and GitHub does hand out the key's jobs.
    pub kept_warm: bool,
    /// When an operator drained its board or its pool, or a board that its pod may still be bound to.
    pub drained_since: Option<Timestamp>,
    /// Since when its installation is known to be gone; `None` too while a delivery of the time before
    /// may be missing.
    pub installation_gone_since: Option<Timestamp>,
}

impl View<'_> {
    /// How long a state has lasted, as far as we can judge: time before we watched does not count.
    #[must_use]
    pub fn lasted(&self, since: Timestamp) -> Duration {
        age(self.now, since.max(self.watching_since))
    }
}

/// A rule: the reason it gives, its threshold, and since when its condition has held.
pub struct Rule {
    /// The failure reason that it gives.
    pub reason: FailureReason,
    /// What it detects, in words.
    pub says: &'static str,
    /// The key of `[timeouts]` that holds its threshold; `None` where there is nothing to wait for.
    pub setting: Option<&'static str>,
    /// How long its condition must hold.
    pub threshold: fn(&Timeouts) -> Duration,
    /// What ends the worker.
    pub remedy: Remedy,
    /// Whether a job that names the worker and is not over forbids the rule.
    pub spares_known_jobs: bool,
    /// Since when its condition has held; `None` while it does not hold, or where that is unknown.
    pub since: fn(&View<'_>) -> Option<Timestamp>,
}

/// How a worker is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// By the kubelet, so that logs and events are kept.
    Kill,
    /// By deletion without grace: no kubelet will act.
    ForceDelete,
}

/// What a rule found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Illness {
    /// The rule, by its reason.
    pub reason: FailureReason,
    /// Since when its condition has held.
    pub since: Timestamp,
    /// How long the condition may hold.
    pub threshold: Duration,
}

impl Illness {
    /// How the worker is ended.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        WORKER_RULES.iter().find(|rule| rule.reason == self.reason).map_or(Remedy::Kill, |rule| rule.remedy)
    }
}

impl fmt::Display for Illness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} since {} (threshold {} s)", self.reason, self.since, self.threshold.as_secs())
    }
}

/// The first rule that fires.
#[must_use]
pub fn examine(view: &View<'_>) -> Option<Illness> {
    // Without a look at the pod nothing may be ended, whatever else is known.
    if view.pod.is_unknown() {
        return None;
    }
    WORKER_RULES.iter().find_map(|rule| {
        if rule.spares_known_jobs && view.worker.runs_known_job() {
            return None;
        }
        let since = (rule.since)(view)?;
        let threshold = (rule.threshold)(view.timeouts);
        (view.lasted(since) >= threshold).then_some(Illness { reason: rule.reason, since, threshold })
    })
}
