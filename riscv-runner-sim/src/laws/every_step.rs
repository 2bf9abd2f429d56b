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
        let detail =
            format!("{name}: {supply} unspent workers for {demand} jobs and {} warm", reservation.warm);
        Violation::new(Law::SupplyWithinDemand, at, detail)
    })
}

/// No node carries more live pods than it has slots.
pub(crate) fn slots_hold(boards: &Boards, node: &NodeName, at: Timestamp) -> Option<Violation> {
    let slots = boards.nodes.get(node).map_or(0, |machine| Boards::slots_of(&machine.node) as usize);
    let holders = boards.holders(node).count();
    (holders > slots)
        .then(|| Violation::new(Law::SlotsHold, at, format!("node {node}: {holders} pods on {slots} slots")))
}

/// A pool never has more live pods than its machines have slots, bound or not.
pub(crate) fn capacity_holds(boards: &Boards, pool: &PoolName, at: Timestamp) -> Option<Violation> {
    let slots: u32 = boards.nodes_of(pool).map(|machine| Boards::slots_of(&machine.node)).sum();
    let live = boards.pods.values().filter(|pod| pod.request.pool == *pool && pod.pod.holds_slot()).count();
    (live > slots as usize).then(|| {
        Violation::new(Law::CapacityHolds, at, format!("pool {pool}: {live} pods for {slots} slots"))
    })
}

