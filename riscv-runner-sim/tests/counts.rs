//! What an engine tells of itself: every kind of event is really told, and as often as it happens.

#![expect(clippy::unwrap_used, reason = "a lock is only poisoned by a test that has failed")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use riscv_runner_core::ports::{EngineEvent, Observer};
use riscv_runner_sim::{
    faults::FaultProfile,
    world::{World, WorldConfig},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Default)]
struct Told(Mutex<Vec<EngineEvent>>);

impl Observer for Told {
    fn observe(&self, event: EngineEvent) {
        self.0.lock().unwrap().push(event);
    }
}

/// A world that came to rest, and what its engines told.
fn told(config: WorldConfig) -> (World, Vec<EngineEvent>) {
    let told = Arc::<Told>::default();
    let observer: Arc<dyn Observer> = Arc::<Told>::clone(&told);
    let mut world = World::observed(config, observer);
    world.run_to_rest(30 * DAY);
    assert_eq!(world.violations(), []);
    let events = std::mem::take(&mut *told.0.lock().unwrap());
    (world, events)
}

fn waits(events: &[EngineEvent]) -> Vec<Duration> {
    let waited = |event: &EngineEvent| {
        if let EngineEvent::JobStarted { waited } = event { Some(*waited) } else { None }
    };
    events.iter().filter_map(waited).collect()
}

#[test]
fn the_wait_of_every_job_is_told_once() {
    for seed in 0..10 {
        let (world, events) = told(WorldConfig::drawn(seed, FaultProfile::default()));
        let (summary, mut waits) = (world.summary(), waits(&events));
        waits.sort();
        assert_eq!(waits.len(), summary.jobs, "seed {seed}");
        let median = waits[waits.len().div_ceil(2) - 1];
        let allowed = Duration::from_secs(1);
        assert!(median.abs_diff(summary.wait_p50) <= allowed, "seed {seed}: {median:?} {summary:?}");
    }
}

const fn name(event: &EngineEvent) -> &'static str {
    match event {
        EngineEvent::Cycle { ok: true, .. } => "cycle",
        EngineEvent::Cycle { ok: false, .. } => "failed cycle",
        EngineEvent::Panicked { .. } => "panicked",
        EngineEvent::DeliveryGivenUp => "delivery given up",
        EngineEvent::Provisioned { .. } => "provisioned",
        EngineEvent::WorkerFailed { .. } => "worker failed",
        EngineEvent::JobStarted { .. } => "job started",
        EngineEvent::Delivered { .. } => "delivered",
        EngineEvent::Recovered { .. } => "recovered",
        EngineEvent::Removed { .. } => "removed",
        EngineEvent::Leading(_) => "leading",
        EngineEvent::Noticed { .. } => "noticed",
    }
}

#[test]
fn every_kind_of_event_is_told() {
    let mut seen = BTreeSet::new();
    for profile in ["chaos", "crashes", "webhooks"] {
        for seed in 0..6 {
            let mut config = WorldConfig::drawn(seed, FaultProfile::named(profile).unwrap());
            config.timeouts.retention = Duration::from_secs(60);
            seen.extend(told(config).1.iter().map(name));
        }
    }
    // A panic needs a defect (`containment`), notices need somebody to be told (`notify`), and a
    // delivery is only given up that we refuse each time (`scenarios`).
    let all = [
        "cycle",
        "failed cycle",
        "provisioned",
        "worker failed",
        "job started",
        "delivered",
        "recovered",
        "removed",
        "leading",
    ];
    assert_eq!(
        seen.iter().copied().filter(|name| !all.contains(name)).collect::<Vec<_>>(),
        Vec::<&str>::new()
    );
    assert_eq!(all.iter().filter(|name| !seen.contains(*name)).collect::<Vec<_>>(), Vec::<&&str>::new());
}
