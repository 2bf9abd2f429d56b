//! The pools: demand, supply, slots, how long the oldest waits, and why.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{controls::Controls, controls::Note, ids::PoolName, policy::Policy, ports::UsageRow};
use serde::{Deserialize, Serialize};

use super::Totals;
use crate::picture::{Picture, SlotState};

/// Every pool that is configured or in use: `/pools.json`, `rrctl pools`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolsView {
    /// The pools by name.
    pub pools: BTreeMap<PoolName, PoolView>,
    /// The time of these facts.
    pub as_of: Timestamp,
}

/// A pool, as far as the process that reports it knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    /// Demand and supply.
    #[serde(flatten)]
    pub totals: Totals,
    /// When the oldest waiting job was created; only where the queue is seen.
    pub oldest_created_at: Option<Timestamp>,
    /// How many jobs wait for each reason; only where the queue is seen.
    pub reasons: Option<BTreeMap<String, u32>>,
    /// Boards that the pool selects, whatever they do; only where the boards are seen.
    pub boards: Option<usize>,
    /// Slots by state; only where the boards are seen.
    pub slots: Option<BTreeMap<SlotState, u32>>,
    /// How many workers it may have at the same time; `null`: as many as there are slots.
    pub max_workers: Option<u32>,
    /// The order by which an operator drained it.
    pub drained: Option<Note>,
}

impl PoolsView {
    /// Every pool that is configured or in use.
    #[must_use]
    pub fn of(
        usage: &[UsageRow],
        policy: &Policy,
        controls: &Controls,
        picture: Option<&Picture>,
        as_of: Timestamp,
    ) -> Self {
        let names = policy.pools.keys().chain(usage.iter().map(|row| &row.k8s_pool));
        let pool = |name: &PoolName| PoolView::of(name, usage, policy, controls, picture);
        Self { pools: names.map(|name| (name.clone(), pool(name))).collect(), as_of }
    }
}

impl PoolView {
    fn of(
        name: &PoolName,
        usage: &[UsageRow],
        policy: &Policy,
        controls: &Controls,
        picture: Option<&Picture>,
    ) -> Self {
        let queue = picture.and_then(|picture| picture.pools.get(name));
        let slots = picture.and_then(|picture| picture.slots.as_ref()).and_then(|slots| slots.get(name));
        let boards = picture.and_then(|picture| picture.boards.as_ref());
        let reasons = |counts: &BTreeMap<&'static str, u32>| {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        Self {
            totals: Totals::of(usage.iter().filter(|row| row.k8s_pool == *name)),
            oldest_created_at: queue.and_then(|queue| queue.oldest),
            reasons: queue.map(|queue| reasons(&queue.reasons)),
            boards: boards.map(|boards| boards.iter().filter(|board| board.pools.contains(name)).count()),
            slots: slots.cloned(),
            max_workers: policy.pools.get(name).and_then(|pool| pool.max_workers),
            drained: controls.drained_pools.get(name).cloned(),
        }
    }

    /// Slots of boards that take workers; `None` where the boards are not seen.
    #[must_use]
    pub fn usable_slots(&self) -> Option<u32> {
        Some(self.slots_that_are(SlotState::Free)? + self.slots_that_are(SlotState::Active)?)
    }

    /// Slots in one state; `None` where the boards are not seen.
    #[must_use]
    pub fn slots_that_are(&self, state: SlotState) -> Option<u32> {
        Some(self.slots.as_ref()?.get(&state).copied().unwrap_or(0))
    }
}
