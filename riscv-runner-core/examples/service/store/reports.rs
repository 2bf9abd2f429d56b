//! What pages read. Sums are the core's, counted over the rows.

use std::cmp::Reverse;

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::Outcome,
    ids::{JobId, WorkerName},
    job::{Job, JobPhase},
    ports::{
        Ahead, JobRow, Lately, Page, PagedJobs, PagedWorkers, PortResult, ReportStore, ReportWindow,
        RowFilter, Total, UnroutedRow, UsageRow, WeekRow, WorkerRow,
    },
    sums,
    worker::{Worker, WorkerStatus},
};

use super::{OwnStore, Tables};

impl Tables {
    fn all_jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().map(|row| &row.job)
    }

    fn all_workers(&self) -> impl Iterator<Item = &Worker> {
        self.workers.values().map(|row| &row.worker)
    }
}

#[async_trait]
impl ReportStore for OwnStore {
    async fn jobs(
        &self,
        window: ReportWindow,
        filter: &RowFilter<JobPhase>,
        page: Page,
    ) -> PortResult<PagedJobs> {
        let mut rows: Vec<_> = self.read(|tables| tables.jobs.values().cloned().collect());
        rows.retain(|row| window.contains(row.stored_at) && filter.shows_job(&row.job));
        rows.sort_by_key(|row| Reverse((row.stored_at, row.job.facts.id)));
        let n = Total::of(rows.len() as u64, page);
        Ok((page.cut(rows), n))
    }

    async fn workers(
        &self,
        window: ReportWindow,
        filter: &RowFilter<WorkerStatus>,
        page: Page,
    ) -> PortResult<PagedWorkers> {
        let mut rows: Vec<_> =
            self.read(|tables| tables.workers.keys().filter_map(|name| tables.worker(name)).collect());
        rows.retain(|row| window.contains(row.worker.created_at) && filter.shows_worker(&row.worker));
        rows.sort_by_key(|row| Reverse((row.worker.created_at, row.worker.name.clone())));
        let n = Total::of(rows.len() as u64, page);
        Ok((page.cut(rows).into_iter().map(WorkerRow::for_list).collect(), n))
    }

    async fn usage(&self) -> PortResult<Vec<UsageRow>> {
        Ok(self.read(|tables| sums::usage(tables.all_jobs(), tables.all_workers())))
    }

    async fn job(&self, job: JobId) -> PortResult<Option<JobRow>> {
        Ok(self.read(|tables| tables.jobs.get(&job).cloned()))
    }

    async fn ahead(&self, job: &Job) -> PortResult<Ahead> {
        Ok(self.read(|tables| Ahead::count(job, tables.all_jobs())))
    }

    async fn worker(&self, worker: &WorkerName) -> PortResult<Option<WorkerRow>> {
        Ok(self.read(|tables| tables.worker(worker)))
    }

    async fn weekly_usage(&self, window: ReportWindow, now: Timestamp) -> PortResult<Vec<WeekRow>> {
        Ok(self.read(|tables| sums::weekly_usage(tables.all_workers(), window, now)))
    }

    async fn lately(&self, window: ReportWindow) -> PortResult<Lately> {
        Ok(self.read(|tables| sums::lately(tables.all_jobs(), tables.all_workers(), window)))
    }

    async fn unrouted(&self, since: Timestamp, limit: u32) -> PortResult<Vec<UnroutedRow>> {
        Ok(self.read(|tables| {
            let rows = tables.log.values();
            let ignored = rows.filter(|(_, outcome)| *outcome == Outcome::IgnoredNoLabel);
            sums::unrouted(ignored.map(|(entry, _)| entry).filter(|entry| entry.received_at >= since), limit)
        }))
    }
}
