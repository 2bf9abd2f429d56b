//! `rrctl status`: leader, queue, workers and boards at a glance.

mod watch;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    controls::WrittenOrder,
    engine::Engine,
    ids::{Epoch, ReplicaName},
    policy::Policy,
    ports::LeaseStore,
    worker::WorkerStatus,
};
use riscv_runner_pg::PgStore;
use serde::Serialize;

use super::pools::{Pool, pools, table};
use crate::{
    args::{self, Format},
    config::{self, Need, Sources},
    failure::Failure,
    moment::{self, short},
    printer::Printer,
    wire,
};

#[derive(Serialize)]
struct Status {
    now: Timestamp,
    leader: Option<Leader>,
    waiting: u32,
    running: u32,
    oldest: Option<Timestamp>,
    workers: BTreeMap<WorkerStatus, usize>,
    /// What operators hold back.
    controls: Vec<WrittenOrder>,
    pools: Vec<Pool>,
}

#[derive(Serialize)]
struct Leader {
    name: ReplicaName,
    epoch: Epoch,
    until: Timestamp,
}

/// Where looks are taken.
struct Place {
    store: Arc<PgStore>,
    engine: Arc<Engine>,
    policy: Policy,
}

/// Runs `rrctl status`.
pub(crate) async fn run(status: args::Status, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    if status.watch && status.output.format == Format::Json {
        let hint = "programs read `rrctl status --format json` as often as they like";
        return Err(Failure::usage("--watch draws for people").hint(hint));
    }
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let place = Place {
        store: wire::store(&wire::store_config(&config, false)?).await?,
        engine: wire::observer(&config).await?,
        policy: config.policy,
    };
    if status.watch {
        let look = async || Ok(text(&place.look().await?, printer));
        return watch::watch(status.every, look, printer).await;
    }
    let now = place.look().await?;
    printer.data(status.output.format, &now, || printer.raw(&text(&now, printer)))
}

impl Place {
    async fn look(&self) -> Result<Status, Failure> {
        let leader = self.store.leader().await?;
        let moment = moment::at(self.engine.snapshot().await?, self.policy.clone());
        let snapshot = &moment.snapshot;
        let now = snapshot.now;
        let mut workers = BTreeMap::new();
        for worker in snapshot.workers.values() {
            *workers.entry(worker.status).or_default() += 1;
        }
        let leader = leader.filter(|(_, _, until)| *until > now);
        let controls = snapshot.controls.in_force();
        Ok(Status {
            now,
            leader: leader.map(|(name, epoch, until)| Leader { name, epoch, until }),
            waiting: snapshot.demand.values().map(|demand| demand.pending).sum(),
            running: snapshot.demand.values().map(|demand| demand.running).sum(),
            oldest: snapshot.demand.values().filter_map(|demand| demand.oldest).min(),
            workers,
            controls: controls.iter().map(|one| WrittenOrder::of(&one.order, &one.note)).collect(),
            pools: pools(&moment),
        })
    }
}

fn text(status: &Status, printer: &Printer) -> String {
    let mut lines = vec![match &status.leader {
        Some(leader) => format!("leader   {} (epoch {})", leader.name, leader.epoch),
        None => "leader   nobody: nothing is scheduled".to_owned(),
    }];
    let oldest = status.oldest.map(|at| format!(", the oldest for {}", short(age(status.now, at))));
    let (waiting, running) = (status.waiting, status.running);
    lines.push(format!("jobs     {waiting} waiting{}, {running} running", oldest.unwrap_or_default()));
    let workers = |status_of| status.workers.get(&status_of).copied().unwrap_or(0);
    let (starting, working) = (workers(WorkerStatus::Pending), workers(WorkerStatus::Running));
    lines.push(format!("workers  {starting} starting, {working} running"));
    lines.extend(status.controls.iter().map(|one| {
        format!(
            "held     {} {} by {}: {}",
            one.verb.as_str().replace('_', " "),
            one.target,
            one.actor,
            one.reason
        )
    }));
    format!("{}\n\n{}", lines.join("\n"), table(&status.pools, printer))
}
