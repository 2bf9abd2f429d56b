//! A store of the host's own: the engine's ports over maps behind one mutex. What is a transaction in a database is
//! here the time for which the mutex is held. Every answer looks at all rows, which is enough for thousands.

mod deliveries;
mod leading;
mod operating;
mod reports;
mod scheduling;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{LogEntry, Outcome},
    ids::{Epoch, JobId, ReplicaName, WorkerName},
    installation::InstallationKey,
    job::{Job, JobPhase},
    ports::{AuditEntry, JobRow, Platform, Standing, WorkerRow},
    retention::Keepsake,
    worker::{KnownJob, Worker},
};
use tokio::sync::Notify;

/// The host's store.
pub(crate) struct OwnStore {
    tables: Mutex<Tables>,
    changed: Notify,
    platform: Arc<dyn Platform>,
}

/// Everything that is kept.
#[derive(Default)]
struct Tables {
    jobs: BTreeMap<JobId, JobRow>,
    workers: BTreeMap<WorkerName, WorkerRow>,
    /// What was delivered, by number, and what became of it.
    log: BTreeMap<u64, (LogEntry, Outcome)>,
    standing: Standing,
    /// When something new was heard of each installation.
    heard: BTreeMap<InstallationKey, Timestamp>,
    audit: Vec<AuditEntry>,
    /// Rows that stay whatever their age.
    kept: BTreeSet<Keepsake>,
    /// The newest term of leadership, and who holds it until when.
    terms: i64,
    lease: Option<(ReplicaName, Epoch, Timestamp)>,
}

impl OwnStore {
    /// An empty store with a clock.
    pub(crate) fn new(platform: Arc<dyn Platform>) -> Self {
        Self { tables: Mutex::default(), changed: Notify::new(), platform }
    }

    /// A worker's row, once it has ended.
    pub(crate) async fn ended(&self, name: &WorkerName) -> Worker {
        loop {
            let changed = self.changed.notified();
            let row = self.read(|tables| tables.worker(name));
            if let Some(row) = row.filter(|row| row.worker.status.is_terminal()) {
                return row.worker;
            }
            changed.await;
        }
    }

    fn read<R>(&self, look: impl FnOnce(&Tables) -> R) -> R {
        look(&self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<R>(&self, change: impl FnOnce(&mut Tables, Timestamp) -> R) -> R {
        let now = self.platform.now();
        let result = change(&mut self.tables.lock().unwrap_or_else(PoisonError::into_inner), now);
        self.changed.notify_waiters();
        result
    }
}

impl Tables {
    /// Jobs that wait or run.
    fn demand(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().map(|row| &row.job).filter(|job| job.state.phase.is_demand())
    }

    /// The job of its account that names a worker: one that is not over before one that is, then the newest.
    fn job_naming(&self, worker: &Worker) -> Option<KnownJob> {
        let names = |job: &&Job| {
            let runner = job.state.start.as_ref().and_then(|start| start.runner.as_ref());
            job.facts.entity.id == worker.scope.entity && runner.is_some_and(|runner| runner.is(&worker.name))
        };
        let jobs = self.jobs.values().map(|row| &row.job).filter(names);
        let known = jobs.map(|job| KnownJob { id: job.facts.id, phase: job.state.phase });
        known.max_by_key(|job| (job.phase.is_demand(), job.id))
    }

    /// A worker's row with the job that names it.
    fn worker(&self, name: &WorkerName) -> Option<WorkerRow> {
        let mut row = self.workers.get(name)?.clone();
        row.worker.job = self.job_naming(&row.worker);
        Some(row)
    }

    /// Workers that have not ended, each with the job that names it.
    fn live(&self) -> impl Iterator<Item = Worker> {
        let live = self.workers.iter().filter(|(_, row)| !row.worker.status.is_terminal());
        live.filter_map(|(name, _)| Some(self.worker(name)?.worker))
    }

    /// Waiting jobs, the oldest first.
    fn waiting(&self) -> Vec<&Job> {
        let mut jobs: Vec<_> = self.demand().filter(|job| job.state.phase == JobPhase::Pending).collect();
        jobs.sort_by_key(|job| (job.facts.created_at, job.facts.id));
        jobs
    }
}
