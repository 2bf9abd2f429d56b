//! Laws that hold at every step.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    ids::{Epoch, JobId, NodeName, PoolName, WorkerName},
    job::JobPhase,
    worker::WorkerStatus,
};

use super::{Law, Violation};
use crate::{
    cluster::Boards,
    store::{Change, Occupancy},
    truth::Truth,
};

/// What the laws remember of the store's rows, to see whether they descend.
#[derive(Debug, Default)]
pub struct Ledger {
    ranks: BTreeMap<JobId, (bool, u32, JobPhase)>,
    statuses: BTreeMap<WorkerName, WorkerStatus>,
    newest_epoch: Option<Epoch>,
}

impl Ledger {
    /// Judges one write, and remembers it.
    pub fn judge(&mut self, change: &Change, at: Timestamp) -> Option<Violation> {
        match change {
            Change::Job { id, rank } => {
                let before = self.ranks.insert(*id, *rank)?;
                (*rank < before).then(|| {
                    Violation::new(Law::JobRankAscends, at, format!("job {id}: {before:?}, then {rank:?}"))
                })
            }
            Change::Worker { name, unexplained: true, .. } => {
                Some(Violation::new(Law::FailuresExplained, at, format!("worker {name} failed, no reason")))
            }
            Change::Worker { name, status, .. } => {
                let before = self.statuses.insert(name.clone(), *status)?;
                (before != *status && !status.sources().contains(&before)).then(|| {
                    let detail = format!("worker {name}: {before}, then {status}");
                    Violation::new(Law::WorkerStatusAscends, at, detail)
                })
            }
            Change::Reserved(occupancy) => reservation_fits(occupancy, at),
            Change::Written { epoch } => {
                let newest = self.newest_epoch.max(Some(*epoch));
                let late = newest > Some(*epoch);
                self.newest_epoch = newest;
                late.then(|| Violation::new(Law::OneEpochWrites, at, format!("epoch {epoch} wrote late")))
            }
        }
    }
}

fn reservation_fits(occupancy: &Occupancy, at: Timestamp) -> Option<Violation> {
    let Occupancy { reservation, entity_live, pool_live, supply, demand } = occupancy;
    let name = &reservation.name;
    if let Some(cap) = reservation.entity_cap.filter(|cap| entity_live > cap) {
        let entity = reservation.scope.entity;
        let detail = format!("{name}: account {entity} has {entity_live} live workers of {cap}");
        return Some(Violation::new(Law::EntityCapHolds, at, detail));
    }
    if let Some(cap) = reservation.pool_cap.filter(|cap| pool_live > cap) {
        let pool = &reservation.pool;
        let detail = format!("{name}: pool {pool} has {pool_live} live workers of {cap}");
        return Some(Violation::new(Law::PoolCapHolds, at, detail));
    }
    let wanted = demand.saturating_add(reservation.warm);
    (*supply > wanted).then(|| {
        let detail = format!("{name}: {supply} unspent workers for {demand} jobs and {} warm", reservation.warm);
        Violation::new(Law::SupplyWithinDemand, at, detail)
    })
}

/// No node carries more live pods than it has slots.
pub(crate) fn slots_hold(boards: &Boards, node: &NodeName, at: Timestamp) -> Option<Violation> {
    let slots = boards.nodes.get(node).map_or(0, |machine| machine.node.slots as usize);
    let holders = boards.holders(node).count();
    (holders > slots)
        .then(|| Violation::new(Law::SlotsHold, at, format!("node {node}: {holders} pods on {slots} slots")))
}

/// A pool never has more live pods than its machines have slots, bound or not.
pub(crate) fn capacity_holds(boards: &Boards, pool: &PoolName, at: Timestamp) -> Option<Violation> {
    let slots: u32 = boards.nodes_of(pool).map(|machine| machine.node.slots).sum();
    let live = boards.pods.values().filter(|pod| pod.request.pool == *pool && pod.pod.holds_slot()).count();
    (live > slots as usize)
        .then(|| Violation::new(Law::CapacityHolds, at, format!("pool {pool}: {live} pods for {slots} slots")))
}

/// A pod whose runner executes a job on a living machine is left alone.
pub(crate) fn spares_busy_runners(truth: &Truth, name: &WorkerName, deed: &str) -> Option<Violation> {
    let pod = truth.boards.pods.get(name)?;
    let runner = truth.registration(pod.runner?)?;
    let job = runner.busy.filter(|_| runner.online && pod.pod.holds_slot())?;
    let detail = format!("pod {name} was {deed} while its runner {} executed job {job}", runner.id);
    Some(Violation::new(Law::BusyRunnerSpared, truth.now(), detail))
}
