//! What the engine needs of a store.
//!
//! Every change of a status is a compare-and-set on the status that it was planned from, and every
//! write that takes a [`LeaderProof`] is refused ([`super::PortErrorKind::NotLeader`]) once a later
//! epoch exists.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ControlStore, DeliveryStore, LeaderProof, LeaseStore, PortResult, ReportStore, RetentionStore};
use crate::{
    backoff::Backoff,
    controls::Controls,
    delivery::JobWrite,
    entity::Entity,
    failure::{FailureInfo, FailureReason},
    ids::{
        EntityId, ImageRef, InstallationId, JobId, NodeName, PodUid, PoolName, RepoId, RepoName, RunnerId,
        WorkerName,
    },
    installation::Installations,
    job::{Job, JobEvent, JobFacts, JobPhase, Placement},
    labels::LabelSet,
    quarantine::Quarantine,
    scope::{PoolKey, ScopeRef},
    snapshot::{Demand, PendingJob},
    worker::{Worker, WorkerStatus},
};

/// Waiting jobs to be read: of one key, after the first `skip`, at most `limit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadRequest {
    /// The key.
    pub key: PoolKey,
    /// How many of the oldest to skip, because workers are on their way for them.
    pub skip: u32,
    /// The most jobs to read: those that could be served now.
    pub limit: u32,
}

/// How many waiting jobs of one pool are to be read at most. Either all shares name an account, or none does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolShare {
    /// The pool.
    pub pool: PoolName,
    /// The account; `None` for all accounts together.
    pub entity: Option<EntityId>,
    /// The most rows, the oldest first.
    pub rows: u32,
}

/// A worker's row, written before anything is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The worker's name.
    pub name: WorkerName,
    /// Where its runner will be registered.
    pub scope: ScopeRef,
    /// The labels that its runner will carry.
    pub labels: LabelSet,
    /// The pool whose boards it may use.
    pub pool: PoolName,
    /// Its image.
    pub image: ImageRef,
    /// The most live workers that its account may have, itself included.
    pub entity_cap: Option<u32>,
    /// The most live workers that its pool may have, itself included.
    pub pool_cap: Option<u32>,
    /// The most live, unspent workers that its key may have beyond the key's demand: `warm`.
    pub warm: u32,
    /// When it was decided.
    pub at: Timestamp,
}

/// The result of one reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// The row is there and counts against every cap.
    Yes,
    /// A row of this name existed already.
    NameTaken,
    /// The account has as many workers as it may have.
    EntityAtCap,
    /// The pool has as many workers as it may have.
    PoolAtCap,
    /// The key has as many unspent workers as demand and `warm` ask for.
    DemandMet,
}

/// Whether a compare-and-set found the state that it was planned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Cas {
    /// The write was done.
    Done,
    /// The row has changed since; nothing was written.
    Stale,
}

/// A change of one worker's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerChange {
    /// The runner was registered and the pod was created; the status stays.
    Provisioned {
        /// The registration; `None` when it is not known (adoption).
        runner: Option<RunnerId>,
        /// The pod.
        pod: PodUid,
    },
    /// The pod runs.
    Running {
        /// The node that it runs on, if known.
        node: Option<NodeName>,
        /// When its container started.
        at: Timestamp,
    },
    /// The pod was bound to this node; the status stays.
    Bound {
        /// The node that it was bound to.
        node: NodeName,
    },
    /// The worker completed.
    Completed {
        /// When it ended.
        at: Timestamp,
    },
    /// The worker failed.
    Failed {
        /// When it failed.
        at: Timestamp,
        /// Why it failed.
        reason: FailureReason,
        /// The details.
        info: Box<FailureInfo>,
        /// The back-off of its key from now on; `None` leaves it as it is.
        backoff: Option<Backoff>,
        /// The quarantine of its board from now on; `None` leaves it as it is.
        quarantine: Option<(NodeName, Quarantine)>,
    },
    /// GitHub lists its runner as online for the first time; the status stays.
    Online {
        /// When it was seen.
        at: Timestamp,
        /// The registration.
        runner: RunnerId,
    },
    /// Its registration was seen earlier and is confirmed gone; the status stays.
    RegistrationGone {
        /// When it was confirmed.
        at: Timestamp,
    },
}

