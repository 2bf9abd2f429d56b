//! `rrctl usage`: demand and supply by account, pool and labels.

use riscv_runner_core::{
    job::JobPhase,
    ports::{ReportStore, UsageRow},
    worker::WorkerStatus,
};

use crate::{
    args::Output,
    config::{self, Need, Sources},
    failure::Failure,
    printer::{Printer, Value},
    wire,
};

/// Runs `rrctl usage`.
pub(crate) async fn run(output: Output, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let rows = store.usage().await?;
    printer.data(output.format, &rows, || {
        let header = [
            "account",
            "kind",
            "pool",
            "labels",
            "jobs waiting",
            "jobs running",
            "workers starting",
            "workers running",
        ];
        printer.table(&header, rows.iter().map(cells));
    })
}

fn cells(row: &UsageRow) -> Vec<Value> {
    let jobs = |phase| Value::number(&row.jobs.get(&phase).copied().unwrap_or(0));
    let workers = |status| Value::number(&row.workers.get(&status).copied().unwrap_or(0));
    vec![
        row.entity_name.as_str().into(),
        row.entity_type.as_str().into(),
        row.k8s_pool.as_str().into(),
        row.job_labels.originals().join(", ").into(),
        jobs(JobPhase::Pending),
        jobs(JobPhase::Running),
        workers(WorkerStatus::Pending),
        workers(WorkerStatus::Running),
    ]
}
