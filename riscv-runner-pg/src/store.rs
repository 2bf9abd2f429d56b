//! The store behind the ports; each method is one call into the module of its subject.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    controls::{Note, Order, Ordered},
    delivery::{DeliveryRecord, JobWrite, Recorded},
    entity::Entity,
    ids::{DeliveryGuid, Epoch, ImageRef, JobId, NodeName, ReplicaName, RepoName, WorkerName},
    job::{Job, JobEvent, JobFacts, JobPhase, Placement},
    ports::{
        Ahead, AuditEntry, Cas, ControlStore, DeliveryStore, DoubtfulJobs, DoubtfulQuery, HeadRequest,
        JobRow, KnownRepo, Lately, LeaderProof, LeaseStore, Page, PagedJobs, PagedWorkers, PoolShare,
        PortResult, Remover, ReportStore, ReportWindow, Reservation, Reserved, RetentionStore, RowFilter,
        SchedulingStore, Standing, UnroutedRow, UsageRow, WeekRow, WorkerChange, WorkerRow,
    },
    quarantine::Quarantine,
    retention::{Cutoff, Expiring, Keepsake, Kept},
    scope::{PoolKey, ScopeRef},
    snapshot::{Demand, PendingJob},
    worker::{Worker, WorkerStatus},
};
use sqlx::PgPool;

use crate::{
    config::PgConfig, controls, db::Db, deliveries, demand, jobs, lease, reports, reserve, retention,
    standing, stats, sweeps, unrouted, workers,
};

/// A store on PostgreSQL, in one migrated schema.
#[derive(Debug)]
pub struct PgStore {
    db: Db,
}

impl PgStore {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses; the message says where and what to check, and
    /// never holds the password.
    pub async fn connect(config: &PgConfig) -> PortResult<Self> {
        Ok(Self { db: Db::connect(config).await? })
    }

    /// How many statements were sent so far, excluding transaction control.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.db.statements()
    }

    /// The connections, for what no port covers: diagnosis and tests.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.db.pool
    }

    /// Folds the changes of demand into its totals now; readers do so themselves when many are waiting.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn fold_demand(&self) -> PortResult<()> {
        demand::fold(&self.db).await
    }

    pub(crate) const fn db(&self) -> &Db {
        &self.db
    }

    /// Closes the connections after the statements in flight.
    pub async fn close(&self) {
        self.db.pool.close().await;
    }
}

#[async_trait]
impl DeliveryStore for PgStore {
    async fn record_deliveries(&self, batch: &[DeliveryRecord]) -> PortResult<Vec<PortResult<Recorded>>> {
        deliveries::record(&self.db, batch).await
    }

    async fn known_deliveries(&self, guids: &[DeliveryGuid]) -> PortResult<Vec<DeliveryGuid>> {
        deliveries::known(&self.db, guids).await
    }

    async fn last_delivery_at(&self) -> PortResult<Option<Timestamp>> {
        deliveries::last_at(&self.db).await
    }
}

#[async_trait]
impl SchedulingStore for PgStore {
    async fn demand(&self) -> PortResult<BTreeMap<PoolKey, Demand>> {
        demand::demand(&self.db).await
    }

    async fn waiting(
        &self,
        heads: &[HeadRequest],
        except: &[RepoName],
        shares: &[PoolShare],
    ) -> PortResult<BTreeMap<PoolKey, Vec<PendingJob>>> {
        demand::waiting(&self.db, heads, except, shares).await
    }

    async fn live_workers(&self) -> PortResult<BTreeMap<WorkerName, Worker>> {
        workers::live(&self.db).await
    }

    async fn workers_named(&self, names: &[WorkerName]) -> PortResult<BTreeMap<WorkerName, Worker>> {
        workers::named(&self.db, names).await
    }

    async fn scopes_of_workers(&self, since: Timestamp) -> PortResult<Vec<ScopeRef>> {
        workers::scopes(&self.db, since).await
    }

    async fn standing(&self) -> PortResult<Standing> {
        standing::standing(&self.db).await
    }

    async fn reserve(&self, proof: &LeaderProof, reservations: &[Reservation]) -> PortResult<Vec<Reserved>> {
        reserve::reserve(&self.db, proof, reservations).await
    }

    async fn change_worker(
        &self,
        proof: &LeaderProof,
        name: &WorkerName,
        from: WorkerStatus,
        change: &WorkerChange,
    ) -> PortResult<Cas> {
        workers::change(&self.db, proof, name, from, change).await
    }

    async fn adopt_worker(&self, proof: &LeaderProof, worker: &Worker) -> PortResult<Cas> {
        workers::adopt(&self.db, proof, worker).await
    }

    async fn join_job(&self, proof: &LeaderProof, job: JobId, event: &JobEvent) -> PortResult<JobWrite> {
        jobs::join(&self.db, proof, job, event).await
    }

