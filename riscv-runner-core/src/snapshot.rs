//! Everything that one cycle may know: facts, never wishes, and no way to query for more.
//!
//! A snapshot is a value. Written as JSON it replays an incident and becomes a fixture.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    backoff::Backoff,
    controls::Controls,
    ids::{InstallationId, JobId, NodeName, PoolName, RepoName, RunnerName, WorkerName},
    job::Placement,
    observed::{Observed, Why},
    pod::{Node, Pod},
    quarantine::Quarantine,
    runner::{Runner, RunnerListing, Sightings},
    scope::{PoolKey, Scope, ScopeRef},
    why::HeldSince,
    worker::Worker,
};

/// A waiting job, with what planning needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingJob {
    /// GitHub's id.
    pub id: JobId,
    /// Its place in the queue.
    pub created_at: Timestamp,
    /// Its repository.
    pub repo: RepoName,
    /// How to register a runner for it.
    pub scope: ScopeRef,
    /// Where it is to run.
    pub placement: Placement,
}

/// The demand in one pool key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Waiting jobs: all of them, whether or not they are in `waiting`.
    pub pending: u32,
    /// Jobs that a runner has.
    pub running: u32,
    /// When the oldest waiting job was created.
    pub oldest: Option<Timestamp>,
    /// That job: what holds it back usually holds back the whole key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front: Option<Box<PendingJob>>,
    /// How many jobs wait for each pool; together they are `pending`. Routing usually sends all jobs
    /// of a key to one pool, but a rule may single out a repository.
    pub pending_by_pool: BTreeMap<PoolName, u32>,
    /// How many of the oldest waiting jobs were not read, because workers are on their way for them.
    pub skipped: u32,
    /// Waiting jobs that were read, oldest first: as many as could be served now.
    pub waiting: Vec<PendingJob>,
}

impl Demand {
    /// The jobs that supply is compared with: those that wait and those that run.
    #[must_use]
    pub const fn jobs(&self) -> u32 {
        self.pending.saturating_add(self.running)
    }

    /// The waiting jobs that are also counted. The list may be newer than the count; what came in between is
    /// left to the next cycle.
    #[must_use]
    pub fn counted(&self) -> &[PendingJob] {
        let counted = self.pending.saturating_sub(self.skipped) as usize;
        &self.waiting[..counted.min(self.waiting.len())]
    }
}

/// The demand of every pool key that has any.
pub type DemandByKey = BTreeMap<PoolKey, Demand>;

/// What prevents registering runners for one installation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallationHealth {
    /// GitHub's limits forbid requests until then.
    pub rate_limited_until: Option<Timestamp>,
    /// The App has not been able to authenticate since then.
    pub auth_failing_since: Option<Timestamp>,
    /// The earliest time to try authenticating again.
    pub auth_retry_at: Option<Timestamp>,
    /// GitHub has answered 404 for the installation's token since then: it is uninstalled.
    pub gone_since: Option<Timestamp>,
    /// How many registrations the minting limit leaves now, and when the next one is allowed; `None`
    /// while it does not bind.
    pub mints_left: Option<(u32, Timestamp)>,
    /// GitHub refused to register runners; not asked again until then, with the HTTP status.
    pub minting_refused: Option<(Timestamp, u16)>,
}

/// Idle runners that a rule keeps for one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warm {
    /// How many idle runners to keep.
    pub count: u32,
    /// How to register them.
    pub scope: ScopeRef,
    /// Where they run.
    pub placement: Placement,
}

/// What the leader remembers of polling each worker's registration.
pub type SightingsByWorker = BTreeMap<WorkerName, Sightings>;

