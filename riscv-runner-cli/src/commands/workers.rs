//! `rrctl workers`: workers, newest first.

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    ports::{Platform, ReportStore, WorkerRow},
    worker::{Worker, WorkerStatus},
};
use serde::Serialize;

use crate::{
    args::Listing,
    config::{self, Need, Sources},
    failure::Failure,
    moment::{short, window},
    platform::TokioPlatform,
    printer::{Printer, Tone, Value},
    wire,
};

#[derive(Serialize)]
struct Workers {
    total: u64,
    workers: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    worker: Worker,
    updated_at: Timestamp,
}

/// Runs `rrctl workers`.
pub(crate) async fn run(listing: Listing, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let (window, page) = window(listing);
    let (rows, total) = store.workers(window, page).await?;
    let now = TokioPlatform.now();
    let row = |WorkerRow { worker, updated_at }| Row { worker, updated_at };
    let answer = Workers { total, workers: rows.into_iter().map(row).collect() };
    printer.data(listing.output.format, &answer, || {
        let header = ["worker", "status", "account", "labels", "pool", "board", "job", "created", "lived"];
        printer.table(&header, answer.workers.iter().map(|row| cells(&row.worker, now)));
        printer.note(&format!("{} of {total}", answer.workers.len()));
    })
}

fn cells(worker: &Worker, now: Timestamp) -> Vec<Value> {
    let status = worker
        .failure
        .as_ref()
        .map_or_else(|| worker.status.to_string(), |(reason, _)| reason.as_str().to_owned());
    let tone = match worker.status {
        WorkerStatus::Pending => Tone::Waiting,
        WorkerStatus::Running => Tone::Good,
        WorkerStatus::Completed => Tone::Plain,
        WorkerStatus::Failed => Tone::Bad,
    };
    vec![
        worker.name.as_str().into(),
        Value::toned(&status, tone),
        worker.scope.login.as_str().into(),
        worker.labels.originals().join(", ").into(),
        worker.pool.as_str().into(),
        Value::or_dash(worker.node.as_ref()),
        Value::or_dash(worker.job.map(|job| job.id)),
        format!("{} ago", short(age(now, worker.created_at))).into(),
        Value::number(&short(age(worker.completed_at.unwrap_or(now), worker.created_at))),
    ]
}
