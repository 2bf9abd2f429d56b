//! The values of the gauges at one moment, read from the store's counts or from a snapshot.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age, controls::Controls, ids::PoolName, job::JobPhase, policy::Policy, ports::UsageRow,
    snapshot::Snapshot, worker::WorkerStatus,
};

use super::labels::{CONTROLS, pool_label};
use crate::picture::{Picture, PoolQueue, SlotState};

/// The values of the gauges. Labels are pools of the configuration, `other` for all the rest, and enums.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readings {
    pub(super) queues: BTreeMap<String, u64>,
    pub(super) jobs: BTreeMap<JobPhase, u64>,
    pub(super) workers: BTreeMap<(WorkerStatus, String), u64>,
    /// Orders in force, by verb and kind of target.
    pub(super) controls: BTreeMap<(&'static str, &'static str), u64>,
    /// What only a snapshot shows.
    pub(super) seen: Option<Seen>,
}

/// What only a snapshot shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) oldest: BTreeMap<String, f64>,
    pub(super) oldest_dispatchable: BTreeMap<String, f64>,
    pub(super) withheld: BTreeMap<&'static str, u64>,
    pub(super) slots: BTreeMap<(String, SlotState), u64>,
}

impl Readings {
    /// Everything at zero, for these pools.
    fn zero<'a>(pools: impl IntoIterator<Item = &'a PoolName>) -> Self {
        let mut readings = Self::default();
        for phase in JobPhase::ALL.into_iter().filter(|phase| phase.is_demand()) {
            readings.jobs.insert(phase, 0);
        }
        for pool in pools {
            readings.queues.insert(pool.to_string(), 0);
            for status in WorkerStatus::ALL.into_iter().filter(|status| !status.is_terminal()) {
                readings.workers.insert((status, pool.to_string()), 0);
            }
        }
        readings.controls = CONTROLS.map(|control| ((control.action, control.target_kind), 0)).into();
        readings
    }

    fn add_controls(&mut self, controls: &Controls) {
        for in_force in controls.in_force() {
            let labels = (in_force.order.verb().as_str(), in_force.order.target().kind());
            *self.controls.entry(labels).or_default() += 1;
        }
    }

    /// From the store's counts and the orders in force alone: how many jobs wait and how many workers live.
    #[must_use]
    pub fn of_usage(usage: &[UsageRow], policy: &Policy, controls: &Controls) -> Self {
        let mut readings = Self::zero(policy.pools.keys());
        readings.add_controls(controls);
        for row in usage {
            let pool = pool_label(&row.k8s_pool, policy);
            for (phase, count) in row.jobs.iter().filter(|(phase, _)| phase.is_demand()) {
                *readings.jobs.entry(*phase).or_default() += count;
                if *phase == JobPhase::Pending {
                    *readings.queues.entry(pool.to_owned()).or_default() += count;
                }
            }
            for (status, count) in row.workers.iter().filter(|(status, _)| !status.is_terminal()) {
                *readings.workers.entry((*status, pool.to_owned())).or_default() += count;
            }
        }
        readings
    }

    /// From a snapshot that holds every waiting job.
    #[must_use]
    pub fn of_snapshot(snapshot: Snapshot, policy: &std::sync::Arc<Policy>) -> Self {
        Self::of_picture(&Picture::new(snapshot, policy), policy)
    }

    pub(crate) fn of_picture(picture: &Picture, policy: &Policy) -> Self {
        let mut readings = Self::zero(policy.pools.keys());
        readings.add_controls(&picture.snapshot.controls);
        for demand in picture.snapshot.demand.values() {
            *readings.jobs.entry(JobPhase::Pending).or_default() += u64::from(demand.pending);
            *readings.jobs.entry(JobPhase::Running).or_default() += u64::from(demand.running);
        }
        for worker in picture.snapshot.workers.values().filter(|worker| !worker.status.is_terminal()) {
            let pool = pool_label(&worker.pool, policy).to_owned();
            *readings.workers.entry((worker.status, pool)).or_default() += 1;
        }
        let mut seen = Seen::default();
        for (name, queue) in &picture.pools {
            let pool = pool_label(name, policy);
            *readings.queues.entry(pool.to_owned()).or_default() += u64::from(queue.waiting);
            seen.add_queue(pool, queue, picture.snapshot.now);
        }
        for (pool, slots) in picture.slots.iter().flatten() {
            for (state, count) in slots {
                seen.slots.insert((pool.to_string(), *state), u64::from(*count));
            }
        }
        readings.seen = Some(seen);
        readings
    }
}

impl Seen {
    fn add_queue(&mut self, pool: &str, queue: &PoolQueue, now: Timestamp) {
        let waits = |oldest: Option<Timestamp>| oldest.map_or(0.0, |oldest| age(now, oldest).as_secs_f64());
        for (ages, oldest) in
            [(&mut self.oldest, queue.oldest), (&mut self.oldest_dispatchable, queue.oldest_dispatchable)]
        {
            let longest = ages.entry(pool.to_owned()).or_default();
            *longest = longest.max(waits(oldest));
        }
        for (reason, count) in &queue.held {
            *self.withheld.entry(reason).or_default() += u64::from(*count);
        }
    }
}