/// Everything that one cycle may know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The time of the cycle.
    pub now: Timestamp,
    /// The cycle's randomness.
    pub seed: u64,
    /// Since when this process has been leading without interruption: nothing is judged by what it missed
    /// before.
    pub watching_since: Timestamp,
    /// Demand by pool key.
    #[serde(with = "crate::snapshot::pairs")]
    pub demand: DemandByKey,
    /// Idle runners that are wanted beyond the demand.
    #[serde(with = "crate::snapshot::pairs")]
    pub warm: BTreeMap<PoolKey, Warm>,
    /// Live workers, by name.
    pub workers: BTreeMap<WorkerName, Worker>,
    /// Ended workers whose names are still on a pod, a secret or a registration.
    pub ended: BTreeMap<WorkerName, Worker>,
    /// Workers that this process is creating now: they may be without a pod for a while.
    pub in_flight: BTreeSet<WorkerName>,
    /// The machines.
    pub nodes: Observed<BTreeMap<NodeName, Node>>,
    /// Our pods, by name.
    pub pods: Observed<BTreeMap<WorkerName, Pod>>,
    /// Our secrets, by name, with when they were created.
    pub secrets: Observed<BTreeMap<WorkerName, Timestamp>>,
    /// How to address the scopes of `runners`.
    pub scopes: Vec<ScopeRef>,
    /// Registrations by scope; a scope that is missing was not polled.
    #[serde(with = "crate::snapshot::pairs")]
    pub runners: BTreeMap<Scope, Observed<RunnerListing>>,
    /// What earlier polls of the registrations showed.
    pub sightings: SightingsByWorker,
    /// What operators hold back.
    pub controls: Controls,
    /// Pool keys whose workers keep failing.
    #[serde(with = "crate::snapshot::pairs")]
    pub backoffs: BTreeMap<PoolKey, Backoff>,
    /// Boards whose workers keep failing.
    pub quarantines: BTreeMap<NodeName, Quarantine>,
    /// Images whose runner GitHub refuses as outdated, and since when.
    pub refused_images: BTreeMap<crate::ids::ImageRef, Timestamp>,
    /// What prevents registering runners, by installation.
    pub installations: BTreeMap<InstallationId, InstallationHealth>,
    /// Up to when GitHub's log of deliveries has been compared with ours, and nothing was missing.
    #[serde(default)]
    pub deliveries_swept: Option<Timestamp>,
    /// Since when jobs have been held for reasons that leave no other trace, as far as this process has seen.
    #[serde(default, with = "crate::snapshot::pairs")]
    pub held_since: HeldSince,
}

impl Snapshot {
    /// An empty snapshot at `now`: nothing is present, and nothing is unknown.
    #[must_use]
    pub const fn empty(now: Timestamp) -> Self {
        Self {
            now,
            seed: 0,
            watching_since: Timestamp::UNIX_EPOCH,
            demand: BTreeMap::new(),
            warm: BTreeMap::new(),
            workers: BTreeMap::new(),
            ended: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            nodes: Observed::Present(BTreeMap::new()),
            pods: Observed::Present(BTreeMap::new()),
            secrets: Observed::Present(BTreeMap::new()),
            scopes: Vec::new(),
            runners: BTreeMap::new(),
            sightings: BTreeMap::new(),
            controls: Controls {
                everything_paused: None,
                paused_entities: BTreeMap::new(),
                paused_repos: BTreeMap::new(),
                drained_pools: BTreeMap::new(),
                drained_nodes: BTreeMap::new(),
                entity_caps: BTreeMap::new(),
                banned_entities: BTreeMap::new(),
                revoked_workers: BTreeMap::new(),
            },
            backoffs: BTreeMap::new(),
            quarantines: BTreeMap::new(),
            refused_images: BTreeMap::new(),
            installations: BTreeMap::new(),
            deliveries_swept: None,
            held_since: BTreeMap::new(),
        }
    }

    /// What is known of the pod of this name.
    #[must_use]
    pub fn pod(&self, name: &WorkerName) -> Observed<&Pod> {
        self.pods.and_find(|pods| pods.get(name))
    }

    /// What is known of the node of this name.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Observed<&Node> {
        self.nodes.and_find(|nodes| nodes.get(name))
    }

    /// What is known of the registration of a worker.
    #[must_use]
    pub fn runner(&self, worker: &Worker) -> Observed<&Runner> {
        match self.runners.get(&worker.scope.scope()) {
            Some(listing) => listing.and_find(|runners| runners.get(&RunnerName::from(&worker.name))),
            None => Observed::Unknown(Why::NotLooked),
        }
    }
}

/// Maps whose keys are not strings, written as lists of pairs.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
