//! The laws, checked again on a finished plan by other means than those that produced it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use super::{Action, EndWorker, Plan, capacity::Capacity};
use crate::{
    ids::{EntityId, JobId, PoolName, WorkerName},
    labels::LabelSet,
    policy::Policy,
    scope::{PoolKey, Scope},
    snapshot::Snapshot,
};

/// A law that a plan breaks. A plan with a violation is not executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// More workers for an account than it may have.
    EntityCap(String),
    /// More workers for a pool than it may have.
    PoolCap(String),
    /// More workers for a key than its demand and `warm` ask for.
    MoreThanDemand(String),
    /// More workers for a pool than its boards have free slots.
    Slots(String),
    /// Workers planned while the cluster cannot be observed, or ended on an unknown observation.
    Blind(WorkerName),
    /// A worker that runs a known job is to be ended although its node is there, and no operator
    /// forces it.
    BusyWorker(WorkerName),
    /// Two decisions about one worker, or two workers of one name.
    Twice(WorkerName),
    /// A change from a status that the snapshot does not show.
    WrongSource(WorkerName),
    /// A waiting job is served twice, or both served and held.
    Account(JobId),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Every law that the plan breaks; empty for every plan that [`super::schedule`] or
/// [`super::reconcile`] makes.
#[must_use]
pub fn audit(snapshot: &Snapshot, policy: &Policy, plan: &Plan) -> Vec<Violation> {
    let mut broken = Vec::new();
    caps(snapshot, policy, plan, &mut broken);
    slots(snapshot, policy, plan, &mut broken);
    account(plan, &mut broken);
    let mut decided = BTreeSet::new();
    for step in &plan.steps {
        match &step.action {
            Action::Provision(new) => {
                if snapshot.workers.contains_key(&new.name) || !decided.insert(&new.name) {
                    broken.push(Violation::Twice(new.name.clone()));
                }
            }
            Action::End(end) => {
                if !decided.insert(&end.worker) {
                    broken.push(Violation::Twice(end.worker.clone()));
                }
                ended(snapshot, end, &mut broken);
            }
            Action::MarkRunning { worker, from, .. }
            | Action::MarkCompleted { worker, from, .. }
            | Action::NoteBound { worker, from, .. }
            | Action::MarkGone { worker, from } => {
                if snapshot.workers.get(worker).is_none_or(|known| known.status != *from) {
                    broken.push(Violation::WrongSource(worker.clone()));
                }
            }
            Action::KillPod { worker, .. }
            | Action::DeletePod { worker, .. }
            | Action::Adopt { worker, .. } => {
                if !snapshot.pod(worker).is_present() || snapshot.workers.contains_key(worker) {
                    broken.push(Violation::Blind(worker.clone()));
                }
            }
            Action::Deregister { worker, .. } => {
                if snapshot.workers.contains_key(worker) {
                    broken.push(Violation::BusyWorker(worker.clone()));
                }
            }
            Action::LiftRefusal { worker, image } => {
                if !snapshot.refused_images.contains_key(image) {
                    broken.push(Violation::WrongSource(worker.clone()));
                }
            }
            Action::DeleteSecret { .. } => {}
        }
    }
    broken
}

fn ended(snapshot: &Snapshot, end: &EndWorker, broken: &mut Vec<Violation>) {
    let Some(worker) = snapshot.workers.get(&end.worker).filter(|worker| worker.status == end.from) else {
        broken.push(Violation::WrongSource(end.worker.clone()));
        return;
    };
    let pod = snapshot.pod(&end.worker);
    if pod.is_unknown() {
        broken.push(Violation::Blind(end.worker.clone()));
    }
    let alive_and_well = pod.present().is_some_and(|pod| {
        let node = pod.node.as_ref().map(|node| snapshot.node(node));
        matches!(pod.phase, crate::pod::PodPhase::Running { .. })
            && node.is_none_or(|node| node.present().is_some_and(|node| node.unreachable_since.is_none()))
    });
    let wanted = is_wanted(snapshot, end);
    if end.is_destructive() && worker.runs_known_job() && alive_and_well && !wanted {
        broken.push(Violation::BusyWorker(end.worker.clone()));
    }
}

/// Whether an operator wants the worker gone though a job runs on it.
fn is_wanted(snapshot: &Snapshot, end: &EndWorker) -> bool {
    end.is_forced() && snapshot.controls.revoked_workers.get(&end.worker).is_some_and(|wish| wish.force)
}

