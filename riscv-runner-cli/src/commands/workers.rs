//! `rrctl workers`: workers, newest first.

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    ports::{ReportStore, WorkerRow},
    worker::{Worker, WorkerStatus},
};
use serde::Serialize;

use super::listing::{self, Row};
use crate::{
    args::Listing,
    config::Sources,
    failure::Failure,
    moment::short,
    printer::{Printer, Tone, Value},
};

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    worker: Worker,
    updated_at: Timestamp,
}

impl Row for Listed {
    const NAME: &'static str = "workers";
    const COLUMNS: &'static [&'static str] =
        &["worker", "status", "account", "labels", "pool", "board", "job", "created", "lived"];

    fn cells(&self, now: Timestamp) -> Vec<Value> {
        cells(&self.worker, now)
    }
}

/// Runs `rrctl workers`.
pub(crate) async fn run(listing: Listing, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let listed = |WorkerRow { worker, updated_at }| Listed { worker, updated_at };
    listing::run(listing, sources, printer, async |store, window, page| {
        let (rows, total) = store.workers(window, page).await?;
        Ok((rows.into_iter().map(listed).collect(), total))
    })
    .await
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
