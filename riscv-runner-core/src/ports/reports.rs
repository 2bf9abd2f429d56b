//! What pages and the command line read from a store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Lately, PortResult, UnroutedRow, WeekRow};
use crate::{
    entity::EntityKind,
    ids::{EntityId, JobId, Login, PoolName, WorkerName},
    job::{Job, JobPhase},
    labels::LabelSet,
    worker::{Worker, WorkerStatus},
};

/// Which rows a page shows, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportWindow {
    /// Only rows created at or after this time.
    pub start: Timestamp,
    /// Only rows created before this time.
    pub end: Timestamp,
}

impl ReportWindow {
    /// Whether a moment is within it.
    #[must_use]
    pub fn contains(self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Its number, from 0.
    pub page: u32,
    /// Rows on a page, 1..=1000.
    pub per_page: u32,
}

impl Page {
    /// The rows of this page, of all in their order.
    #[must_use]
    pub fn cut<T>(self, rows: Vec<T>) -> Vec<T> {
        let skip = (self.page as usize).saturating_mul(self.per_page as usize);
        rows.into_iter().skip(skip).take(self.per_page as usize).collect()
    }
}

/// How many rows of a list are counted after the page that is read: a list may be as long as the history.
pub const COUNTED_BEHIND: u64 = 10_000;

impl Page {
    /// How many rows come before it.
    #[must_use]
    pub fn skipped(self) -> u64 {
        u64::from(self.page) * u64::from(self.per_page)
    }

    /// The number of rows at which counting stops.
    #[must_use]
    pub fn counted_to(self) -> u64 {
        self.skipped() + u64::from(self.per_page) + COUNTED_BEHIND
    }
}

/// How many rows a list has on all its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Total {
    /// Exactly this many.
    Exactly(u64),
    /// This many were counted, and there may be more.
    AtLeast(u64),
}

impl Total {
    /// The total for a page, of which `rows` were counted.
    #[must_use]
    pub fn of(rows: u64, page: Page) -> Self {
        let most = page.counted_to();
        if rows < most { Self::Exactly(rows) } else { Self::AtLeast(most) }
    }

    /// How many were counted.
    #[must_use]
    pub const fn counted(self) -> u64 {
        match self {
            Self::Exactly(rows) | Self::AtLeast(rows) => rows,
        }
    }
}

impl From<u64> for Total {
    fn from(rows: u64) -> Self {
        Self::Exactly(rows)
    }
}

/// Which rows of a window are shown: all, or those that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter<S> {
    /// Only rows with this status.
    pub status: Option<S>,
    /// Only rows of this pool.
    pub pool: Option<PoolName>,
    /// Only rows of this account, by its login.
    pub entity: Option<Login>,
}

impl<S> Default for RowFilter<S> {
    fn default() -> Self {
        Self { status: None, pool: None, entity: None }
    }
}

impl<S: PartialEq + Copy> RowFilter<S> {
    /// Whether a row is shown. Logins are compared as GitHub does, without regard to case.
    pub fn shows(&self, status: S, pool: &PoolName, entity: &Login) -> bool {
        self.status.as_ref().is_none_or(|asked| *asked == status)
            && self.pool.as_ref().is_none_or(|asked| asked == pool)
            && self.entity.as_ref().is_none_or(|asked| asked.as_str().eq_ignore_ascii_case(entity.as_str()))
    }
}

impl RowFilter<JobPhase> {
    /// Whether a job is shown.
    #[must_use]
    pub fn shows_job(&self, job: &Job) -> bool {
        self.shows(job.state.phase, &job.placement.pool, &job.facts.entity.login)
    }
}

impl RowFilter<WorkerStatus> {
    /// Whether a worker is shown.
    #[must_use]
    pub fn shows_worker(&self, worker: &Worker) -> bool {
        self.shows(worker.status, &worker.pool, &worker.scope.login)
    }
}

