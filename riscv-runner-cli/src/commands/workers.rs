//! `rrctl workers`: workers, newest first.

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    failure::FailureInfo,
    policy::NamePrefix,
    ports::{PortResult, ReportStore, Total},
    worker::WorkerStatus,
};
use riscv_runner_http::views::{Reader, WorkerView, WorkersView};
use riscv_runner_pg::PgStore;

use super::listing::{self, Asked, Listed};
use crate::{
    args::Listing,
    config::Sources,
    failure::Failure,
    moment::short,
    printer::{Column, Printer, Tone, Value},
};

/// Runs `rrctl workers`.
pub(crate) async fn run(listing: &Listing, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    listing::run::<WorkersView>(listing, sources, printer).await
}

impl Listed for WorkersView {
    const PATH: &'static str = "workers.json";
    const COLUMNS: &'static [Column] = &[
        Column::always("worker"),
        Column::always("status"),
        Column::rank(3, "account"),
        Column::rank(1, "labels"),
        Column::rank(5, "pool"),
        Column::rank(6, "board"),
        Column::rank(7, "job"),
        Column::rank(4, "created"),
        Column::rank(2, "lived"),
        Column::detail("because"),
    ];

    async fn read(store: &PgStore, asked: &Asked, _: &NamePrefix) -> PortResult<Self> {
        let filter = asked.filter(WorkerStatus::parse);
        let (rows, total) = store.workers(asked.window, &filter, asked.page).await?;
        Ok(Self::of(&rows, total, asked.page, Reader::Authenticated, asked.now))
    }

    fn total(&self) -> Total {
        if self.more { Total::AtLeast(self.total_count) } else { Total::Exactly(self.total_count) }
    }

    fn cells(&self) -> Vec<Vec<Value>> {
        self.workers.iter().map(|worker| cells(worker, self.as_of)).collect()
    }
}

fn cells(worker: &WorkerView, now: Timestamp) -> Vec<Value> {
    let status =
        worker.failure_reason.map_or_else(|| worker.status.to_string(), |reason| reason.as_str().to_owned());
    let tone = match worker.status {
        WorkerStatus::Pending => Tone::Waiting,
        WorkerStatus::Running => Tone::Good,
        WorkerStatus::Completed => Tone::Plain,
        WorkerStatus::Failed => Tone::Bad,
    };
    vec![
        worker.pod_name.as_str().into(),
        Value::toned(&status, tone),
        worker.entity_name.as_str().into(),
        worker.job_labels.originals().join(", ").into(),
        worker.k8s_pool.as_str().into(),
        Value::or_dash(worker.k8s_node.as_ref()),
        Value::or_dash(worker.job_id),
        format!("{} ago", short(age(now, worker.created_at))).into(),
        Value::number(&short(age(worker.completed_at.unwrap_or(now), worker.created_at))),
        Value::or_dash(worker.failure_info.as_ref().and_then(FailureInfo::summary)),
    ]
}
