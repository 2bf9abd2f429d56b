//! Reading the event log: for the trace, for lists of deliveries, and for replaying them.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Page, PortResult};
use crate::{
    delivery::LogSource,
    entity::{Entity, EntityKind},
    ids::{AppId, DeliveryGuid, EntityId, EventId, InstallationId, JobId, Login, RepoName},
};

/// A row of the log without its payload, under the names of the table's columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// The row's number.
    pub id: EventId,
    /// Who wrote it.
    pub source: LogSource,
    /// `workflow_job.queued`, `auth_attempt.404`, …
    pub event: String,
    /// Its outcome: an open set, because the log also holds rows of other versions.
    pub outcome: String,
    /// The installation that it speaks of.
    pub installation_id: Option<InstallationId>,
    /// The App that it was sent for, or that tried to authenticate.
    pub app_id: Option<AppId>,
    /// The kind of the account.
    pub entity_type: Option<EntityKind>,
    /// The account.
    pub entity_id: Option<EntityId>,
    /// The account's login at that time.
    pub entity_name: Option<Login>,
    /// The job, of `workflow_job.*`.
    pub job_id: Option<JobId>,
    /// The job's repository at that time, of `workflow_job.*`.
    pub repo_full_name: Option<RepoName>,
    /// GitHub's GUID of the delivery; rows of the scheduler have none.
    pub delivery_guid: Option<DeliveryGuid>,
    /// When the delivery arrived, or the authentication was tried.
    pub received_at: Timestamp,
}

/// A row of the log with its payload.
#[derive(Debug, Clone)]
pub struct LoggedDelivery {
    /// The row.
    pub event: LoggedEvent,
    /// The stored payload, as JSON; `null` where there is none.
    pub payload: Box<RawValue>,
}

/// Whose rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventsOf {
    /// All rows.
    Everybody,
    /// The rows of an account.
    Entity(EntityId),
    /// The rows of an installation.
    Installation(InstallationId),
    /// The deliveries about a job.
    Job(JobId),
}

/// Which rows of the log are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// Whose rows.
    pub of: EventsOf,
    /// Only rows received at or after this time.
    pub start: Timestamp,
    /// Only rows received before this time.
    pub end: Timestamp,
    /// Only this event with all its actions (`workflow_job`), or this one action of it
    /// (`workflow_job.queued`).
    pub event: Option<String>,
    /// Only rows with this outcome.
    pub outcome: Option<String>,
}

impl EventQuery {
    /// Every row of `of`.
    #[must_use]
    pub const fn all(of: EventsOf) -> Self {
        Self { of, start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX, event: None, outcome: None }
    }

    /// Whether `event` is the one asked for, or an action of it.
    #[must_use]
    pub fn wants_event(&self, event: &str) -> bool {
        self.event.as_deref().is_none_or(|wanted| {
            event.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// Reads the event log. Nothing here changes anything.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// A page of rows, the newest first (by `received_at`, then by number).
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn events(&self, query: &EventQuery, page: Page) -> PortResult<Vec<LoggedEvent>>;

    /// How many rows there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn count_events(&self, query: &EventQuery) -> PortResult<u64>;

    /// One row with its payload.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn event(&self, id: EventId) -> PortResult<Option<LoggedDelivery>>;

    /// Everything recorded about the installations of an account or about one installation, and every failed
    /// authentication, up to and including `until`, the oldest first: the events `installation`,
    /// `installation_repositories`, `installation_target`, and the scheduler's. Rows of either are returned.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn installation_history(
        &self,
        entity: Option<EntityId>,
        installation: Option<InstallationId>,
        until: Timestamp,
    ) -> PortResult<Vec<LoggedDelivery>>;

    /// The account of an installation, from its newest row that names one.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn entity_of_installation(&self, installation: InstallationId) -> PortResult<Option<Entity>>;

    /// Accounts that have, or once had, this login, in any spelling of its letters: those that have it
    /// now first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn entities_named(&self, login: &Login) -> PortResult<Vec<EntityId>>;

    /// Deliveries with their payloads, in the order of their numbers: after `after` (from the first
    /// without it), received at or after `since`, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn deliveries_after(
        &self,
        after: Option<EventId>,
        since: Timestamp,
        limit: u32,
    ) -> PortResult<Vec<LoggedDelivery>>;
}
