//! The tables in memory, with the indexes that keep every read as cheap as its answer is long.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{IfAbsent, JobWrite},
    ids::{DeliveryGuid, JobId, PoolName, RunnerName, WorkerName},
    installation::InstallationKey,
    job::{Job, JobEvent, JobFacts, JobPhase, JobState, Step},
    ports::{AuditEntry, JobRow, Reservation, Standing, WorkerRow},
    retention::Keepsake,
    scope::PoolKey,
    worker::{KnownJob, Worker, WorkerStatus},
};

use super::{Change, LiveCounts, LogRow, Occupancy, lease::Lease};

/// Jobs of one key that are demand.
#[derive(Debug, Default)]
pub(super) struct KeyDemand {
    /// Waiting jobs in the order of the queue.
    pub(super) pending: BTreeSet<(Timestamp, JobId)>,
    /// How many of them each pool is to serve.
    pub(super) pending_by_pool: BTreeMap<PoolName, u32>,
    /// Jobs that a runner has.
    pub(super) running: u32,
}

impl KeyDemand {
    fn add_pending(&mut self, job: &Job) {
        if self.pending.insert((job.facts.created_at, job.facts.id)) {
            *self.pending_by_pool.entry(job.placement.pool.clone()).or_default() += 1;
        }
    }

