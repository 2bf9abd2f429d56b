//! A store in which calls go wrong.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{DeliveryRecord, JobWrite, Recorded},
    ids::{DeliveryGuid, Epoch, ImageRef, JobId, NodeName, ReplicaName, RepoName, WorkerName},
    job::{Job, JobEvent, JobFacts, JobPhase, Placement},
    ports::{
        Ahead, Cas, DeliveryStore, DoubtfulJobs, DoubtfulQuery, HeadRequest, JobRow, KnownRepo, Lately,
        LeaderProof, LeaseStore, Page, PagedJobs, PagedWorkers, PoolShare, PortResult, ReportStore,
        ReportWindow, Reservation, Reserved, RowFilter, SchedulingStore, Standing, Store, UnroutedRow,
        UsageRow, WeekRow, WorkerChange, WorkerRow,
    },
    quarantine::Quarantine,
    scope::{PoolKey, ScopeRef},
    snapshot::{Demand, PendingJob},
    worker::{Worker, WorkerStatus},
};

use super::Faulty;

#[async_trait]
impl<T: Store + ?Sized> DeliveryStore for Faulty<T> {
    async fn record_deliveries(&self, batch: &[DeliveryRecord]) -> PortResult<Vec<PortResult<Recorded>>> {
        self.call("record deliveries", self.inner.record_deliveries(batch)).await
    }

    async fn known_deliveries(&self, guids: &[DeliveryGuid]) -> PortResult<Vec<DeliveryGuid>> {
        self.call("look up deliveries", self.inner.known_deliveries(guids)).await
    }

    async fn last_delivery_at(&self) -> PortResult<Option<Timestamp>> {
        self.call("find the last delivery", self.inner.last_delivery_at()).await
    }
}

#[async_trait]
impl<T: Store + ?Sized> SchedulingStore for Faulty<T> {
    async fn demand(&self) -> PortResult<BTreeMap<PoolKey, Demand>> {
        self.call("count demand", self.inner.demand()).await
    }

    async fn waiting(
        &self,
        heads: &[HeadRequest],
        except: &[RepoName],
        shares: &[PoolShare],
    ) -> PortResult<BTreeMap<PoolKey, Vec<PendingJob>>> {
        self.call("read waiting jobs", self.inner.waiting(heads, except, shares)).await
    }

    async fn live_workers(&self) -> PortResult<BTreeMap<WorkerName, Worker>> {
        self.call("read live workers", self.inner.live_workers()).await
    }

    async fn workers_named(&self, names: &[WorkerName]) -> PortResult<BTreeMap<WorkerName, Worker>> {
        self.call("read workers", self.inner.workers_named(names)).await
    }

    async fn scopes_of_workers(&self, since: Timestamp) -> PortResult<Vec<ScopeRef>> {
        self.call("read scopes", self.inner.scopes_of_workers(since)).await
    }

    async fn standing(&self) -> PortResult<Standing> {
        self.call("read what holds", self.inner.standing()).await
    }

    async fn reserve(&self, proof: &LeaderProof, reservations: &[Reservation]) -> PortResult<Vec<Reserved>> {
        self.call("reserve workers", self.inner.reserve(proof, reservations)).await
    }

    async fn change_worker(
        &self,
        proof: &LeaderProof,
        name: &WorkerName,
        from: WorkerStatus,
        change: &WorkerChange,
    ) -> PortResult<Cas> {
        self.call("change a worker", self.inner.change_worker(proof, name, from, change)).await
    }

    async fn adopt_worker(&self, proof: &LeaderProof, worker: &Worker) -> PortResult<Cas> {
        self.call("adopt a worker", self.inner.adopt_worker(proof, worker)).await
    }

    async fn join_job(&self, proof: &LeaderProof, job: JobId, event: &JobEvent) -> PortResult<JobWrite> {
        self.call("join a job", self.inner.join_job(proof, job, event)).await
    }

    async fn join_listed_job(
        &self,
        proof: &LeaderProof,
        facts: &JobFacts,
        placement: &Placement,
        event: &JobEvent,
    ) -> PortResult<JobWrite> {
        self.call("join a listed job", self.inner.join_listed_job(proof, facts, placement, event)).await
    }