impl WorkerChange {
    /// The status that it leads to; `None` when the status stays.
    #[must_use]
    pub const fn target(&self) -> Option<WorkerStatus> {
        match self {
            Self::Running { .. } => Some(WorkerStatus::Running),
            Self::Completed { .. } => Some(WorkerStatus::Completed),
            Self::Failed { .. } => Some(WorkerStatus::Failed),
            Self::Provisioned { .. }
            | Self::Bound { .. }
            | Self::Online { .. }
            | Self::RegistrationGone { .. } => None,
        }
    }
}

/// For how long news of an installation is among what a cycle reads. A row that names an earlier one is
/// younger: GitHub cancels a job that waited for a day, and delivers nothing again after three.
pub const INSTALLATION_NEWS: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the scheduler must know besides demand and supply.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// What operators hold back.
    pub controls: Controls,
    /// Pool keys whose workers keep failing.
    pub backoffs: BTreeMap<PoolKey, Backoff>,
    /// Boards whose workers keep failing.
    pub quarantines: BTreeMap<NodeName, Quarantine>,
    /// Images whose runner GitHub refuses, and since when.
    pub refused_images: BTreeMap<ImageRef, Timestamp>,
    /// Installations with news in the last [`INSTALLATION_NEWS`]: rows of jobs and workers may name an
    /// earlier one.
    pub installations: Installations,
    /// Up to when GitHub's log of deliveries has been compared with ours, and nothing was missing.
    pub deliveries_swept: Option<Timestamp>,
}

/// A job whose state may have changed without our knowledge.
#[derive(Debug, Clone, PartialEq)]
pub struct DoubtfulJob {
    /// The job as we hold it.
    pub job: Job,
    /// When its row last changed.
    pub updated_at: Timestamp,
    /// The status of the worker that ran it; `None` when no worker of ours is known to have run it.
    pub worker: Option<WorkerStatus>,
}

impl DoubtfulJob {
    /// Whether a worker of ours ran it and has ended.
    #[must_use]
    pub fn worker_ended(&self) -> bool {
        self.worker.is_some_and(WorkerStatus::is_terminal)
    }

    /// Whether a worker of ours may still run it.
    #[must_use]
    pub fn worker_lives(&self) -> bool {
        self.worker.is_some_and(|status| !status.is_terminal())
    }
}

/// The place of a row in the order in which doubtful jobs are read: its last change, then its id.
pub type DoubtfulPlace = (Timestamp, JobId);

/// Which doubtful jobs to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoubtfulQuery {
    /// Their phase; one that is no demand has none.
    pub phase: JobPhase,
    /// Only rows that have not changed since then.
    pub before: Timestamp,
    /// Only rows after this one; `None` begins with the oldest change.
    pub after: Option<DoubtfulPlace>,
    /// How many rows at most.
    pub limit: u32,
}

/// Some doubtful jobs, and where the next ones begin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DoubtfulJobs {
    /// The jobs, the oldest change first.
    pub jobs: Vec<DoubtfulJob>,
    /// The last row read, when as many were read as asked for: there may be more behind it.
    pub next: Option<DoubtfulPlace>,
}

/// A repository that had jobs recently, from its newest row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRepo {
    /// Its account.
    pub entity: Entity,
    /// The installation whose delivery reported it last.
    pub installation: InstallationId,
    /// The repository, stable.
    pub repo_id: RepoId,
    /// Its name.
    pub repo: RepoName,
    /// Whether it is private.
    pub private: bool,
}

/// Reads what a cycle needs, and writes what it decided.
#[async_trait]
pub trait SchedulingStore: Send + Sync {
    /// The demand of every key that has any, counted; `waiting` is left empty.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn demand(&self) -> PortResult<BTreeMap<PoolKey, Demand>>;

