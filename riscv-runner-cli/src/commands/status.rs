//! `rrctl status`: leader, queue, workers and boards at a glance.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    ids::{Epoch, ReplicaName},
    ports::LeaseStore,
    worker::WorkerStatus,
};
use serde::Serialize;

use super::pools::{Pool, pools, print};
use crate::{
    args::Output,
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
    pools: Vec<Pool>,
}

#[derive(Serialize)]
struct Leader {
    name: ReplicaName,
    epoch: Epoch,
    until: Timestamp,
}

/// Runs `rrctl status`.
pub(crate) async fn run(output: Output, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let leader = store.leader().await?;
    let engine = wire::observer(&config).await?;
    let moment = moment::at(engine.snapshot().await?, config.policy);
    let snapshot = &moment.snapshot;
    let now = snapshot.now;
    let mut workers = BTreeMap::new();
    for worker in snapshot.workers.values() {
        *workers.entry(worker.status).or_default() += 1;
    }
    let leader = leader.filter(|(_, _, until)| *until > now);
    let status = Status {
        now,
        leader: leader.map(|(name, epoch, until)| Leader { name, epoch, until }),
        waiting: snapshot.demand.values().map(|demand| demand.pending).sum(),
        running: snapshot.demand.values().map(|demand| demand.running).sum(),
        oldest: snapshot.demand.values().filter_map(|demand| demand.oldest).min(),
        workers,
        pools: pools(&moment),
    };
    printer.data(output.format, &status, || show(&status, printer))
}

fn show(status: &Status, printer: &Printer) {
    match &status.leader {
        Some(leader) => printer.line(&format!("leader   {} (epoch {})", leader.name, leader.epoch)),
        None => printer.line("leader   nobody: nothing is scheduled"),
    }
    let oldest = status.oldest.map(|at| format!(", the oldest for {}", short(age(status.now, at))));
    let (waiting, running) = (status.waiting, status.running);
    printer.line(&format!("jobs     {waiting} waiting{}, {running} running", oldest.unwrap_or_default()));
    let workers = |status_of| status.workers.get(&status_of).copied().unwrap_or(0);
    let (starting, working) = (workers(WorkerStatus::Pending), workers(WorkerStatus::Running));
    printer.line(&format!("workers  {starting} starting, {working} running"));
    printer.line("");
    print(&status.pools, printer);
}
