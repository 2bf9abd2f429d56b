//! Reading for pages and command line.

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
    worker::WorkerStatus,
};

use super::MemoryStore;

#[async_trait]
impl ReportStore for MemoryStore {
    async fn jobs(
        &self,
        window: ReportWindow,
        filter: &RowFilter<JobPhase>,
        page: Page,
    ) -> PortResult<PagedJobs> {
        Ok(self.read(|rows| {
            let inside = rows.jobs.values().filter(|row| window.contains(row.stored_at));
            let mut found: Vec<_> = inside.filter(|row| filter.shows_job(&row.job)).collect();
            found.sort_by_key(|row| std::cmp::Reverse((row.stored_at, row.job.facts.id)));
            let n = Total::of(found.len() as u64, page);
            (page.cut(found).into_iter().cloned().collect(), n)
        }))
    }

    async fn workers(
        &self,
        window: ReportWindow,
        filter: &RowFilter<WorkerStatus>,
        page: Page,
    ) -> PortResult<PagedWorkers> {
        Ok(self.read(|rows| {
            let inside = rows.workers.values().filter(|row| window.contains(row.worker.created_at));
            let mut found: Vec<_> = inside.filter(|row| filter.shows_worker(&row.worker)).collect();
            found.sort_by(|a, b| {
                (b.worker.created_at, &b.worker.name).cmp(&(a.worker.created_at, &a.worker.name))
            });
            let n = Total::of(found.len() as u64, page);
            let shown = page.cut(found).into_iter().filter_map(|row| rows.worker(&row.worker.name));
            (shown.map(WorkerRow::for_list).collect(), n)
        }))
    }

    async fn usage(&self) -> PortResult<Vec<UsageRow>> {
        Ok(self.read(|rows| {
            let demand = rows.unchanged_since.iter().filter_map(|(_, id)| rows.jobs.get(id));
            let live = rows.live.iter().filter_map(|name| rows.workers.get(name));
            sums::usage(demand.map(|row| &row.job), live.map(|row| &row.worker))
        }))
    }

    async fn job(&self, job: JobId) -> PortResult<Option<JobRow>> {
        Ok(self.read(|rows| rows.jobs.get(&job).cloned()))
    }

    async fn ahead(&self, job: &Job) -> PortResult<Ahead> {
        Ok(self.read(|rows| Ahead::count(job, rows.jobs.values().map(|row| &row.job))))
    }

    async fn worker(&self, worker: &WorkerName) -> PortResult<Option<WorkerRow>> {
        Ok(self.read(|rows| rows.worker(worker)))
    }

    async fn weekly_usage(&self, window: ReportWindow, now: Timestamp) -> PortResult<Vec<WeekRow>> {
        Ok(self.read(|rows| sums::weekly_usage(rows.workers.values().map(|row| &row.worker), window, now)))
    }

    async fn lately(&self, window: ReportWindow) -> PortResult<Lately> {
        Ok(self.read(|rows| {
            let (jobs, workers) = (rows.jobs.values(), rows.workers.values());
            sums::lately(jobs.map(|row| &row.job), workers.map(|row| &row.worker), window)
        }))
    }

    async fn unrouted(&self, since: Timestamp, limit: u32) -> PortResult<Vec<UnroutedRow>> {
        Ok(self.read(|rows| {
            let ignored = rows.log.iter().filter(|row| row.outcome == Outcome::IgnoredNoLabel);
            sums::unrouted(ignored.map(|row| &row.entry).filter(|entry| entry.received_at >= since), limit)
        }))
    }
}
