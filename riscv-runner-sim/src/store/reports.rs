//! Reading for pages and command line.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, JobId, Login, PoolName, WorkerName},
    job::JobPhase,
    labels::LabelSet,
    ports::{
        JobRow, Lately, Page, PagedJobs, PagedWorkers, PortResult, ReportStore, ReportWindow, UnroutedRow,
        UsageRow, WeekRow, WorkerRow,
    },
    worker::WorkerStatus,
};

use super::{MemoryStore, stats};

#[async_trait]
impl ReportStore for MemoryStore {
    async fn ping(&self) -> PortResult<()> {
        Ok(())
    }

    async fn jobs(&self, window: ReportWindow, page: Page) -> PortResult<PagedJobs> {
        Ok(self.read(|rows| {
            let inside = rows.jobs.values().filter(|row| contains(window, row.stored_at));
            let mut found: Vec<_> = inside.collect();
            found.sort_by_key(|row| std::cmp::Reverse((row.stored_at, row.job.facts.id)));
            (cut(&found, page).into_iter().cloned().collect(), found.len() as u64)
        }))
    }

    async fn workers(&self, window: ReportWindow, page: Page) -> PortResult<PagedWorkers> {
        Ok(self.read(|rows| {
            let inside = rows.workers.values().filter(|row| contains(window, row.worker.created_at));
            let mut found: Vec<_> = inside.collect();
            found.sort_by(|a, b| {
                (b.worker.created_at, &b.worker.name).cmp(&(a.worker.created_at, &a.worker.name))
            });
            let shown = cut(&found, page).into_iter().filter_map(|row| rows.worker(&row.worker.name));
            (shown.collect(), found.len() as u64)
        }))
    }

    async fn usage(&self) -> PortResult<Vec<UsageRow>> {
        Ok(self.read(|rows| {
            let mut usage = Usage::default();
            let demand = rows.unchanged_since.iter().filter_map(|(_, id)| rows.jobs.get(id));
            for job in demand.map(|row| &row.job) {
                let entity = &job.facts.entity;
                let key = (entity.id, job.placement.pool.clone(), job.facts.labels.clone());
                usage
                    .row(key, &entity.login, entity.kind)
                    .0
                    .entry(job.state.phase)
                    .and_modify(add)
                    .or_insert(1);
            }
            for worker in rows.live.iter().filter_map(|name| rows.workers.get(name)).map(|row| &row.worker) {
                let scope = &worker.scope;
                let key = (scope.entity, worker.pool.clone(), worker.labels.clone());
                let row = usage.row(key, &scope.login, scope.scope().kind());
                row.1.entry(worker.status).and_modify(add).or_insert(1);
            }
            usage.rows()
        }))
    }

    async fn job(&self, job: JobId) -> PortResult<Option<JobRow>> {
        Ok(self.read(|rows| rows.jobs.get(&job).cloned()))
    }

    async fn worker(&self, worker: &WorkerName) -> PortResult<Option<WorkerRow>> {
        Ok(self.read(|rows| rows.worker(worker)))
    }

    async fn weekly_usage(&self, window: ReportWindow, now: Timestamp) -> PortResult<Vec<WeekRow>> {
        Ok(self.read(|rows| stats::weekly_usage(rows, window, now)))
    }

    async fn lately(&self, window: ReportWindow) -> PortResult<Lately> {
        Ok(self.read(|rows| stats::lately(rows, window)))
    }

    async fn unrouted(&self, since: Timestamp, limit: u32) -> PortResult<Vec<UnroutedRow>> {
        Ok(self.read(|rows| stats::unrouted(rows, since, limit)))
    }
}

pub(super) fn contains(window: ReportWindow, at: Timestamp) -> bool {
    window.start <= at && at < window.end
}

fn cut<T: Copy>(rows: &[T], page: Page) -> Vec<T> {
    let skip = (page.page as usize).saturating_mul(page.per_page as usize);
    rows.iter().copied().skip(skip).take(page.per_page as usize).collect()
}

const fn add(n: &mut u64) {
    *n += 1;
}

type UsageKey = (EntityId, PoolName, LabelSet);
type UsageCounts = (BTreeMap<JobPhase, u64>, BTreeMap<WorkerStatus, u64>);

#[derive(Default)]
struct Usage(BTreeMap<UsageKey, (Login2, UsageCounts)>);

type Login2 = Option<(Login, EntityKind)>;

impl Usage {
    fn row(&mut self, key: UsageKey, login: &Login, kind: EntityKind) -> &mut UsageCounts {
        let (known, counts) = self.0.entry(key).or_default();
        known.get_or_insert_with(|| (login.clone(), kind));
        counts
    }

    fn rows(self) -> Vec<UsageRow> {
        let rows = self.0.into_iter().filter_map(|((entity_id, k8s_pool, job_labels), (known, counts))| {
            let (entity_name, entity_type) = known?;
            let (jobs, workers) = counts;
            Some(UsageRow { entity_id, entity_name, entity_type, k8s_pool, job_labels, jobs, workers })
        });
        rows.collect()
    }
}
