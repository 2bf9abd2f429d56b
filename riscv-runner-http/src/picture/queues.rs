//! Who waits, by key and by pool, with the reasons counted.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use jiff::Timestamp;
use riscv_runner_core::{
    ids::{JobId, PoolName},
    plan::{Hold, Plan},
    policy::Policy,
    scope::{PoolKey, ScopeRef},
    snapshot::{Demand, PendingJob, Snapshot},
    why::{self, Reason},
};

use super::Picture;

/// The waiting jobs of one key.
#[derive(Debug, Clone)]
pub(crate) struct KeyQueue {
    /// The key.
    pub(crate) key: PoolKey,
    /// How its account is called, as its oldest waiting job has it.
    pub(crate) scope: Option<ScopeRef>,
    /// Jobs that wait.
    pub(crate) pending: u32,
    /// Jobs that a runner has.
    pub(crate) running: u32,
    /// When the oldest waiting job was created.
    pub(crate) oldest: Option<Timestamp>,
    /// How many wait for each pool.
    pub(crate) pools: BTreeMap<PoolName, u32>,
    /// Why they wait, the most frequent first.
    pub(crate) verdicts: Vec<Verdict>,
}

/// Jobs that wait for the same kind of reason.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    /// The reason of the oldest of them.
    pub(crate) reason: Reason,
    /// Since when that job has been waiting for it.
    pub(crate) since: Timestamp,
    /// How many jobs wait for this reason.
    pub(crate) jobs: u32,
}

/// The waiting jobs of one pool, whatever their key.
#[derive(Debug, Clone, Default)]
pub(crate) struct PoolQueue {
    /// Jobs that wait.
    pub(crate) waiting: u32,
    /// When the oldest of them was created.
    pub(crate) oldest: Option<Timestamp>,
    /// When the oldest was created that no cap and no pause holds back.
    pub(crate) oldest_dispatchable: Option<Timestamp>,
    /// How many wait for each reason.
    pub(crate) reasons: BTreeMap<&'static str, u32>,
    /// Of these, the reasons for which the planner provides no worker.
    pub(crate) held: BTreeMap<&'static str, u32>,
}

impl PoolQueue {
    fn add(&mut self, created_at: Timestamp, reason: &Reason) {
        self.oldest = Some(self.oldest.map_or(created_at, |oldest| oldest.min(created_at)));
        if !is_withheld(reason) {
            let oldest = self.oldest_dispatchable.map_or(created_at, |oldest| oldest.min(created_at));
            self.oldest_dispatchable = Some(oldest);
        }
        self.count(reason, 1);
    }

    fn count(&mut self, reason: &Reason, jobs: u32) {
        self.waiting += jobs;
        *self.reasons.entry(reason.name()).or_default() += jobs;
        if let Reason::Held(hold) = reason
            && *hold != Hold::DemandMet
        {
            *self.held.entry(hold.name()).or_default() += jobs;
        }
    }
}

/// Whether an operator or a limit holds the job back, though boards may be free.
const fn is_withheld(reason: &Reason) -> bool {
    matches!(reason, Reason::Held(Hold::Paused { .. } | Hold::EntityAtCap { .. } | Hold::PoolAtCap { .. }))
}

/// All queues, by key and by pool.
pub(super) fn queues(
    snapshot: &Snapshot,
    policy: &Policy,
    plan: &Plan,
) -> (Vec<KeyQueue>, BTreeMap<PoolName, PoolQueue>) {
    let held: HashMap<JobId, &Hold> = plan.held.iter().collect();
    let mut pools: BTreeMap<PoolName, PoolQueue> = BTreeMap::new();
    let waited_for = snapshot.demand.iter().filter(|(_, demand)| demand.pending > 0);
    let mut keys: Vec<_> = waited_for
        .map(|(key, demand)| {
            let mut queue = KeyQueue::of(key, demand);
            let mut behind = Behind::new(demand);
            for job in &demand.waiting {
                let reason = reason(snapshot, plan, held.get(&job.id).copied(), job);
                pools.entry(job.placement.pool.clone()).or_default().add(job.created_at, &reason);
                queue.add(reason.clone(), 1, |reason| why::since(snapshot, policy, key, job, reason));
                behind.pass(job, reason);
            }
            for (pool, jobs, reason) in behind.rest() {
                pools.entry(pool).or_default().count(&reason, jobs);
                queue.add(reason, jobs, |_| snapshot.now);
            }
            queue.verdicts.sort_by_key(|verdict| (Reverse(verdict.jobs), verdict.reason.name()));
            queue
        })
        .collect();
    keys.sort_by(|a, b| (a.oldest, &a.key).cmp(&(b.oldest, &b.key)));
    (keys, pools)
}

fn reason(snapshot: &Snapshot, plan: &Plan, hold: Option<&Hold>, job: &PendingJob) -> Reason {
    match hold {
        None => Reason::Provision,
        // There are no more of these than there are workers.
        Some(Hold::DemandMet) => {
            why::explain(snapshot, plan, job.id).unwrap_or(Reason::Held(Hold::DemandMet))
        }
        Some(hold) => Reason::Held(hold.clone()),
    }
}

/// Whether jobs wait behind those that were read. The count and the list are of two moments, so a shorter list
/// that is not as long as asked for is complete.
pub(super) fn is_cut(demand: &Demand) -> bool {
    (Picture::MOST_OF_A_KEY as usize..demand.pending as usize).contains(&demand.waiting.len())
}

/// The jobs of a key behind those that were read, by pool: they wait for what the last one before them does.
struct Behind<'a> {
    pools: BTreeMap<&'a PoolName, (u32, Option<Reason>)>,
    last: Option<Reason>,
}

impl<'a> Behind<'a> {
    fn new(demand: &'a Demand) -> Self {
        let pools = demand.pending_by_pool.iter().filter(|_| is_cut(demand));
        Self { pools: pools.map(|(pool, jobs)| (pool, (*jobs, None))).collect(), last: None }
    }

    fn pass(&mut self, job: &PendingJob, reason: Reason) {
        if let Some((jobs, last)) = self.pools.get_mut(&job.placement.pool) {
            *jobs = jobs.saturating_sub(1);
            *last = Some(reason.clone());
            self.last = Some(reason);
        }
    }

    fn rest(self) -> impl Iterator<Item = (PoolName, u32, Reason)> {
        let Self { pools, last } = self;
        pools.into_iter().filter_map(move |(pool, (jobs, reason))| {
            Some((pool.clone(), jobs, reason.or_else(|| last.clone())?)).filter(|_| jobs > 0)
        })
    }
}

impl KeyQueue {
    fn of(key: &PoolKey, demand: &Demand) -> Self {
        Self {
            key: key.clone(),
            scope: demand.waiting.first().map(|job| job.scope.clone()),
            pending: demand.pending,
            running: demand.running,
            oldest: demand.oldest,
            pools: demand.pending_by_pool.clone(),
            verdicts: Vec::new(),
        }
    }

    fn add(&mut self, reason: Reason, jobs: u32, since: impl FnOnce(&Reason) -> Timestamp) {
        match self.verdicts.iter_mut().find(|verdict| verdict.reason.name() == reason.name()) {
            Some(verdict) => verdict.jobs += jobs,
            None => self.verdicts.push(Verdict { since: since(&reason), reason, jobs }),
        }
    }
}
