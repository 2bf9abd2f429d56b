//! Orders of operators, as the whole engine heeds them.

use std::time::Duration;

use riscv_runner_core::controls::{Controls, Note};
use riscv_runner_sim::{
    faults::FaultProfile,
    world::{Arrival, World, WorldConfig},
};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_pause_reaches_workers_that_are_reserved_and_not_made() {
    let mut config = WorldConfig::demo(3, 80, 90);
    config.profile = FaultProfile::default();
    config.arrival = Arrival::Burst;
    config.limits.provision_concurrency = 4;
    config.github_latency = (Duration::from_secs(2), Duration::from_secs(2));
    let mut world = World::new(config);
    world.run_until(5 * MINUTE, |world| world.summary().registrations >= 4);
    let note = Note { reason: "fire".into(), actor: "ann".into(), since: world.clock().now() };
    let (reserved, before) = (world.store().all_workers().len(), world.summary().registrations);
    world.store().set_controls(Controls { everything_paused: Some(note), ..Controls::default() });
    world.run_until(5 * MINUTE, |_| false);
    let after = world.summary().registrations;
    assert!(reserved >= 40, "{reserved} were reserved");
    assert!(after - before <= 16, "{before} registrations became {after}");
    world.store().set_controls(Controls::default());
    world.run_to_rest(600 * MINUTE);
    assert_eq!(world.violations(), []);
    assert_eq!(world.summary().conclusions.get("success"), Some(&80));
}
