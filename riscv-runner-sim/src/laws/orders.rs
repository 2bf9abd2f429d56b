//! Laws about what operators hold back: whatever is decided after an order was read keeps to it.

use std::time::Duration;

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    controls::{Controls, Note},
    ids::NodeName,
    scope::Target,
    worker::Worker,
};

use super::{Law, Violation};
use crate::store::Occupancy;

/// A cycle that read what holds before an order may act on it for as long as its calls take and its
/// process stands still.
const READ_WITHIN: Duration = Duration::from_secs(150);

/// The note, if whoever decides at `at` must have read it.
fn known(note: Option<&Note>, at: Timestamp) -> Option<&Note> {
    note.filter(|note| age(at, note.since) > READ_WITHIN)
}

/// Nothing is reserved for what is paused or drained, or beyond an account's limit.
pub(crate) fn reservation_obeys(
    controls: &Controls,
    occupancy: &Occupancy,
    at: Timestamp,
) -> Option<Violation> {
    let reservation = &occupancy.reservation;
    let entity = reservation.scope.entity;
    let repository = match &reservation.scope.target {
        Target::Repository { name, .. } => controls.paused_repos.get(name),
        Target::Organization => None,
    };
    let held = [
        controls.everything_paused.as_ref(),
        controls.paused_entities.get(&entity),
        controls.drained_pools.get(&reservation.pool),
        repository,
    ];
    if let Some(note) = held.into_iter().find_map(|note| known(note, at)) {
        let detail =
            format!("{} is reserved in {}, held since {}", reservation.name, reservation.pool, note.since);
        return Some(Violation::new(Law::OrdersObeyed, at, detail));
    }
    let (cap, note) = controls.entity_caps.get(&entity)?;
    known(Some(note), at)?;
    let max = cap.get().filter(|max| occupancy.entity_live > *max)?;
    let detail = format!(
        "{}: account {entity} has {} live workers, limited to {max} since {}",
        reservation.name, occupancy.entity_live, note.since
    );
    Some(Violation::new(Law::EntityCapHolds, at, detail))
}

/// A worker that was reserved after a board was drained is not placed there.
pub(crate) fn board_rests(
    controls: &Controls,
    node: &NodeName,
    worker: &Worker,
    at: Timestamp,
) -> Option<Violation> {
    let note = known(controls.drained_nodes.get(node), worker.created_at)?;
    let detail = format!("{} was placed on {node}, drained since {}", worker.name, note.since);
    Some(Violation::new(Law::DrainedBoardsRest, at, detail))
}

#[cfg(test)]
mod tests {
    use riscv_runner_core::{
        ids::{ImageRef, InstallationId, Login, PoolName, WorkerName},
        labels::LabelSet,
        policy::Cap,
        ports::Reservation,
        scope::ScopeRef,
        worker::WorkerStatus,
    };

    use super::*;
    use crate::github::assigned;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn note() -> Note {
        Note { reason: "a test".to_owned(), actor: "somebody".to_owned(), since: at(0) }
    }

    fn scope() -> ScopeRef {
        ScopeRef {
            installation: InstallationId::new(1).unwrap(),
            entity: assigned(2),
            login: Login::new("org").unwrap(),
            target: Target::Organization,
        }
    }

    fn occupancy(entity_live: u32) -> Occupancy {
        let reservation = Reservation {
            name: WorkerName::new("rise-riscv-runner-a").unwrap(),
            scope: scope(),
            labels: LabelSet::new(["a"]).unwrap(),
            pool: PoolName::new("spacemit-k1").unwrap(),
            image: ImageRef::new("image").unwrap(),
            entity_cap: Some(12),
            pool_cap: None,
            warm: 0,
            at: at(0),
        };
        Occupancy { reservation, entity_live, pool_live: 1, supply: 1, demand: 1 }
    }

    fn broken(controls: &Controls, entity_live: u32, second: i64) -> Option<Law> {
        reservation_obeys(controls, &occupancy(entity_live), at(second)).map(|violation| violation.law)
    }

    #[test]
    fn reservations_against_an_order_are_noticed_once_it_must_be_known() {
        let paused = Controls { everything_paused: Some(note()), ..Controls::default() };
        let entity = Controls { paused_entities: [(assigned(2), note())].into(), ..Controls::default() };
        let pool = PoolName::new("spacemit-k1").unwrap();
        let drained = Controls { drained_pools: [(pool, note())].into(), ..Controls::default() };
        for controls in [paused, entity, drained] {
            assert_eq!(broken(&controls, 1, 150), None);
            assert_eq!(broken(&controls, 1, 151), Some(Law::OrdersObeyed));
        }
        let other = Controls { paused_entities: [(assigned(3), note())].into(), ..Controls::default() };
        assert_eq!(broken(&other, 1, 1000), None);
        let caps = [(assigned(2), (Cap::AtMost(2), note()))].into();
        let limited = Controls { entity_caps: caps, ..Controls::default() };
        assert_eq!(broken(&limited, 2, 151), None);
        assert_eq!(broken(&limited, 3, 150), None);
        assert_eq!(broken(&limited, 3, 151), Some(Law::EntityCapHolds));
    }

    #[test]
    fn whoever_is_placed_on_a_drained_board_is_noticed() {
        let node = NodeName::new("spacemit-k1-1").unwrap();
        let controls = Controls { drained_nodes: [(node.clone(), note())].into(), ..Controls::default() };
        let worker = |second| Worker {
            name: WorkerName::new("rise-riscv-runner-a").unwrap(),
            scope: scope(),
            labels: LabelSet::new(["a"]).unwrap(),
            pool: PoolName::new("spacemit-k1").unwrap(),
            image: ImageRef::new("image").unwrap(),
            status: WorkerStatus::Pending,
            node: None,
            pod_uid: None,
            runner: None,
            created_at: at(second),
            running_at: None,
            completed_at: None,
            online_at: None,
            gone_at: None,
            failure: None,
            job: None,
        };
        let broken = |node: &NodeName, second| {
            board_rests(&controls, node, &worker(second), at(9999)).map(|violation| violation.law)
        };
        assert_eq!(broken(&node, 150), None);
        assert_eq!(broken(&node, 151), Some(Law::DrainedBoardsRest));
        assert_eq!(broken(&NodeName::new("spacemit-k1-2").unwrap(), 151), None);
    }
}
