//! What operators hold back and end, one law a test.

mod common;

use std::sync::Arc;

use common::{World, note, worker_name};
use riscv_runner_core::{
    controls::Revocation,
    ids::{EntityId, JobId, NodeName},
    job::JobPhase,
    observed::{Observed, Why},
    plan::{Because, Hold, hold::MOST_NAMED},
    pod::PodPhase,
    policy::Cap,
    why::{Reason, explain, since},
    worker::WorkerStatus,
};

fn revoked(world: World, name: &str, force: bool) -> World {
    world.edit(|world| {
        let wish = Revocation { note: note(), force };
        world.snapshot.controls.revoked_workers.insert(worker_name(name), wish);
    })
}

fn idle() -> World {
    World::new("a:1").running_worker("w", "1", "a", "a0", 30)
}

#[test]
fn a_revoked_worker_is_ended_at_once_and_blames_nobody() {
    let world = revoked(idle(), "w", false);
    world.reconciles("end w revoked kill");
    let step = world.reconcile().steps.remove(0);
    assert_eq!(step.because, Because::Revoked { note: note() });
    assert!(step.because.to_string().starts_with("revoked by op at "), "{}", step.because);
    let end = step.action.as_end().unwrap().clone();
    assert!(end.registration.is_some(), "GitHub is asked first");
    assert!(!end.is_forced());
    assert_eq!((end.backoff, end.quarantine), (None, None));
}

#[test]
fn a_worker_that_runs_a_job_is_only_ended_by_force() {
    let busy = idle().runs("w", 5, JobPhase::Running);
    revoked(busy.clone(), "w", false).reconciles("");
    let forced = revoked(busy, "w", true);
    forced.reconciles("end w revoked kill");
    assert!(forced.reconcile().steps[0].action.as_end().unwrap().is_forced());
}

#[test]
fn nothing_is_revoked_on_an_unknown_observation() {
    for force in [false, true] {
        revoked(idle(), "w", force)
            .edit(|world| world.snapshot.pods = Observed::Unknown(Why::Failed))
            .reconciles("");
    }
}

#[test]
fn a_worker_whose_registration_is_not_known_is_ended_after_a_look_at_them() {
    let unknown = revoked(idle().edit_worker("w", |worker| worker.runner = None), "w", false);
    unknown.reconciles("");
    unknown.clone().listing_failed("1").reconciles("");
    unknown.listing("1", "w").reconciles("end w revoked kill");
}

#[test]
fn what_is_being_made_is_revoked_once_it_is_there() {
    let making = World::new("a:1").worker("w", "1", "a", 5).edit(|world| {
        world.snapshot.in_flight.insert(worker_name("w"));
    });
    revoked(making, "w", true).reconciles("");
    let made = World::new("a:1").worker("w", "1", "a", 5);
    revoked(made, "w", false).reconciles("end w revoked nothing");
}

#[test]
fn a_pod_that_has_ended_by_itself_is_told_so() {
    let over = PodPhase::Succeeded { at: common::at(1) };
    let world = World::new("a:1")
        .worker("w", "1", "a", 30)
        .edit_worker("w", |worker| worker.status = WorkerStatus::Running)
        .pod("w", Some("a0"), over, 30);
    revoked(world, "w", true).reconciles("mark_completed w");
}

#[test]
fn a_drain_takes_no_new_worker_leaves_running_ones_and_is_named() {
    let world = World::new("a:2")
        .running_worker("w", "1", "a", "a0", 30)
        .runs("w", 5, JobPhase::Running)
        .running_jobs("1", "a", 1)
        .job(6, "1", "a", 10)
        .edit(|world| {
            for node in ["a0", "a1"] {
                world.snapshot.controls.drained_nodes.insert(NodeName::new(node).unwrap(), note());
            }
        });
    world.reconciles("");
    world.schedules("hold 6 no_capacity");
    let plan = world.schedule();
    let hold = plan.held.of("6".parse().unwrap()).unwrap();
    assert!(matches!(hold, Hold::NoCapacity { drained: 2, total: 0, .. }), "{hold:?}");
    assert_eq!(
        hold.to_string(),
        format!(
            "pool a has no board that can take a job, and operators drain 2 boards: \
             a0 by op at {since}: maintenance; a1 by op at {since}: maintenance",
            since = note().since
        )
    );
}

#[test]
fn a_verdict_names_some_of_many_drained_boards_and_counts_all() {
    let world = World::new("a:11").job(1, "1", "a", 10).edit(|world| {
        let nodes = world.snapshot.nodes.present().unwrap().keys().cloned();
        world.snapshot.controls.drained_nodes = nodes.map(|node| (node, note())).collect();
    });
    let plan = world.schedule();
    let hold = plan.held.of("1".parse().unwrap()).unwrap();
    let Hold::NoCapacity { drained: 11, drained_boards, .. } = hold else { panic!("{hold:?}") };
    assert_eq!(drained_boards.len(), MOST_NAMED);
    assert_eq!(drained_boards[1].note, note());
    let said = hold.to_string();
    assert!(said.ends_with("; and 9 more") && said.matches(" by op at ").count() == 2, "{said}");
}

#[test]
fn drained_boards_are_shared_by_all_keys_that_wait_for_them() {
    let world = World::new("a:1").job(1, "1", "a", 10).job(2, "2", "a", 10).edit(|world| {
        world.snapshot.controls.drained_nodes.insert(NodeName::new("a0").unwrap(), note());
    });
    let plan = world.schedule();
    let boards = |job: &str| match plan.held.of(job.parse().unwrap()) {
        Some(Hold::NoCapacity { drained_boards, .. }) => Arc::clone(drained_boards),
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&boards("1"), &boards("2")));
}

#[test]
fn a_limit_of_an_operator_says_who_and_why_and_one_of_the_configuration_does_not() {
    let entity = EntityId::new(1).unwrap();
    let full = World::new("a:2").worker("w", "1", "a", 100).job(6, "1", "a", 90).job(7, "1", "a", 80);
    let limited = full.clone().edit(|world| {
        world.snapshot.controls.entity_caps.insert(entity, (Cap::AtMost(1), note()));
    });
    let reason = |world: &World| {
        let reason = explain(&world.snapshot, &world.schedule(), JobId::new(7).unwrap()).unwrap();
        let key = common::key("1", "a");
        let job = &world.snapshot.demand[&key].waiting[1];
        (since(&world.snapshot, &world.policy, &key, job, &reason), reason)
    };
    let (at, told) = reason(&limited);
    let limit = Hold::EntityAtCap { current: 1, max: 1, note: Some(note()) };
    assert_eq!((told, at), (Reason::Held(limit.clone()), note().since));
    assert_eq!(
        limit.to_string(),
        format!(
            "the account has 1 of 1 workers, which is the limit set by op at {}: maintenance",
            note().since
        )
    );
    let configured = full.edit(|world| world.policy.limits.default_max_workers = Cap::AtMost(1));
    let (at, told) = reason(&configured);
    assert_eq!(told, Reason::Held(Hold::EntityAtCap { current: 1, max: 1, note: None }));
    assert_eq!((told.to_string().as_str(), at), ("the account has 1 of 1 workers", common::at(80)));
}