    async fn join_listed_job(
        &self,
        proof: &LeaderProof,
        facts: &JobFacts,
        placement: &Placement,
        event: &JobEvent,
    ) -> PortResult<JobWrite> {
        jobs::join_listed(&self.db, proof, facts, placement, event).await
    }

    async fn known_repos(&self, since: Timestamp) -> PortResult<Vec<KnownRepo>> {
        jobs::known_repos(&self.db, since).await
    }

    async fn jobs_with_ids(&self, ids: &[JobId]) -> PortResult<Vec<Job>> {
        jobs::with_ids(&self.db, ids).await
    }

    async fn doubtful_jobs(&self, query: &DoubtfulQuery) -> PortResult<DoubtfulJobs> {
        jobs::doubtful(&self.db, query).await
    }

    async fn deliveries_swept(&self) -> PortResult<Option<Timestamp>> {
        sweeps::deliveries_swept(&self.db).await
    }

    async fn note_deliveries_swept(&self, proof: &LeaderProof, until: Timestamp) -> PortResult<()> {
        sweeps::note_deliveries_swept(&self.db, proof, until).await
    }

    async fn refuse_image(
        &self,
        proof: &LeaderProof,
        image: &ImageRef,
        since: Option<Timestamp>,
    ) -> PortResult<()> {
        standing::refuse_image(&self.db, proof, image, since).await
    }

    async fn clear_backoff(&self, proof: &LeaderProof, key: &PoolKey) -> PortResult<()> {
        standing::clear_backoff(&self.db, proof, key).await
    }

    async fn set_quarantine(
        &self,
        proof: &LeaderProof,
        node: &NodeName,
        quarantine: Option<&Quarantine>,
    ) -> PortResult<()> {
        standing::set_quarantine(&self.db, proof, node, quarantine).await
    }
}

#[async_trait]
impl RetentionStore for PgStore {
    async fn count_expired(&self, kind: Expiring, cutoff: Cutoff) -> PortResult<u64> {
        retention::count(&self.db, kind, cutoff).await
    }

    async fn remove_expired(
        &self,
        by: Remover<'_>,
        kind: Expiring,
        cutoff: Cutoff,
        limit: u32,
    ) -> PortResult<u64> {
        retention::remove(&self.db, by, kind, cutoff, limit).await
    }

    async fn keep(&self, row: &Keepsake, keep: bool) -> PortResult<Kept> {
        retention::keep(&self.db, row, keep).await
    }
}

#[async_trait]
impl ControlStore for PgStore {
    async fn order(&self, order: &Order, note: &Note) -> PortResult<Ordered> {
        controls::order(&self.db, order, note).await
    }

    async fn control_audit(&self, limit: u32) -> PortResult<Vec<AuditEntry>> {
        controls::last(&self.db, limit).await
    }

    async fn known_accounts(&self) -> PortResult<Vec<Entity>> {
        controls::accounts(&self.db).await
    }
}

#[async_trait]
impl LeaseStore for PgStore {
    async fn acquire_lease(
        &self,
        holder: &ReplicaName,
        ttl: Duration,
        now: Timestamp,
    ) -> PortResult<Option<LeaderProof>> {
        lease::acquire(&self.db, holder, ttl, now).await
    }

    async fn release_lease(&self, proof: &LeaderProof) -> PortResult<()> {
        lease::release(&self.db, proof).await
    }

    async fn leader(&self) -> PortResult<Option<(ReplicaName, Epoch, Timestamp)>> {
        lease::leader(&self.db).await
    }
}

#[async_trait]
impl ReportStore for PgStore {
    async fn jobs(
        &self,
        window: ReportWindow,
        filter: &RowFilter<JobPhase>,
        page: Page,
    ) -> PortResult<PagedJobs> {
        reports::jobs(&self.db, window, filter, page).await
    }

    async fn workers(
        &self,
        window: ReportWindow,
        filter: &RowFilter<WorkerStatus>,
        page: Page,
    ) -> PortResult<PagedWorkers> {
        reports::workers(&self.db, window, filter, page).await
    }

    async fn usage(&self) -> PortResult<Vec<UsageRow>> {
        reports::usage(&self.db).await
    }

    async fn job(&self, job: JobId) -> PortResult<Option<JobRow>> {
        reports::job(&self.db, job).await
    }

    async fn ahead(&self, job: &Job) -> PortResult<Ahead> {
        reports::ahead(&self.db, job).await
    }

    async fn worker(&self, worker: &WorkerName) -> PortResult<Option<WorkerRow>> {
        reports::worker(&self.db, worker).await
    }

    async fn weekly_usage(&self, window: ReportWindow, now: Timestamp) -> PortResult<Vec<WeekRow>> {
        stats::weekly_usage(&self.db, window, now).await
    }

    async fn lately(&self, window: ReportWindow) -> PortResult<Lately> {
        stats::lately(&self.db, window).await
    }

    async fn unrouted(&self, since: Timestamp, limit: u32) -> PortResult<Vec<UnroutedRow>> {
        unrouted::unrouted(&self.db, since, limit).await
    }
}
