//! What the operator wants: pools, routes, limits, thresholds. Never facts.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{EntityId, ImageRef, Login, PoolName, RepoName, WorkerName},
    routing::Route,
};

/// Everything that the planner and the loops take from configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The pools, by name.
    pub pools: BTreeMap<PoolName, PoolPolicy>,
    /// The routing rules in order; the first match wins.
    pub routes: Vec<Route>,
    /// Settings of particular accounts.
    pub entities: BTreeMap<EntityId, EntityPolicy>,
    /// Accounts whose jobs are refused although another account sends them: banned senders, by login.
    pub banned_senders: BTreeSet<Login>,
    /// Repositories whose deliveries go to staging.
    pub staging_repositories: BTreeSet<RepoName>,
    /// How many workers may live, and how they are created.
    pub limits: Limits,
    /// Periods and deadlines.
    pub timeouts: Timeouts,
    /// What the names of our workers begin with.
    pub name_prefix: NamePrefix,
}

/// A named supply of boards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPolicy {
    /// Node labels that its boards carry.
    pub node_selector: BTreeMap<String, String>,
    /// The image of its runners, unless a route says otherwise.
    pub image: ImageRef,
    /// The most workers that may live in it; `None` leaves it to the boards.
    pub max_workers: Option<u32>,
}

/// Settings of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityPolicy {
    /// How many workers it may have at once; `None` takes the default.
    pub max_workers: Option<Cap>,
    /// Its deliveries are forwarded to staging.
    pub staging: bool,
    /// Its jobs are refused.
    pub banned: bool,
}

/// A limit on the number of live workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// At most this many.
    AtMost(u32),
    /// As many as there are boards.
    Unlimited,
}

impl Cap {
    /// The number, if there is one.
    #[must_use]
    pub const fn get(self) -> Option<u32> {
        match self {
            Self::AtMost(n) => Some(n),
            Self::Unlimited => None,
        }
    }
}

/// How scarce slots are shared among accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// The oldest job of all first.
    #[default]
    Fifo,
    /// The account with the fewest live workers first, and its oldest job.
    Fair,
}

/// How many workers may live, and how they are created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The cap of an account that has none of its own.
    pub default_max_workers: Cap,
    /// How scarce slots are shared.
    pub sharing: Sharing,
    /// How many workers are provisioned at the same time.
    pub provision_concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { default_max_workers: Cap::AtMost(20), sharing: Sharing::Fifo, provision_concurrency: 16 }
    }
}

/// Every period and deadline of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// How often the `schedule` and `workers` loops run without being woken.
    pub tick: Duration,
    /// How long a wake-up waits for others to join it.
    pub debounce: Duration,
    /// How often doubtful jobs are looked up on GitHub.
    pub jobs_poll: Duration,
    /// How often registrations are listed.
    pub runners_poll: Duration,
    /// How often lost webhook deliveries are looked for.
    pub deliveries_sweep: Duration,
    /// How often queued and in-progress runs are listed.
    pub runs_poll: Duration,
    /// How long a pod may stay `Pending`.
    pub pod_pending: Duration,
    /// How long a running pod may be without a registered runner.
    pub runner_registration: Duration,
    /// How long a runner may be idle while there is demand for it.
    pub runner_idle: Duration,
    /// How long a runner may be idle when supply exceeds demand.
    pub runner_surplus: Duration,
    /// How long a busy runner may be offline while its pod does not run.
    pub runner_lost: Duration,
    /// How long a node may be unreachable before its pods are given up.
    pub node_lost: Duration,
    /// How long a reservation may be without a pod.
    pub reserved_grace: Duration,
    /// How long a registration or secret of unknown origin is left alone.
    pub orphan_grace: Duration,
    /// How long pods are kept after they ended.
    pub pod_grace: Duration,
    /// How long a leader's lease lasts without renewal.
    pub lease: Duration,
    /// How long a job may be called queued by GitHub while we hold it running.
    pub requeue: Duration,
    /// How long a job may stay queued after its run completed.
    pub stuck_queued: Duration,
    /// How long a shutdown waits for provisioning in flight.
    pub shutdown: Duration,
    /// How long a key waits after one of its workers failed; doubled by each further failure.
    pub backoff: Duration,
    /// The longest that a key waits.
    pub backoff_longest: Duration,
    /// How long a board whose workers failed is set aside, doubled each time, and an image that GitHub
    /// refused, not doubled.
    pub quarantine: Duration,
    /// The longest that a board is set aside.
    pub quarantine_longest: Duration,
    /// How often expired rows are removed.
    pub retention: Duration,
    /// How long the event log is kept.
    pub keep_events: Duration,
    /// How long ended jobs, ended workers and orders of operators are kept.
    pub keep_jobs: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(15),
            debounce: Duration::from_millis(5),
            jobs_poll: Duration::from_secs(15),
            runners_poll: Duration::from_secs(30),
            deliveries_sweep: Duration::from_secs(300),
            runs_poll: Duration::from_secs(300),
            pod_pending: Duration::from_secs(600),
            runner_registration: Duration::from_secs(120),
            runner_idle: Duration::from_secs(600),
            runner_surplus: Duration::from_secs(60),
            runner_lost: Duration::from_secs(300),
            node_lost: Duration::ZERO,
            reserved_grace: Duration::from_secs(120),
            orphan_grace: Duration::from_secs(120),
            pod_grace: Duration::from_secs(6 * 3600),
            lease: Duration::from_secs(8),
            requeue: Duration::from_secs(300),
            stuck_queued: Duration::from_secs(600),
            shutdown: Duration::from_secs(10),
            backoff: Duration::from_secs(30),
            backoff_longest: Duration::from_secs(15 * 60),
            quarantine: Duration::from_secs(10 * 60),
            quarantine_longest: DAY,
            retention: DAY,
            keep_events: DAY.saturating_mul(90),
            keep_jobs: DAY.saturating_mul(365),
        }
    }
}

/// What the names of our workers begin with: it marks our pods, secrets and registrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePrefix(String);

/// How many random characters follow the prefix.
pub const NAME_SUFFIX_CHARS: usize = 9;

impl NamePrefix {
    /// Checks that a name with this prefix is a valid worker name.
    ///
    /// # Errors
    /// A prefix that is empty, too long or outside `[a-z0-9-]`.
    pub fn new(text: impl Into<String>) -> Result<Self, crate::ids::IdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(crate::ids::IdError::new("name prefix", "must not be empty"));
        }
        WorkerName::new(format!("{text}{}", "x".repeat(NAME_SUFFIX_CHARS)))?;
        Ok(Self(text))
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name is one of ours. The prefix of another environment may begin with ours (`runner-` and
    /// `runner-staging-`), so what follows must have our form.
    #[must_use]
    pub fn owns(&self, name: &str) -> bool {
        let ours = |suffix: &str| {
            suffix.len() == NAME_SUFFIX_CHARS
                && suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        name.strip_prefix(self.as_str()).is_some_and(ours)
    }
}

impl TryFrom<String> for NamePrefix {
    type Error = crate::ids::IdError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<NamePrefix> for String {
    fn from(prefix: NamePrefix) -> Self {
        prefix.0
    }
}

impl Policy {
    /// The cap of an account: the one set at run time, else the configured one, else the default.
    #[must_use]
    pub fn entity_cap(&self, entity: EntityId, at_run_time: Option<Cap>) -> Cap {
        at_run_time
            .or_else(|| self.entities.get(&entity).and_then(|special| special.max_workers))
            .unwrap_or(self.limits.default_max_workers)
    }
}
