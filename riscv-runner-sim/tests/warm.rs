//! Idle runners that a rule keeps.

use std::{sync::Arc, time::Duration};

use riscv_runner_core::entity::EntityKind;
use riscv_runner_sim::{
    faults::FaultProfile,
    world::{AccountSpec, World, WorldConfig},
};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_runner_that_is_kept_warm_outlives_the_thresholds_for_idle_ones() {
    let mut config = WorldConfig::demo(1, 1, 6);
    config.accounts = vec![AccountSpec { kind: EntityKind::Organization, repositories: 1 }];
    config.profile = FaultProfile::default();
    let mut world = World::new(config);
    world.keep_no_trace();
    world.policy().send_modify(|policy| {
        let mut warm = (**policy).clone();
        warm.routes.iter_mut().for_each(|route| route.warm = 1);
        *policy = Arc::new(warm);
    });
    world.run_until(10 * MINUTE, |world| {
        world.store().all_jobs().iter().any(|row| !row.job.state.phase.is_demand())
    });
    let live = |world: &World| {
        let workers = world.store().all_workers().into_iter().map(|row| row.worker);
        workers.filter(|worker| !worker.status.is_terminal()).map(|worker| worker.name).collect::<Vec<_>>()
    };
    world.run_until(2 * MINUTE, |_| false);
    let kept = live(&world);
    assert_eq!(kept.len(), 1, "one is kept");
    world.run_until(60 * MINUTE, |_| false);
    assert_eq!(live(&world), kept, "and it is the same one an hour later");
    assert_eq!(world.violations(), []);
}