    fn remove_pending(&mut self, job: &Job) {
        let waited = self.pending.remove(&(job.facts.created_at, job.facts.id));
        if let Some(count) = self.pending_by_pool.get_mut(&job.placement.pool).filter(|_| waited) {
            *count -= 1;
            if *count == 0 {
                self.pending_by_pool.remove(&job.placement.pool);
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) jobs: BTreeMap<JobId, JobRow>,
    pub(super) demand: BTreeMap<PoolKey, KeyDemand>,
    pub(super) unchanged_since: BTreeSet<(Timestamp, JobId)>,
    pub(super) named: BTreeMap<RunnerName, BTreeSet<JobId>>,
    pub(super) workers: BTreeMap<WorkerName, WorkerRow>,
    pub(super) live: BTreeSet<WorkerName>,
    pub(super) log: Vec<LogRow>,
    pub(super) guids: BTreeSet<DeliveryGuid>,
    pub(super) standing: Standing,
    pub(super) audit: Vec<AuditEntry>,
    /// Rows that stay whatever their age.
    pub(super) kept: BTreeSet<Keepsake>,
    pub(super) deliveries_swept: Option<Timestamp>,
    /// When something new was heard of each installation.
    pub(super) installations_learned: BTreeMap<InstallationKey, Timestamp>,
    pub(super) lease: Lease,
    pub(super) changes: Option<Vec<Change>>,
}

impl Rows {
    pub(super) fn note(&mut self, change: Change) {
        if let Some(changes) = &mut self.changes {
            changes.push(change);
        }
    }

    /// Joins an event into a job's row, or inserts the row.
    pub(super) fn join(
        &mut self,
        facts: &JobFacts,
        event: &JobEvent,
        if_absent: &IfAbsent,
        now: Timestamp,
    ) -> JobWrite {
        if self.jobs.contains_key(&facts.id) {
            return self.join_known(facts.id, event, now);
        }
        let IfAbsent::Insert(placement) = if_absent else { return JobWrite::NoRow };
        let Some(state) = JobState::from_event(event) else { return JobWrite::NoRow };
        let phase = state.phase;
        let job = Job { facts: facts.clone(), placement: placement.clone(), state };
        self.put_job(JobRow { job, stored_at: now, updated_at: now });
        JobWrite::Inserted(phase)
    }

    /// Joins an event into a row that should be there.
    pub(super) fn join_known(&mut self, id: JobId, event: &JobEvent, now: Timestamp) -> JobWrite {
        let Some(row) = self.jobs.get(&id) else { return JobWrite::NoRow };
        match row.job.state.on(event) {
            Step::Move(state) => {
                let (from, to) = (row.job.state.phase, state.phase);
                let mut next = row.clone();
                next.job.state = state;
                next.updated_at = now;
                self.put_job(next);
                JobWrite::Moved { from, to }
            }
            Step::Stay | Step::Late => JobWrite::Unchanged,
        }
    }

    /// A row takes over the installation of a later look.
    pub(super) fn take_over_installation(&mut self, facts: &JobFacts) {
        if let Some(row) = self.jobs.get_mut(&facts.id) {
            row.job.facts.installation = facts.installation;
        }
    }

    /// Writes a job's row and every index of it.
    pub(super) fn put_job(&mut self, row: JobRow) {
        let id = row.job.facts.id;
        if let Some(old) = self.jobs.remove(&id) {
            self.unindex_job(&old);
        }
        let (key, state) = (row.job.facts.key(), &row.job.state);
        match state.phase {
            JobPhase::Pending => self.demand.entry(key).or_default().add_pending(&row.job),
            JobPhase::Running => self.demand.entry(key).or_default().running += 1,
            JobPhase::Failed | JobPhase::Completed => {}
        }
        if state.phase.is_demand() {
            self.unchanged_since.insert((row.updated_at, id));
        }
        if let Some(runner) = state.start.as_ref().and_then(|start| start.runner.clone()) {
            self.named.entry(runner).or_default().insert(id);
        }
        self.note(Change::Job { id, rank: state.rank() });
        self.jobs.insert(id, row);
    }

    /// Removes a job's row.
    pub(super) fn remove_job(&mut self, id: JobId) {
        if let Some(old) = self.jobs.remove(&id) {
            self.unindex_job(&old);
        }
    }

    fn unindex_job(&mut self, old: &JobRow) {
        let (id, key, state) = (old.job.facts.id, old.job.facts.key(), &old.job.state);
        self.unchanged_since.remove(&(old.updated_at, id));
        if let Some(demand) = self.demand.get_mut(&key) {
            match state.phase {
                JobPhase::Pending => demand.remove_pending(&old.job),
                JobPhase::Running => demand.running = demand.running.saturating_sub(1),
                JobPhase::Failed | JobPhase::Completed => {}
            }
            if demand.pending.is_empty() && demand.running == 0 {
                self.demand.remove(&key);
            }
        }
        let runner = state.start.as_ref().and_then(|start| start.runner.as_ref());
        if let Some(jobs) = runner.and_then(|runner| self.named.get_mut(runner)) {
            jobs.remove(&id);
        }
    }

    /// The job of its account that names a worker: one that is not over before one that is, then the newest.
    fn job_naming(&self, worker: &Worker) -> Option<KnownJob> {
        let jobs = self.named.get(&RunnerName::from(&worker.name))?;
        let known = |id: &JobId| {
            let job = &self.jobs.get(id)?.job;
            let ours = job.facts.entity.id == worker.scope.entity;
            ours.then_some(KnownJob { id: *id, phase: job.state.phase })
        };
        jobs.iter().filter_map(known).max_by_key(|job| (job.phase.is_demand(), job.id))
    }

    /// A worker's row with the job that names it.
    pub(super) fn worker(&self, name: &WorkerName) -> Option<WorkerRow> {
        let mut row = self.workers.get(name)?.clone();
        row.worker.job = self.job_naming(&row.worker);
        Some(row)
    }

    /// Writes a worker's row and the index of live ones.
    pub(super) fn put_worker(&mut self, row: WorkerRow) {
        let worker = &row.worker;
        if worker.status.is_terminal() {
            self.live.remove(&worker.name);
        } else {
            self.live.insert(worker.name.clone());
        }
        self.note(Change::Worker {
            name: worker.name.clone(),
            status: worker.status,
            unexplained: worker.status == WorkerStatus::Failed && worker.failure.is_none(),
        });
        self.workers.insert(worker.name.clone(), row);
    }

    /// Live workers counted by account, pool and key.
    pub(super) fn live_counts(&self) -> LiveCounts {
        let mut counts = LiveCounts::default();
        for row in self.live.iter().filter_map(|name| self.workers.get(name)) {
            counts.add(&row.worker, self.is_spent(&row.worker));
        }
        counts
    }

    fn is_spent(&self, worker: &Worker) -> bool {
        worker.gone_at.is_some() || self.job_naming(worker).is_some_and(|job| !job.phase.is_demand())
    }

    /// Jobs of a key that are demand, by the index.
    pub(super) fn demand_of(&self, key: &PoolKey) -> u32 {
        self.demand.get(key).map_or(0, |demand| count(demand.pending.len()) + demand.running)
    }

    /// What the laws need to know after a reservation, counted over all rows and no index.
    pub(super) fn occupancy(&self, reservation: &Reservation) -> Occupancy {
        let key = PoolKey { scope: reservation.scope.scope(), labels: reservation.labels.clone() };
        let live: Vec<_> =
            self.workers.values().map(|row| &row.worker).filter(|w| !w.status.is_terminal()).collect();
        let wanted = |row: &&JobRow| row.job.state.phase.is_demand() && row.job.facts.key() == key;
        Occupancy {
            entity_live: count(live.iter().filter(|w| w.scope.entity == reservation.scope.entity).count()),
            pool_live: count(live.iter().filter(|w| w.pool == reservation.pool).count()),
            supply: count(live.iter().filter(|w| w.key() == key && !self.is_spent(w)).count()),
            demand: count(self.jobs.values().filter(wanted).count()),
            reservation: reservation.clone(),
        }
    }
}

impl LiveCounts {
    pub(super) fn add(&mut self, worker: &Worker, spent: bool) {
        *self.by_entity.entry(worker.scope.entity).or_default() += 1;
        *self.by_pool.entry(worker.pool.clone()).or_default() += 1;
        if !spent {
            *self.unspent_by_key.entry(worker.key()).or_default() += 1;
        }
    }
}

pub(super) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
