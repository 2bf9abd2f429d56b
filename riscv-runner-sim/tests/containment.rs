//! A panic anywhere in the engine is contained and counted; everything else goes on, and so does what
//! panicked once its defect is gone.

#![expect(clippy::unwrap_used, reason = "a lock is only poisoned by a test that has failed")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use riscv_runner_core::ports::{EngineEvent, LoopName, Observer, PanicPlace};
use riscv_runner_sim::{
    faults::FaultProfile,
    world::{Arrival, World, WorldConfig},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Counts panics by place, and cycles by loop and result.
#[derive(Default)]
struct Counts {
    panics: Mutex<BTreeMap<PanicPlace, u64>>,
    cycles: Mutex<BTreeMap<(LoopName, bool), u64>>,
}

impl Observer for Counts {
    #[expect(clippy::wildcard_enum_match_arm, reason = "two kinds of events are counted here")]
    fn observe(&self, event: EngineEvent) {
        match event {
            EngineEvent::Panicked { place } => *self.panics.lock().unwrap().entry(place).or_default() += 1,
            EngineEvent::Cycle { name, ok, .. } => {
                *self.cycles.lock().unwrap().entry((name, ok)).or_default() += 1;
            }
            _ => {}
        }
    }
}

impl Counts {
    fn well(&self) -> BTreeMap<LoopName, u64> {
        let cycles = self.cycles.lock().unwrap();
        cycles.iter().filter(|((_, ok), _)| *ok).map(|((name, _), n)| (*name, *n)).collect()
    }
}

/// A world in which jobs come for half an hour, and every loop runs often.
fn busy_world(counts: &Arc<Counts>) -> World {
    let mut config = WorldConfig::drawn(9, FaultProfile::default());
    config.jobs = 60;
    config.replicas = 1;
    config.arrival = Arrival::Poisson { mean: MINUTE / 2 };
    config.timeouts.retention = MINUTE;
    config.timeouts.deliveries_sweep = MINUTE;
    let observer: Arc<dyn Observer> = Arc::<Counts>::clone(counts);
    World::observed(config, observer)
}

/// Lets an operation panic for some minutes; the places that were counted, and the loops that did not
/// end a cycle well meanwhile.
fn panicking(operation: &'static str) -> (Vec<PanicPlace>, Vec<LoopName>) {
    let counts = Arc::<Counts>::default();
    let mut world = busy_world(&counts);
    world.run_until(5 * MINUTE, |world| world.clock().elapsed() >= 4 * MINUTE);
    let before = counts.well();
    world.sabotage_operation(operation, 5 * MINUTE);
    world.run_until(10 * MINUTE, |world| world.clock().elapsed() >= 8 * MINUTE);
    let during = counts.well();
    let still = LoopName::ALL.into_iter().filter(|name| before.get(name) == during.get(name)).collect();
    world.run_to_rest(24 * 60 * MINUTE);
    assert_eq!(world.violations(), [], "{operation}");
    let summary = world.summary();
    assert_eq!(summary.jobs, 60, "{operation}");
    assert_eq!(summary.conclusions.get("success"), Some(&60), "{operation}: {:?}", summary.conclusions);
    let after = counts.well();
    for name in LoopName::ALL {
        assert!(after.get(&name) > during.get(&name), "{operation}: {} goes on", name.as_str());
    }
    (counts.panics.lock().unwrap().keys().copied().collect(), still)
}

#[test]
fn a_panic_in_a_cycle_is_counted_and_every_other_loop_goes_on() {
    for (operation, name) in [
        ("read waiting jobs", LoopName::Schedule),
        ("read doubtful jobs", LoopName::Jobs),
        ("list secrets", LoopName::Runners),
        ("list deliveries", LoopName::Deliveries),
        ("remove old rows", LoopName::Retention),
    ] {
        let (places, still) = panicking(operation);
        assert_eq!(places, [PanicPlace::Cycle(name)], "{operation}");
        let others: Vec<_> = still.into_iter().filter(|still| *still != name).collect();
        assert_eq!(others, [], "{operation}");
    }
}

#[test]
fn a_panic_while_rows_follow_pods_is_counted_and_other_loops_go_on() {
    // Whoever looks at pods panics; jobs, deliveries and the lease do not depend on that.
    let (places, still) = panicking("list pods");
    assert_eq!(places, [LoopName::Schedule, LoopName::Workers, LoopName::Runners].map(PanicPlace::Cycle),);
    assert_eq!(still, [LoopName::Schedule, LoopName::Workers, LoopName::Runners]);
}

#[test]
fn a_panic_of_the_lease_ends_the_leadership_and_not_the_process() {
    let (places, still) = panicking("acquire the lease");
    assert_eq!(places, [PanicPlace::Cycle(LoopName::Leadership)]);
    assert!(still.contains(&LoopName::Leadership), "{still:?}");
}

#[test]
fn a_panic_while_one_worker_is_made_stops_no_other() {
    let (places, still) = panicking("register a runner");
    assert_eq!(places, [PanicPlace::Provisioning]);
    assert_eq!(still, []);
}

#[test]
fn a_panic_while_deliveries_are_recorded_loses_none() {
    let (places, still) = panicking("record deliveries");
    assert_eq!(places, [PanicPlace::Intake]);
    assert_eq!(still, []);
}