/// A page of jobs and how many there are in all, as [`Total::of`] counts them.
pub type PagedJobs = (Vec<JobRow>, Total);
/// A page of workers and how many there are in all, as [`Total::of`] counts them.
pub type PagedWorkers = (Vec<WorkerRow>, Total);

/// A job on a page.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// The job.
    pub job: Job,
    /// When its row was written.
    pub stored_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

/// A worker on a page.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerRow {
    /// The worker.
    pub worker: Worker,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

impl WorkerRow {
    /// The row as a list has it.
    #[must_use]
    pub fn for_list(mut self) -> Self {
        self.worker.failure = self.worker.failure.map(|(reason, info)| (reason, info.for_list()));
        self
    }
}

/// How much one account used of one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The account.
    pub entity_id: EntityId,
    /// Its login.
    pub entity_name: Login,
    /// Its kind.
    pub entity_type: EntityKind,
    /// The pool.
    pub k8s_pool: PoolName,
    /// The labels.
    pub job_labels: LabelSet,
    /// Jobs by phase, as they stand now.
    pub jobs: BTreeMap<JobPhase, u64>,
    /// Live workers by status.
    pub workers: BTreeMap<WorkerStatus, u64>,
}

/// How many waiting jobs were queued before a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Of its key: those that the same runners may serve.
    pub in_key: u64,
    /// Of its pool: those for the same boards.
    pub in_pool: u64,
}

impl Ahead {
    /// Counted over all jobs.
    pub fn count<'a>(of: &Job, jobs: impl IntoIterator<Item = &'a Job>) -> Self {
        let (key, place) = (of.facts.key(), (of.facts.created_at, of.facts.id));
        let before =
            |job: &&Job| job.state.phase == JobPhase::Pending && (job.facts.created_at, job.facts.id) < place;
        jobs.into_iter().filter(before).fold(Self::default(), |ahead, job| Self {
            in_key: ahead.in_key + u64::from(job.facts.key() == key),
            in_pool: ahead.in_pool + u64::from(job.placement.pool == of.placement.pool),
        })
    }
}

/// Reads for pages and the command line.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Jobs created in the window that the filter shows, newest first, and how many there are in all.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn jobs(
        &self,
        window: ReportWindow,
        filter: &RowFilter<JobPhase>,
        page: Page,
    ) -> PortResult<PagedJobs>;

    /// Workers created in the window that the filter shows, newest first, and how many they are in all. Of each
    /// failure there is what [`FailureInfo::for_list`] leaves: a page of a thousand rows may not be megabytes of logs.
    ///
    /// [`FailureInfo::for_list`]: crate::failure::FailureInfo::for_list
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn workers(
        &self,
        window: ReportWindow,
        filter: &RowFilter<WorkerStatus>,
        page: Page,
    ) -> PortResult<PagedWorkers>;

    /// Active demand and supply by account, pool and labels.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn usage(&self) -> PortResult<Vec<UsageRow>>;

    /// One job.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn job(&self, job: JobId) -> PortResult<Option<JobRow>>;

    /// How many waiting jobs were queued before this one, however many they are: they are counted, not read.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn ahead(&self, job: &Job) -> PortResult<Ahead>;

    /// One worker.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn worker(&self, worker: &WorkerName) -> PortResult<Option<WorkerRow>>;

    /// How long workers lived in each week that begins in the window or before its start, as far as the week
    /// is within the window; live workers count until `now`. By week, then by account.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn weekly_usage(&self, window: ReportWindow, now: Timestamp) -> PortResult<Vec<WeekRow>>;

    /// What happened in the window: waits of jobs created in it, jobs and workers that ended in it.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn lately(&self, window: ReportWindow) -> PortResult<Lately>;

    /// Queued jobs that matched no rule, among the newest `limit` log rows of such jobs since `since`,
    /// without those that another runner took; the latest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn unrouted(&self, since: Timestamp, limit: u32) -> PortResult<Vec<UnroutedRow>>;
}