    /// The waiting jobs asked for, oldest first within each key; jobs of `except` are left out (and
    /// do not count as skipped). Of all that `heads` ask for, at most the rows of each of the `shares`
    /// are returned, the oldest (by `created_at`, then id) first: no more is read than can be served.
    /// What no share names is not limited.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn waiting(
        &self,
        heads: &[HeadRequest],
        except: &[RepoName],
        shares: &[PoolShare],
    ) -> PortResult<BTreeMap<PoolKey, Vec<PendingJob>>>;

    /// All live workers, with the job that names each.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn live_workers(&self) -> PortResult<BTreeMap<WorkerName, Worker>>;

    /// The rows of these workers, ended ones included; a name that is missing has no row.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn workers_named(&self, names: &[WorkerName]) -> PortResult<BTreeMap<WorkerName, Worker>>;

    /// The scopes of workers that were reserved or ended at or after `since`: where registrations of
    /// ours may be left.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn scopes_of_workers(&self, since: Timestamp) -> PortResult<Vec<ScopeRef>>;

    /// What the scheduler must know besides demand and supply.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn standing(&self) -> PortResult<Standing>;

    /// Writes the rows, each unless it would exceed a cap: caps are taken here and nowhere else.
    /// The results are in the order of the reservations.
    ///
    /// # Errors
    /// `NotLeader`, or when nothing is known about the effect.
    async fn reserve(&self, proof: &LeaderProof, reservations: &[Reservation]) -> PortResult<Vec<Reserved>>;

    /// Changes one worker's row, if it is still in `from`.
    ///
    /// # Errors
    /// `NotLeader`, or when nothing is known about the effect.
    async fn change_worker(
        &self,
        proof: &LeaderProof,
        name: &WorkerName,
        from: WorkerStatus,
        change: &WorkerChange,
    ) -> PortResult<Cas>;

    /// Writes the row of a pod that has none.
    ///
    /// # Errors
    /// `NotLeader`, or when nothing is known about the effect.
    async fn adopt_worker(&self, proof: &LeaderProof, worker: &Worker) -> PortResult<Cas>;

    /// Joins evidence from asking GitHub into a job's row.
    ///
    /// # Errors
    /// `NotLeader`, or when nothing is known about the effect.
    async fn join_job(&self, proof: &LeaderProof, job: JobId, event: &JobEvent) -> PortResult<JobWrite>;

    /// Joins what a listing of GitHub says of a job: inserts the row if there is none (`event` must be
    /// one that [`crate::job::JobState::from_event`] accepts, else nothing is written), else joins
    /// `event`. The row takes over the installation of `facts`, which may be newer after a reinstall.
    ///
    /// # Errors
    /// `NotLeader`, or when nothing is known about the effect.
    async fn join_listed_job(
        &self,
        proof: &LeaderProof,
        facts: &JobFacts,
        placement: &Placement,
        event: &JobEvent,
    ) -> PortResult<JobWrite>;

    /// Repositories with a job created at or after `since`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn known_repos(&self, since: Timestamp) -> PortResult<Vec<KnownRepo>>;

    /// Jobs with these ids, in any phase; one that is missing has no row.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn jobs_with_ids(&self, ids: &[JobId]) -> PortResult<Vec<Job>>;

    /// Jobs that are demand and whose rows have not changed for a while, the oldest change first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn doubtful_jobs(&self, query: &DoubtfulQuery) -> PortResult<DoubtfulJobs>;

    /// Up to when GitHub's log of deliveries has been compared with ours, by any leader.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn deliveries_swept(&self) -> PortResult<Option<Timestamp>>;

    /// Notes that nothing delivered before `until` is missing from the log.
    ///
    /// # Errors
    /// `NotLeader`, or when nothing is known about the effect.
    async fn note_deliveries_swept(&self, proof: &LeaderProof, until: Timestamp) -> PortResult<()>;

    /// Marks an image as refused by GitHub, or as accepted again.
    ///
    /// # Errors
    /// `NotLeader`, or when nothing is known about the effect.
    async fn refuse_image(
        &self,
        proof: &LeaderProof,
        image: &ImageRef,
        since: Option<Timestamp>,
    ) -> PortResult<()>;

    /// Clears the back-off of a key: one of its workers ran a job.
    ///
    /// # Errors
    /// `NotLeader`, or when nothing is known about the effect.
    async fn clear_backoff(&self, proof: &LeaderProof, key: &PoolKey) -> PortResult<()>;

    /// Replaces a board's quarantine; `None` clears it.
    ///
    /// # Errors
    /// `NotLeader`, or when nothing is known about the effect.
    async fn set_quarantine(
        &self,
        proof: &LeaderProof,
        node: &NodeName,
        quarantine: Option<&Quarantine>,
    ) -> PortResult<()>;
}

/// A whole store.
pub trait Store:
    DeliveryStore + SchedulingStore + LeaseStore + ReportStore + ControlStore + RetentionStore
{
}
impl<T: DeliveryStore + SchedulingStore + LeaseStore + ReportStore + ControlStore + RetentionStore> Store
    for T
{
}