/// How many workers there are and how many more are planned.
#[derive(Default)]
struct Tally {
    live: usize,
    new: usize,
}

impl Tally {
    const fn exceeds(&self, max: u32) -> bool {
        self.live + self.new > max as usize
    }
}

fn caps(snapshot: &Snapshot, policy: &Policy, plan: &Plan, broken: &mut Vec<Violation>) {
    let mut entities: BTreeMap<EntityId, Tally> = BTreeMap::new();
    let mut pools: BTreeMap<&PoolName, Tally> = BTreeMap::new();
    let mut keys: BTreeMap<PoolKey, usize> = BTreeMap::new();
    for new in plan.steps.iter().filter_map(|step| step.action.as_provision()) {
        entities.entry(new.scope.entity).or_default().new += 1;
        if policy.pools.get(&new.pool).is_some_and(|pool| pool.max_workers.is_some()) {
            pools.entry(&new.pool).or_default().new += 1;
        }
        *keys.entry(new.key()).or_default() += 1;
    }
    if keys.is_empty() {
        return;
    }
    let mut supplied: HashMap<(Scope, &LabelSet), usize> = HashMap::new();
    for worker in snapshot.workers.values().filter(|worker| !worker.status.is_terminal()) {
        if let Some(tally) = pools.get_mut(&worker.pool) {
            tally.live += 1;
        }
        // Keys of other accounts are in no step.
        let Some(tally) = entities.get_mut(&worker.scope.entity) else { continue };
        tally.live += 1;
        if worker.is_supply() {
            *supplied.entry((worker.scope.scope(), &worker.labels)).or_default() += 1;
        }
    }
    for (entity, tally) in entities {
        let cap = policy.entity_cap(entity, snapshot.controls.entity_caps.get(&entity).map(|(cap, _)| *cap));
        if cap.get().is_some_and(|max| tally.exceeds(max)) {
            broken.push(Violation::EntityCap(format!("entity {entity}: {} more", tally.new)));
        }
    }
    for (pool, tally) in pools {
        let max = policy.pools.get(pool).and_then(|pool| pool.max_workers);
        if max.is_some_and(|max| tally.exceeds(max)) {
            broken.push(Violation::PoolCap(format!("pool {pool}: {} more", tally.new)));
        }
    }
    for (key, new) in keys {
        let jobs = snapshot.demand.get(&key).map_or(0, |demand| demand.jobs() as usize);
        let warm = snapshot.warm.get(&key).map_or(0, |warm| warm.count as usize);
        let supply = supplied.get(&(key.scope, &key.labels)).copied().unwrap_or(0);
        if supply + new > jobs + warm {
            broken.push(Violation::MoreThanDemand(format!("{key}: {supply} + {new} > {jobs} + {warm}")));
        }
    }
}

/// Reconciling judges no waiting job, so that one is neither served nor held breaks no law here.
fn account(plan: &Plan, broken: &mut Vec<Violation>) {
    let mut served = BTreeSet::new();
    let jobs = plan.steps.iter().filter_map(|step| step.action.as_provision()?.job);
    broken.extend(jobs.filter(|job| !served.insert(*job)).map(Violation::Account));
    if !served.is_empty() {
        let held = plan.held.iter().map(|(job, _)| job);
        broken.extend(held.filter(|job| served.contains(job)).map(Violation::Account));
    }
}

fn slots(snapshot: &Snapshot, policy: &Policy, plan: &Plan, broken: &mut Vec<Violation>) {
    let provisions = || plan.steps.iter().filter_map(|step| step.action.as_provision());
    let mut wanted: BTreeMap<&PoolName, u32> = BTreeMap::new();
    for new in provisions() {
        *wanted.entry(&new.pool).or_default() += 1;
    }
    if wanted.is_empty() {
        return;
    }
    let Some(mut capacity) = Capacity::of(snapshot, policy) else {
        broken.extend(provisions().map(|new| Violation::Blind(new.name.clone())));
        return;
    };
    // Pools may share boards, so each takes what the ones before it left. Whether all fit does not
    // depend on their order.
    for (pool, n) in wanted {
        if capacity.take_up_to(pool, n) < n {
            broken.push(Violation::Slots(format!("pool {pool}: {n} wanted")));
        }
    }
}
