//! Every waiting job has one reason, and it continues past planning.

mod common;

use common::{World, at};
use riscv_runner_core::{
    ids::JobId,
    observed::{Observed, Why},
    pod::PodPhase,
    why::explain,
};

#[track_caller]
fn check(world: &World, job: i64, reason: &str) {
    let plan = world.schedule();
    let found = explain(&world.snapshot, &plan, JobId::new(job).expect("a positive id"));
    assert_eq!(found.as_ref().map(riscv_runner_core::why::Reason::name), Some(reason), "{found:?}");
}

#[test]
fn the_reason_follows_the_worker_from_reservation_to_dispatch() {
    let world = World::new("a:3").job(1, "1", "a", 60).job(2, "1", "a", 30);
    check(&world, 1, "provision");
    let world = world.worker("w", "1", "a", 20);
    check(&world, 1, "provisioning");
    check(&world, 2, "provision");
    let pending = PodPhase::Pending { reason: Some("ImagePullBackOff".into()) };
    check(&world.clone().pod("w", Some("a0"), pending, 20), 1, "pod_pending");
    let running = world.pod("w", Some("a0"), PodPhase::Running { since: at(10) }, 20);
    check(&running, 1, "runner_booting");
    let online = running.edit_worker("w", |worker| worker.online_at = Some(at(5)));
    check(&online, 1, "runner_idle_github_not_dispatching");
}

#[test]
fn a_held_job_keeps_the_planners_reason() {
    check(&World::new("a:0").job(1, "1", "a", 60), 1, "no_capacity");
}

#[test]
fn a_job_that_does_not_wait_has_no_reason() {
    let world = World::new("a:1");
    assert_eq!(explain(&world.snapshot, &world.schedule(), JobId::new(9).expect("a positive id")), None);
}

#[test]
fn an_unobservable_cluster_hides_nothing_that_the_row_tells() {
    let blind = |world: World| world.edit(|w| w.snapshot.pods = Observed::Unknown(Why::Failed));
    let reserved = World::new("a:3").job(1, "1", "a", 60).worker("w", "1", "a", 20);
    check(&blind(reserved.clone()), 1, "provisioning");
    let created = reserved.edit_worker("w", |worker| worker.pod_uid = "uid-w".parse().ok());
    check(&blind(created.clone()), 1, "pod_pending");
    check(&blind(created.edit_worker("w", |worker| worker.running_at = Some(at(9)))), 1, "runner_booting");
}
