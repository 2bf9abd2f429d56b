//! A law that is broken in a whole world is noticed: a saboteur acts in it as no engine would.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use jiff::Timestamp;
use riscv_runner_core::{
    ids::Epoch,
    ports::{Cluster, Grace, LeaderProof},
};
use riscv_runner_sim::{
    faults::FaultProfile,
    laws::Law,
    world::{World, WorldConfig},
};

const PATIENCE: Duration = Duration::from_secs(3600);

fn a_world_with_a_running_job() -> World {
    let mut world = World::new(WorldConfig::drawn(3, FaultProfile::default()));
    let running = world.run_until(PATIENCE, |world| {
        world.store().all_workers().iter().any(|row| row.worker.runs_known_job())
    });
    assert!(running, "{:?}", world.summary());
    world
}

fn sabotage(grace: Option<Grace>) -> World {
    let mut world = a_world_with_a_running_job();
    let busy =
        world.store().all_workers().into_iter().find(|row| row.worker.runs_known_job()).expect("one runs");
    let (name, uid) = (busy.worker.name, busy.worker.pod_uid.expect("its pod is known"));
    let cluster = world.cluster();
    let proof = LeaderProof::issued_by_lease_store(Epoch::new(99).expect("an epoch"), Timestamp::MAX);
    let answer = world.visit(PATIENCE, async move {
        match grace {
            None => cluster.kill(&proof, &name, &uid).await.is_ok(),
            Some(grace) => cluster.delete(&proof, &name, &uid, grace).await.is_ok(),
        }
    });
    assert_eq!(answer, None, "the world stops at the broken law, before the answer arrives");
    world
}

#[test]
fn whoever_kills_a_busy_pod_is_caught() {
    let violations = sabotage(None).violations();
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert_eq!(violations[0].law, Law::BusyRunnerSpared);
    assert!(violations[0].detail.contains("killed while its runner"), "{}", violations[0]);
}

#[test]
fn whoever_deletes_a_busy_pod_is_caught() {
    let violations = sabotage(Some(Grace::Zero)).violations();
    assert_eq!(violations.first().map(|violation| violation.law), Some(Law::BusyRunnerSpared));
}

#[test]
fn a_world_that_is_not_given_time_to_finish_is_not_at_rest() {
    let mut config = WorldConfig::drawn(3, FaultProfile::default());
    config.faults_for = Duration::from_secs(60);
    let mut world = World::new(config);
    world.run_to_rest(Duration::from_secs(60));
    assert!(!world.violations().is_empty());
    assert!(!world.rest_state().is_rest());
}

#[test]
fn a_panic_is_caught() {
    let mut world = a_world_with_a_running_job();
    let answer: Option<()> = world.visit(PATIENCE, async { panic!("a defect") });
    assert_eq!(answer, None);
    let violations = world.violations();
    assert_eq!(violations.first().map(|violation| violation.law), Some(Law::NobodyPanics));
    assert!(violations[0].detail.contains("a defect"), "{}", violations[0]);
}

#[test]
fn whoever_never_waits_is_caught() {
    let mut world = a_world_with_a_running_job();
    let restless = poll_fn(|context: &mut Context<'_>| {
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    assert_eq!(world.visit(PATIENCE, restless), None);
    assert_eq!(world.violations().first().map(|violation| violation.law), Some(Law::TimeGoesOn));
}
