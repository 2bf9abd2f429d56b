//! Idle runners that a rule keeps.

use std::{sync::Arc, time::Duration};

use riscv_runner_core::{
    controls::{Controls, Note},
    entity::EntityKind,
    ids::EntityId,
    worker::Worker,
};
use riscv_runner_sim::{
    faults::FaultProfile,
    world::{AccountSpec, World, WorldConfig},
};

const MINUTE: Duration = Duration::from_secs(60);

/// A world whose one job is over, with a rule that keeps one idle runner; and what lives two minutes later.
fn one_is_kept() -> (World, Worker) {
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
    world.run_until(2 * MINUTE, |_| false);
    let [kept] = live(&world).try_into().expect("one is kept");
    (world, kept)
}

fn live(world: &World) -> Vec<Worker> {
    let workers = world.store().all_workers().into_iter().map(|row| row.worker);
    workers.filter(|worker| !worker.status.is_terminal()).collect()
}

#[test]
fn a_runner_that_is_kept_warm_outlives_the_thresholds_for_idle_ones() {
    let (mut world, kept) = one_is_kept();
    world.run_until(60 * MINUTE, |_| false);
    let names: Vec<_> = live(&world).into_iter().map(|worker| worker.name).collect();
    assert_eq!(names, [kept.name], "it is the same one an hour later");
    assert_eq!(world.violations(), []);
}

#[test]
fn a_runner_that_is_kept_warm_leaves_a_board_that_is_drained() {
    let (mut world, kept) = one_is_kept();
    let board = kept.node.expect("it runs on a board");
    let note = Note { reason: "fan".into(), actor: "ann".into(), since: world.clock().now() };
    let drained_nodes = [(board.clone(), note)].into();
    world.store().set_controls(Controls { drained_nodes, ..Controls::default() });
    let moved = |world: &World| {
        live(world).iter().all(|worker| worker.node.as_ref().is_some_and(|node| *node != board))
    };
    world.run_until(10 * MINUTE, |world| live(world).len() == 1 && moved(world));
    assert_eq!(live(&world).len(), 1, "another is kept instead");
    assert!(moved(&world), "and not there");
    assert_eq!(world.violations(), []);
}

#[test]
fn nothing_is_kept_warm_for_an_account_that_is_held_back() {
    type Order = fn(&World, Note) -> Controls;
    let orders: [(&str, Order); 3] = [
        ("ban", |world, note| Controls {
            banned_entities: [(entity(world), note)].into(),
            ..Controls::default()
        }),
        ("pause", |world, note| Controls {
            paused_entities: [(entity(world), note)].into(),
            ..Controls::default()
        }),
        ("pause all", |_, note| Controls { everything_paused: Some(note), ..Controls::default() }),
    ];
    for (name, order) in orders {
        let (mut world, kept) = one_is_kept();
        let note = Note { reason: "abuse".into(), actor: "ann".into(), since: world.clock().now() };
        let controls = order(&world, note);
        world.store().set_controls(controls);
        world.run_until(10 * MINUTE, |_| false);
        assert_eq!(live(&world), [], "{name}: no runner is there to take a job");
        world.store().set_controls(Controls::default());
        world.run_until(10 * MINUTE, |world| !live(world).is_empty());
        let [again] = live(&world).try_into().expect("one is kept again");
        assert_ne!(again.name, kept.name);
        assert_eq!(world.violations(), [], "{name}");
    }
}

fn entity(world: &World) -> EntityId {
    world.store().all_jobs()[0].job.facts.entity.id
}
