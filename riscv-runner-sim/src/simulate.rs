//! Simulation: a small world for each seed, run to rest under a fault profile and judged by the laws.

mod totals;

use std::{
    fmt,
    ops::ControlFlow,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde::Serialize;

pub use totals::{Broken, ProfileTotals, Totals};

use crate::{
    clock::lock,
    faults::FaultProfile,
    laws::Law,
    world::{Summary, World, WorldConfig},
};

/// How long after the last fault a world may take to come to rest: long enough for back-offs and
/// quarantines to end, too short for GitHub's own cancellation after a day to hide a forgotten job.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);
/// How many lines of the trace a report shows.
const SHOWN: usize = 200;

/// What the simulation of one seed found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The fault profile.
    pub profile: String,
    /// What became of the world.
    pub summary: Summary,
    /// The end of the trace, if a law was broken.
    pub trace: Vec<String>,
}

impl Report {
    /// Whether every law held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.summary.violations.is_empty()
    }

    /// The command that runs this simulation again.
    #[must_use]
    pub fn reproduction(&self) -> String {
        let seed = self.summary.seed;
        format!("rrctl simulate --seeds {seed}..{} --faults {}", seed.saturating_add(1), self.profile)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        let Summary { seed, steps, trace_hash, violations, .. } = &self.summary;
        writeln!(f, "seed {seed}, profile {}, {steps} steps, trace {trace_hash:016x}", self.profile)?;
        for violation in violations {
            writeln!(f, "broken: {violation}")?;
        }
        if violations.is_empty() {
            write!(f, "all {} laws held", Law::ALL.len())
        } else {
            write!(f, "run again: {}", self.reproduction())
        }
    }
}

/// Runs the world of one seed under a profile.
#[must_use]
pub fn simulate(seed: u64, profile: &FaultProfile) -> Report {
    run(WorldConfig::drawn(seed, profile.clone()))
}

/// Runs a world to rest. Its trace is kept only if a law breaks: it is then run again, which is the
/// same run, for nothing but the seed decides.
#[must_use]
pub fn run(config: WorldConfig) -> Report {
    let world = finished(&config, TraceLines::Dropped);
    let broken = !world.violations().is_empty();
    let trace = if broken { finished(&config, TraceLines::Kept).trace(SHOWN) } else { Vec::new() };
    Report { profile: config.profile.name, summary: world.summary(), trace }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TraceLines {
    Kept,
    Dropped,
}

fn finished(config: &WorldConfig, lines: TraceLines) -> World {
    let mut world = World::new(config.clone());
    if lines == TraceLines::Dropped {
        world.keep_no_trace();
    }
    world.run_to_rest(PATIENCE);
    world
}

/// Simulates every case on this many threads, and shows each report as it is ready; `seen` says
/// whether to go on. The reports come in no order, but each case's report is always the same.
pub fn sweep(
    cases: impl Iterator<Item = (u64, FaultProfile)> + Send,
    threads: usize,
    seen: impl FnMut(Report) -> ControlFlow<()> + Send,
) {
    let (cases, seen) = (Mutex::new(cases), Mutex::new(seen));
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !stopped.load(Ordering::Relaxed) {
                    let Some((seed, profile)) = lock(&cases).next() else { return };
                    let report = simulate(seed, &profile);
                    if lock(&seen)(report).is_break() {
                        stopped.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}
