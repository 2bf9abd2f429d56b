//! The working copy of one planning: facts, wishes, and the ledger of what is planned already.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Action, Because, Finding, Holds, Plan, Step,
    capacity::Capacity,
    names::{Chance, worker_name},
    route_caps::RouteCaps,
    side_by_side::side_by_side,
};
use crate::{
    ids::{EntityId, ImageRef, InstallationId, PoolName, WorkerName},
    job::Placement,
    labels::LabelSet,
    policy::{Cap, Policy},
    runner::Sightings,
    scope::{PoolKey, Scope},
    snapshot::Snapshot,
    worker::Worker,
};

/// Supply of one key, before this plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Supply {
    /// Live workers that can serve the key's demand.
    pub workers: u32,
    /// Of these, the ones that have a job: a running job names them, or GitHub has called them busy. A
    /// running job that names none of them runs elsewhere, or on a worker that has just ended.
    pub taken: u32,
}

/// The working copy of one planning.
#[derive(Debug)]
pub struct Draft<'a> {
    /// What is known.
    pub snapshot: &'a Snapshot,
    /// What is wished.
    pub policy: &'a Policy,
    pub(super) held: Holds,
    /// Workers about which this plan decided already: no later pass decides again.
    decided: BTreeSet<WorkerName>,
    steps: Vec<Step>,
    findings: BTreeSet<Finding>,
    chance: Chance,
    // These are only ever asked for single entries, so their order never shows.
    supply: HashMap<(Scope, &'a LabelSet), Supply>,
    entity_live: HashMap<EntityId, u32>,
    pool_live: HashMap<&'a PoolName, u32>,
    pub(super) route_caps: RouteCaps<'a>,
    planned: BTreeMap<InstallationId, u32>,
    names: BTreeSet<WorkerName>,
    images: BTreeSet<&'a ImageRef>,
}

impl<'a> Draft<'a> {
    /// Counts what is there.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, policy: &'a Policy) -> Self {
        let mut draft = Self {
            snapshot,
            policy,
            held: Holds::default(),
            decided: BTreeSet::new(),
            steps: Vec::new(),
            findings: BTreeSet::new(),
            chance: Chance::new(snapshot.seed),
            supply: HashMap::new(),
            entity_live: HashMap::new(),
            pool_live: HashMap::new(),
            route_caps: RouteCaps::new(snapshot, policy),
            planned: BTreeMap::new(),
            names: BTreeSet::new(),
            images: BTreeSet::new(),
        };
        for (worker, seen) in side_by_side(&snapshot.workers, &snapshot.sightings) {
            draft.count(worker, seen);
        }
        draft
    }

    fn count(&mut self, worker: &'a Worker, seen: Option<&Sightings>) {
        if worker.status.is_terminal() {
            return;
        }
        *self.entity_live.entry(worker.scope.entity).or_default() += 1;
        *self.pool_live.entry(&worker.pool).or_default() += 1;
        if worker.is_supply() {
            let has_job = worker.runs_known_job() || seen.is_some_and(|seen| seen.was_busy);
            let supply = self.supply.entry((worker.scope.scope(), &worker.labels)).or_default();
            supply.workers += 1;
            supply.taken += u32::from(has_job);
        }
    }

    /// The free slots; `None` while the cluster cannot be observed.
    #[must_use]
    pub fn capacity(&self) -> Option<Capacity> {
        Capacity::of(self.snapshot, self.policy)
    }

    /// What can serve the key's demand, this plan included.
    #[must_use]
    pub fn supply(&self, key: &PoolKey) -> Supply {
        self.supply.get(&(key.scope, &key.labels)).copied().unwrap_or_default()
    }

    /// The account's live workers, this plan included.
    #[must_use]
    pub fn live_of(&self, entity: EntityId) -> u32 {
        self.entity_live.get(&entity).copied().unwrap_or(0)
    }

    /// The pool's live workers, this plan included.
    #[must_use]
    pub fn live_in(&self, pool: &PoolName) -> u32 {
        self.pool_live.get(pool).copied().unwrap_or(0)
    }

    /// Workers that this plan makes through the installation.
    #[must_use]
    pub fn planned_for(&self, installation: InstallationId) -> u32 {
        self.planned.get(&installation).copied().unwrap_or(0)
    }

    /// The account's cap.
    #[must_use]
    pub fn entity_cap(&self, entity: EntityId) -> Cap {
        self.policy.entity_cap(entity, self.snapshot.controls.entity_caps.get(&entity).map(|(cap, _)| *cap))
    }

    /// A name that no worker of the snapshot or of this plan has.
    pub(super) fn fresh_name(&mut self) -> Option<WorkerName> {
        loop {
            let name = worker_name(&self.policy.name_prefix, &mut self.chance)?;
            if !self.snapshot.workers.contains_key(&name) && self.names.insert(name.clone()) {
                return Some(name);
            }
        }
    }

    /// The next number of the plan's chance.
    pub(super) fn chance(&mut self) -> u64 {
        self.chance.next()
    }

    /// Whether this plan makes a worker of the image, which GitHub has refused.
    pub(super) fn tries(&self, image: &ImageRef) -> bool {
        self.images.contains(image)
    }

    /// Debits one more worker.
    pub(super) fn debit(&mut self, key: &'a PoolKey, placement: &'a Placement, installation: InstallationId) {
        let Placement { pool, image } = placement;
        if self.snapshot.refused_images.contains_key(image) {
            self.images.insert(image);
        }
        self.route_caps.debit(&key.labels, pool);
        *self.planned.entry(installation).or_default() += 1;
        self.supply.entry((key.scope, &key.labels)).or_default().workers += 1;
        *self.entity_live.entry(key.scope.entity()).or_default() += 1;
        *self.pool_live.entry(pool).or_default() += 1;
    }

    /// Debits a worker that this plan ends: it is no longer supply. Nothing is credited to caps or
    /// capacity before its end is seen.
    pub(super) fn debit_supply(&mut self, worker: &'a Worker) {
        let key = (worker.scope.scope(), &worker.labels);
        if let Some(supply) = self.supply.get_mut(&key).filter(|_| worker.is_supply()) {
            supply.workers = supply.workers.saturating_sub(1);
        }
    }

    /// Whether an earlier pass decided about this worker.
    #[must_use]
    pub fn is_decided(&self, worker: &WorkerName) -> bool {
        self.decided.contains(worker)
    }

    /// Plans a step that settles what becomes of its worker.
    pub(super) fn decide(&mut self, action: Action, because: Because) {
        self.decided.insert(action.worker().clone());
        self.steps.push(Step { action, because });
    }

    /// Plans a step beside what else becomes of its worker.
    pub(super) fn also(&mut self, action: Action, because: Because) {
        self.steps.push(Step { action, because });
    }

    /// Records a problem that no action fixes.
    pub(super) fn find(&mut self, finding: Finding) {
        self.findings.insert(finding);
    }

    /// The plan.
    pub fn finish(self) -> Plan {
        Plan { steps: self.steps, held: self.held, findings: self.findings.into_iter().collect() }
    }
}