    async fn known_repos(&self, since: Timestamp) -> PortResult<Vec<KnownRepo>> {
        self.call("read repositories", self.inner.known_repos(since)).await
    }

    async fn jobs_with_ids(&self, ids: &[JobId]) -> PortResult<Vec<Job>> {
        self.call("read jobs", self.inner.jobs_with_ids(ids)).await
    }

    async fn doubtful_jobs(&self, query: &DoubtfulQuery) -> PortResult<DoubtfulJobs> {
        self.call("read doubtful jobs", self.inner.doubtful_jobs(query)).await
    }

    async fn deliveries_swept(&self) -> PortResult<Option<Timestamp>> {
        self.call("find the last sweep", self.inner.deliveries_swept()).await
    }

    async fn note_deliveries_swept(&self, proof: &LeaderProof, until: Timestamp) -> PortResult<()> {
        self.call("note a sweep", self.inner.note_deliveries_swept(proof, until)).await
    }

    async fn refuse_image(
        &self,
        proof: &LeaderProof,
        image: &ImageRef,
        since: Option<Timestamp>,
    ) -> PortResult<()> {
        self.call("mark an image", self.inner.refuse_image(proof, image, since)).await
    }

    async fn clear_backoff(&self, proof: &LeaderProof, key: &PoolKey) -> PortResult<()> {
        self.call("clear a back-off", self.inner.clear_backoff(proof, key)).await
    }

    async fn set_quarantine(
        &self,
        proof: &LeaderProof,
        node: &NodeName,
        quarantine: Option<&Quarantine>,
    ) -> PortResult<()> {
        self.call("set a quarantine", self.inner.set_quarantine(proof, node, quarantine)).await
    }
}

#[async_trait]
impl<T: Store + ?Sized> LeaseStore for Faulty<T> {
    async fn acquire_lease(
        &self,
        holder: &ReplicaName,
        ttl: Duration,
        now: Timestamp,
    ) -> PortResult<Option<LeaderProof>> {
        self.call("acquire the lease", self.inner.acquire_lease(holder, ttl, now)).await
    }

    async fn release_lease(&self, proof: &LeaderProof) -> PortResult<()> {
        self.call("release the lease", self.inner.release_lease(proof)).await
    }

    async fn leader(&self) -> PortResult<Option<(ReplicaName, Epoch, Timestamp)>> {
        self.call("find the leader", self.inner.leader()).await
    }
}

#[async_trait]
impl<T: Store + ?Sized> ReportStore for Faulty<T> {
    async fn jobs(
        &self,
        window: ReportWindow,
        filter: &RowFilter<JobPhase>,
        page: Page,
    ) -> PortResult<PagedJobs> {
        self.call("read jobs", self.inner.jobs(window, filter, page)).await
    }

    async fn workers(
        &self,
        window: ReportWindow,
        filter: &RowFilter<WorkerStatus>,
        page: Page,
    ) -> PortResult<PagedWorkers> {
        self.call("read workers", self.inner.workers(window, filter, page)).await
    }

    async fn usage(&self) -> PortResult<Vec<UsageRow>> {
        self.call("read usage", self.inner.usage()).await
    }

    async fn job(&self, job: JobId) -> PortResult<Option<JobRow>> {
        self.call("read a job", self.inner.job(job)).await
    }

    async fn ahead(&self, job: &Job) -> PortResult<Ahead> {
        self.call("count the jobs ahead", self.inner.ahead(job)).await
    }

    async fn worker(&self, worker: &WorkerName) -> PortResult<Option<WorkerRow>> {
        self.call("read a worker", self.inner.worker(worker)).await
    }

    async fn weekly_usage(&self, window: ReportWindow, now: Timestamp) -> PortResult<Vec<WeekRow>> {
        self.call("read the weekly usage", self.inner.weekly_usage(window, now)).await
    }

    async fn lately(&self, window: ReportWindow) -> PortResult<Lately> {
        self.call("read the last day", self.inner.lately(window)).await
    }

    async fn unrouted(&self, since: Timestamp, limit: u32) -> PortResult<Vec<UnroutedRow>> {
        self.call("read unrouted labels", self.inner.unrouted(since, limit)).await
    }
}
