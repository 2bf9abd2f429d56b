//! The script of a world: which jobs arrive when, and which scheduled faults happen when.

use std::time::Duration;

use riscv_runner_core::ids::{EntityId, NodeName, RepoId};

use super::{Arrival, WorldConfig, happenings::Happening, operators::Whim};
use crate::{
    chance::Stream,
    faults::{FaultProfile, PortName},
    truth::{Event, Truth},
};

/// How long something does not answer.
const OUTAGE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));
/// How long a process stands still: longer than a lease, shorter than what others wait for its work.
const PAUSE: (Duration, Duration) = (Duration::from_secs(9), Duration::from_secs(90));
/// How many jobs a run has at most.
const JOBS_PER_RUN: usize = 4;

/// What is to happen, and after how long.
pub(super) type Script = Vec<(Duration, Happening)>;

/// The jobs of a world in runs of a few, as they arrive.
pub(super) fn arrivals(config: &WorldConfig, repositories: &[RepoId]) -> Script {
    let mut luck = Stream::new(config.seed, "arrivals");
    let mut at = Duration::from_secs(1);
    let mut left = config.jobs;
    let mut script = Vec::new();
    while left > 0 {
        let size = (1 + luck.below(JOBS_PER_RUN)).min(left as usize);
        left -= u32::try_from(size).unwrap_or(left);
        let Some(repo) = luck.pick(repositories).copied() else { break };
        let job = |luck: &mut Stream| {
            let labels = luck.pick(&config.boards)?.labels.clone();
            Some((labels, luck.between(config.work.0, config.work.1)))
        };
        let jobs = (0..size).filter_map(|_| job(&mut luck)).collect();
        let mean = match config.arrival {
            Arrival::Poisson { mean } => Some(mean),
            Arrival::Level { .. } | Arrival::Burst => None,
        };
        if let Some(mean) = mean {
            at += luck.exponential(mean.mul_f64(f64::from(u32::try_from(size).unwrap_or(1))));
        }
        script.push((at, Happening::Arrive { repo, jobs }));
    }
    script
}

/// Faults that happen at a certain time, drawn from a stream of their own for each kind.
pub(super) fn faults(config: &WorldConfig, truth: &mut Truth, entities: &[EntityId]) -> Script {
    let FaultProfile { processes, outages, github, operators, webhooks, .. } = &config.profile;
    let mut script = Vec::new();
    let mut times = |concern: &str, mean: f64, make: &mut dyn FnMut(&mut Stream) -> Option<Happening>| {
        let mut luck = Stream::new(config.seed, concern);
        for _ in 0..count(mean, &mut luck) {
            let at = luck.between(Duration::ZERO, config.faults_for);
            script.extend(make(&mut luck).map(|happening| (at, happening)));
        }
    };
    times("pauses", processes.pauses, &mut |luck| Some(Happening::Pause(luck.between(PAUSE.0, PAUSE.1))));
    for (concern, mean, port) in [
        ("store outages", outages.store, PortName::Store),
        ("github outages", outages.github, PortName::Forge),
        ("cluster outages", outages.cluster, PortName::Cluster),
    ] {
        times(concern, mean, &mut |luck| Some(Happening::Outage(port, luck.between(OUTAGE.0, OUTAGE.1))));
    }
    times("rate limits", github.rate_limits, &mut |luck| {
        let entity = *luck.pick(entities)?;
        Some(Happening::Limit(entity, luck.between(OUTAGE.0, OUTAGE.1)))
    });
    times("cancellations", github.cancellations, &mut |luck| Some(Happening::Cancel(luck.number())));
    times("cordons", config.profile.boards.cordons, &mut |luck| {
        Some(Happening::Cordon(luck.number(), luck.between(OUTAGE.0, OUTAGE.1)))
    });
    times("images refused", config.profile.boards.image_refused, &mut |_| Some(Happening::RefuseImage));
    times("unreadable webhooks", webhooks.unreadable, &mut |luck| Some(Happening::Unreadable(luck.number())));
    times("orders", operators.orders, &mut |luck| Some(Happening::Operate(Whim::drawn(luck))));
    times("restarts", operators.restarts, &mut |luck| Some(Happening::Restart(luck.number())));
    node_faults(config, truth, entities);
    if processes.sabotage {
        script.push((Duration::from_secs(60), Happening::Sabotage));
    }
    script
}

/// Faults of nature that the truth carries out by itself.
fn node_faults(config: &WorldConfig, truth: &mut Truth, entities: &[EntityId]) {
    let nodes: Vec<NodeName> = truth.boards.nodes.keys().cloned().collect();
    let mut times = |concern: &str, mean: f64, make: &mut dyn FnMut(&mut Stream) -> Option<Event>| {
        let mut luck = Stream::new(config.seed, concern);
        for _ in 0..count(mean, &mut luck) {
            let at = luck.between(Duration::ZERO, config.faults_for);
            if let Some(event) = make(&mut luck) {
                truth.after(at, event);
            }
        }
    };
    let boards = &config.profile.boards;
    times("nodes lost", boards.nodes_lost, &mut |luck| luck.pick(&nodes).cloned().map(Event::NodeLost));
    times("node blips", boards.node_blips, &mut |luck| luck.pick(&nodes).cloned().map(Event::NodeBlip));
    times("reinstalls", config.profile.github.reinstalls, &mut |luck| {
        luck.pick(entities).copied().map(Event::Reinstall)
    });
    times("suspensions", config.profile.github.suspensions, &mut |luck| {
        luck.pick(entities).map(|entity| Event::Suspend(*entity, true))
    });
}

/// How many times something happens that happens `mean` times on average.
fn count(mean: f64, luck: &mut Stream) -> u32 {
    let mut n = 0;
    let mut at = luck.exponential(Duration::from_secs(1));
    while at < Duration::from_secs(1).mul_f64(mean) {
        n += 1;
        at += luck.exponential(Duration::from_secs(1));
    }
    n
}
