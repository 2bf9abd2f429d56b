//! One snapshot as pages and metrics show it: who waits where and why, and what the boards do.
//!
//! Planned by the planner itself, so that every reason is the scheduler's own; nothing is executed.

mod boards;
mod queues;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use riscv_runner_core::{
    ids::PoolName,
    job::{Job, JobFacts},
    plan::{self, Plan, capacity::Capacity},
    policy::Policy,
    ports::Ahead,
    snapshot::{PendingJob, Snapshot},
    why::{self, Reason},
};
use serde::{Deserialize, Serialize};

pub(crate) use boards::Board;
pub use boards::{BoardState, Occupant, SlotState};
pub(crate) use queues::{KeyQueue, PoolQueue, Verdict};

/// A snapshot with what follows from it.
pub struct Picture {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Keys with waiting jobs, the one with the oldest first.
    pub(crate) keys: Vec<KeyQueue>,
    /// Queues by pool, configured pools without a queue included.
    pub(crate) pools: BTreeMap<PoolName, PoolQueue>,
    /// Every machine by name; `None` while the cluster cannot be observed.
    pub(crate) boards: Option<Vec<Board>>,
    /// Slots of each configured pool by what they do; `None` as above. A board that two pools share is
    /// counted in both.
    pub(crate) slots: Option<BTreeMap<PoolName, BTreeMap<SlotState, u32>>>,
    plan: Plan,
    policy: Arc<Policy>,
}

/// A place in a queue, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// How many are served before it, itself included.
    pub place: usize,
    /// How many wait.
    pub of: usize,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Among jobs that the same runners may serve.
    pub in_key: Place,
    /// Among jobs for the same boards.
    pub in_pool: Place,
}

impl Picture {
    /// Waiting jobs of each key that are worth a look each; those behind them wait for what the last of them does.
    pub const MOST_OF_A_KEY: u32 = 500;

    /// Works out what follows from a snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot, policy: &Arc<Policy>) -> Self {
        let plan = plan::schedule(&snapshot, policy);
        let (keys, mut pools) = queues::queues(&snapshot, policy, &plan);
        for pool in policy.pools.keys() {
            pools.entry(pool.clone()).or_default();
        }
        let boards = boards::boards(&snapshot, policy);
        let capacity = Capacity::of(&snapshot, policy);
        let slots = boards.as_ref().zip(capacity);
        let slots = slots.map(|(boards, capacity)| boards::slots(boards, &capacity, &snapshot.controls));
        Self { keys, pools, boards, slots, plan, snapshot, policy: Arc::clone(policy) }
    }

    /// Whether it holds every waiting job.
    fn is_whole(&self) -> bool {
        !self.snapshot.demand.values().any(queues::is_cut)
    }

    /// Why a waiting job waits, and since when; `None` for a job that the snapshot does not know to wait. One that
    /// waits behind those that were read waits for what the last of them does.
    pub(crate) fn reason(&self, job: &Job) -> Option<(Reason, Timestamp)> {
        let key = job.facts.key();
        let like = self.like(job)?;
        let reason = why::explain(&self.snapshot, &self.plan, like.id)?;
        let since = why::since(&self.snapshot, &self.policy, &key, like, &reason);
        let since = if like.id == job.facts.id { since } else { since.max(job.facts.created_at) };
        Some((reason, since))
    }

    /// The job itself, or, behind those that were read, the last of these, if possible of its pool.
    fn like(&self, job: &Job) -> Option<&PendingJob> {
        let demand = self.snapshot.demand.get(&job.facts.key())?;
        if let Some(itself) = demand.waiting.iter().find(|waiting| waiting.id == job.facts.id) {
            return Some(itself);
        }
        let last = demand.waiting.last().filter(|_| queues::is_cut(demand))?;
        if (job.facts.created_at, job.facts.id) < (last.created_at, last.id) {
            return None;
        }
        let of_pool = |waiting: &&PendingJob| waiting.placement.pool == job.placement.pool;
        demand.waiting.iter().rev().find(of_pool).or(Some(last))
    }

    /// Where a waiting job stands; `None` also where not every waiting job was read.
    pub(crate) fn position(&self, facts: &JobFacts) -> Option<Position> {
        let demand = self.snapshot.demand.get(&facts.key()).filter(|_| self.is_whole())?;
        let place = demand.waiting.iter().position(|job| job.id == facts.id)?;
        let pool = &demand.waiting.get(place)?.placement.pool;
        let ahead = |at, id| (at, id) < (facts.created_at, facts.id);
        let in_pool = self
            .snapshot
            .demand
            .values()
            .flat_map(|demand| &demand.waiting)
            .filter(|job| job.placement.pool == *pool && ahead(job.created_at, job.id))
            .count();
        Some(Position {
            in_key: Place { place: place + 1, of: demand.waiting.len() },
            in_pool: Place { place: in_pool + 1, of: self.pools.get(pool)?.waiting as usize },
        })
    }

    /// Where a waiting job stands behind so many others.
    pub(crate) fn position_behind(&self, job: &Job, ahead: Ahead) -> Position {
        let in_key = self.snapshot.demand.get(&job.facts.key()).map_or(0, |demand| demand.pending);
        let in_pool = self.pools.get(&job.placement.pool).map_or(0, |queue| queue.waiting);
        // The counts are of other moments.
        let place = |ahead: u64, of: u32| {
            let place = usize::try_from(ahead).unwrap_or(usize::MAX).saturating_add(1);
            Place { place, of: place.max(of as usize) }
        };
        Position { in_key: place(ahead.in_key, in_key), in_pool: place(ahead.in_pool, in_pool) }
    }
}