/// A pod whose runner executes a job on a living machine is left alone.
pub(crate) fn spares_busy_runners(truth: &Truth, name: &WorkerName, deed: &str) -> Option<Violation> {
    let pod = truth.boards.pods.get(name).filter(|_| !truth.boards.condemned.contains(name))?;
    let runner = truth.registration(pod.runner?)?;
    let job = runner.busy.filter(|_| runner.online && pod.pod.holds_slot())?;
    let detail = format!("pod {name} was {deed} while its runner {} executed job {job}", runner.id);
    Some(Violation::new(Law::BusyRunnerSpared, truth.now(), detail))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use riscv_runner_core::{
        entity::EntityKind,
        ids::{ImageRef, InstallationId, Login},
        labels::LabelSet,
        pod::PodPhase,
        ports::{PodRequest, Reservation},
        scope::{ScopeRef, Target},
    };

    use super::*;
    use crate::{
        clock::SimClock,
        faults::{FaultControl, FaultProfile},
        github::assigned,
    };

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn judged(changes: &[Change]) -> Vec<Law> {
        let mut ledger = Ledger::default();
        changes.iter().filter_map(|change| ledger.judge(change, AT)).map(|violation| violation.law).collect()
    }

    fn name() -> WorkerName {
        WorkerName::new("rise-riscv-runner-a").unwrap()
    }

    fn pool() -> PoolName {
        PoolName::new("spacemit-k1").unwrap()
    }

    fn scope() -> ScopeRef {
        ScopeRef {
            installation: InstallationId::new(1).unwrap(),
            entity: assigned(2),
            login: Login::new("org").unwrap(),
            target: Target::Organization,
        }
    }

    fn occupancy(entity_live: u32, pool_live: u32, supply: u32) -> Change {
        Change::Reserved(Box::new(Occupancy {
            reservation: Reservation {
                name: name(),
                scope: scope(),
                labels: LabelSet::new(["a"]).unwrap(),
                pool: pool(),
                image: ImageRef::new("image").unwrap(),
                entity_cap: Some(2),
                pool_cap: Some(3),
                warm: 1,
                at: AT,
            },
            entity_live,
            pool_live,
            supply,
            demand: 4,
        }))
    }

    #[test]
    fn caps_and_demand_are_held_against_every_reservation() {
        assert_eq!(judged(&[occupancy(2, 3, 5)]), []);
        assert_eq!(judged(&[occupancy(3, 3, 5)]), [Law::EntityCapHolds]);
        assert_eq!(judged(&[occupancy(2, 4, 5)]), [Law::PoolCapHolds]);
        assert_eq!(judged(&[occupancy(2, 3, 6)]), [Law::SupplyWithinDemand]);
    }

    #[test]
    fn a_job_that_descends_is_noticed() {
        let job = |rank| Change::Job { id: assigned(1), rank };
        let (running, requeued) = ((false, 1, JobPhase::Running), (false, 2, JobPhase::Pending));
        assert_eq!(judged(&[job(running), job(requeued)]), []);
        assert_eq!(judged(&[job(requeued), job(running)]), [Law::JobRankAscends]);
    }

    #[test]
    fn a_worker_that_descends_or_fails_for_no_reason_is_noticed() {
        let worker = |status| Change::Worker { name: name(), status, unexplained: false };
        assert_eq!(judged(&[worker(WorkerStatus::Pending), worker(WorkerStatus::Failed)]), []);
        let back = [worker(WorkerStatus::Completed), worker(WorkerStatus::Running)];
        assert_eq!(judged(&back), [Law::WorkerStatusAscends]);
        let unexplained = Change::Worker { name: name(), status: WorkerStatus::Failed, unexplained: true };
        assert_eq!(judged(&[unexplained]), [Law::FailuresExplained]);
    }

    #[test]
    fn a_write_of_an_earlier_epoch_is_noticed() {
        let written = |epoch| Change::Written { epoch: assigned(epoch) };
        assert_eq!(judged(&[written(1), written(1), written(2)]), []);
        assert_eq!(judged(&[written(2), written(1)]), [Law::OneEpochWrites]);
    }

    fn one_board() -> Truth {
        let clock = SimClock::default();
        let mut truth = Truth::new(clock, 1, FaultProfile::default(), FaultControl::default());
        let selector: BTreeMap<_, _> = [("board".to_owned(), "k1".to_owned())].into();
        truth.boards.selectors.insert(pool(), selector.clone());
        truth.add_node(NodeName::new("k1-1").unwrap(), selector, 1);
        truth
    }

    fn pod(truth: &mut Truth, name: &str) {
        truth.create_pod(&PodRequest {
            name: WorkerName::new(name).unwrap(),
            pool: pool(),
            image: ImageRef::new("image").unwrap(),
            scope: scope(),
            labels: LabelSet::new(["a"]).unwrap(),
            avoid: [].into(),
        });
    }

    fn laws_of(truth: &Truth) -> Vec<Law> {
        truth.violations.iter().map(|violation| violation.law).collect()
    }

    #[test]
    fn a_pod_more_than_a_pool_has_slots_is_noticed() {
        let mut truth = one_board();
        pod(&mut truth, "one");
        assert_eq!(laws_of(&truth), []);
        pod(&mut truth, "two");
        assert_eq!(laws_of(&truth), [Law::CapacityHolds]);
    }

    #[test]
    fn two_pods_on_one_slot_are_noticed() {
        let mut truth = one_board();
        let node = NodeName::new("k1-1").unwrap();
        pod(&mut truth, "one");
        pod(&mut truth, "two");
        assert_eq!(slots_hold(&truth.boards, &node, AT), None);
        for pod in truth.boards.pods.values_mut() {
            pod.pod.node = Some(node.clone());
        }
        assert_eq!(slots_hold(&truth.boards, &node, AT).unwrap().law, Law::SlotsHold);
    }

    #[test]
    fn harm_to_a_busy_runner_is_noticed_and_to_an_idle_one_is_not() {
        let mut truth = one_board();
        let entity = truth.add_account(EntityKind::Organization);
        let repo = truth.add_repository(entity);
        pod(&mut truth, "one");
        let scope = truth.scope_of(repo).unwrap();
        let labels = LabelSet::new(["a"]).unwrap();
        let runner = truth.register(scope, "one".parse().unwrap(), labels.clone()).unwrap();
        let name = WorkerName::new("one").unwrap();
        let entry = truth.boards.pods.get_mut(&name).unwrap();
        entry.pod.phase = PodPhase::Running { since: AT };
        entry.runner = Some(runner);
        let number = entry.number;
        assert!(truth.connect(runner, number));
        assert_eq!(spares_busy_runners(&truth, &name, "killed"), None);
        truth.queue_run(repo, &[(labels, Duration::from_secs(60))]);
        truth.dispatch(scope);
        assert_eq!(spares_busy_runners(&truth, &name, "killed").unwrap().law, Law::BusyRunnerSpared);
        truth.disconnect(runner);
        assert_eq!(spares_busy_runners(&truth, &name, "killed"), None, "its process is gone already");
    }
}
