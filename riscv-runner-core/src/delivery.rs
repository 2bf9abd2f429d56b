//! Deliveries: what a webhook says, what we decide about it, and the row that the log keeps.

mod kept;

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    backoff::age,
    entity::{Entity, EntityKind},
    ids::{AppId, DeliveryGuid, InstallationId, Login, RepoName},
    installation::InstallationNews,
    job::{JobEvent, JobFacts, JobPhase, Placement},
};

/// A delivery with a valid signature and an understood body.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// GitHub's GUID, the same on a redelivery.
    pub guid: DeliveryGuid,
    /// `{X-GitHub-Event}` or `{X-GitHub-Event}.{action}`.
    pub event: String,
    /// The App that it was sent for, by the header `X-GitHub-Hook-Installation-Target-ID`.
    pub app: AppId,
    /// The kind of that App; `None` when it is not one of ours.
    pub app_kind: Option<EntityKind>,
    /// The installation that it concerns.
    pub installation: Option<InstallationId>,
    /// The account that it concerns.
    pub entity: Option<Entity>,
    /// Who caused it.
    pub sender: Option<Login>,
    /// The repository that it concerns.
    pub repo: Option<RepoName>,
    /// Its content.
    pub content: DeliveryContent,
    /// The payload for the log, trimmed, as JSON.
    pub payload: Box<RawValue>,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// The content of a delivery.
#[derive(Debug, Clone)]
pub enum DeliveryContent {
    /// GitHub tests the hook.
    Ping,
    /// A job's progress.
    Job {
        /// The job.
        facts: Box<JobFacts>,
        /// What happened to it; `None` for actions that do not move it (`waiting`).
        event: Option<JobEvent>,
    },
    /// The installation came, went or changed.
    Installation(InstallationChange),
    /// Anything else, or a payload without the objects that its kind should have.
    Other,
}

/// What happened to an installation, as far as waiting jobs are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstallationChange {
    /// Installed, or unsuspended: its queued runs should be polled.
    Returned,
    /// Uninstalled: its waiting jobs cannot be served.
    Gone,
    /// Suspended: nothing can be requested now.
    Suspended,
    /// Repositories or names changed.
    Changed,
}

/// The result of a delivery: open-set text in the log and in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Recorded; nothing else was to be done.
    Ok,
    /// The answer to `ping`.
    Pong,
    /// A new job waits.
    JobStored,
    /// The job was known already, and this changed nothing.
    JobAlreadyExists,
    /// The job runs.
    JobMarkedRunning,
    /// The job ended.
    JobMarkedCompleted,
    /// The job is not one of ours.
    JobNotFound,
    /// An action that does not concern us.
    IgnoredAction,
    /// No route matches the job's labels.
    IgnoredNoLabel,
    /// An event that does not concern us, or not from our Apps.
    IgnoredEvent,
    /// The account or the sender is banned.
    BannedEntity,
    /// Forwarded to staging.
    ProxiedToStaging,
    /// This GUID is in the log already.
    DuplicateDelivery,
    /// GitHub answered the App's authentication with 404.
    Auth404,
    /// The App's authentication failed in another way.
    AuthOtherError,
}

impl Outcome {
    /// Every outcome, for metrics.
    pub const ALL: [Self; 15] = [
        Self::Ok,
        Self::Pong,
        Self::JobStored,
        Self::JobAlreadyExists,
        Self::JobMarkedRunning,
        Self::JobMarkedCompleted,
        Self::JobNotFound,
        Self::IgnoredAction,
        Self::IgnoredNoLabel,
        Self::IgnoredEvent,
        Self::BannedEntity,
        Self::ProxiedToStaging,
        Self::DuplicateDelivery,
        Self::Auth404,
        Self::AuthOtherError,
    ];

    /// The text in the log and in the answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pong => "pong",
            Self::JobStored => "job_stored",
            Self::JobAlreadyExists => "job_already_exists",
            Self::JobMarkedRunning => "job_marked_running",
            Self::JobMarkedCompleted => "job_marked_completed",
            Self::JobNotFound => "job_not_found",
            Self::IgnoredAction => "ignored_action",
            Self::IgnoredNoLabel => "ignored_no_label",
            Self::IgnoredEvent => "ignored_event",
            Self::BannedEntity => "banned_entity",
            Self::ProxiedToStaging => "proxied_to_staging",
            Self::DuplicateDelivery => "duplicate_delivery",
            Self::Auth404 => "auth_404",
            Self::AuthOtherError => "auth_other_error",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A row of the installation event log, before it has an id.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// `webhook` or `scheduler`.
    pub source: LogSource,
    /// The delivery's GUID; `None` for entries of the scheduler.
    pub guid: Option<DeliveryGuid>,
    /// `workflow_job.queued`, `auth_attempt.404`, …
    pub event: String,
    /// The installation that it concerns.
    pub installation: Option<InstallationId>,
    /// The App that it was sent for.
    pub app: Option<AppId>,
    /// The account that it concerns.
    pub entity: Option<Entity>,
    /// The payload, trimmed, as JSON; [`DeliveryRecord::kept_payload`] is what is written.
    pub payload: Box<RawValue>,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// Who wrote a row of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// A delivery.
    Webhook,
    /// Our own attempt to authenticate.
    Scheduler,
}

impl LogSource {
    /// The text in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Scheduler => "scheduler",
        }
    }

    /// Reads the text in the log.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Webhook, Self::Scheduler].into_iter().find(|source| source.as_str() == text)
    }
}

/// What intake asks the store to write, in one transaction.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// The row of the log.
    pub log: LogEntry,
    /// What to do with the job; the outcome depends on it.
    pub effect: Effect,
    /// What it says about the account's installation.
    pub installation: Option<InstallationNews>,
}

/// A delivery's effect on the jobs table.
#[derive(Debug, Clone)]
pub enum Effect {
    /// None; the outcome is decided already.
    Nothing(Outcome),
    /// Join this event into the job's row.
    Join {
        /// The job.
        facts: Box<JobFacts>,
        /// What happened to it.
        event: JobEvent,
        /// What to do when the job has no row.
        if_absent: IfAbsent,
    },
}

/// What to do with an event of a job that has no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfAbsent {
    /// Insert it: the job is to run there.
    Insert(Placement),
    /// Nothing: the job was never accepted, and this is the outcome.
    Ignore(Outcome),
}

/// What a join did to a job's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobWrite {
    /// The row is new, in this phase.
    Inserted(JobPhase),
    /// The row changed.
    Moved {
        /// The phase before.
        from: JobPhase,
        /// The phase now; the same when only details were added.
        to: JobPhase,
    },
    /// The row knew it already, or something later.
    Unchanged,
    /// There is no row, and the event was not to make one.
    NoRow,
}

impl JobWrite {
    /// Whether demand or supply may have changed, so that the scheduler should run.
    #[must_use]
    pub const fn wakes_scheduler(self) -> bool {
        match self {
            Self::Inserted(phase) => phase.is_demand(),
            Self::Moved { from, to } => from as u8 != to as u8,
            Self::Unchanged | Self::NoRow => false,
        }
    }

    /// How long the job had been queued, counted from its creation on GitHub, if this write is the one that
    /// recorded, from `event`, that a runner took it.
    #[must_use]
    pub fn wait_ended(self, facts: &JobFacts, event: &JobEvent) -> Option<Duration> {
        use JobPhase::{Completed, Pending, Running};
        let (Self::Inserted(Running | Completed) | Self::Moved { from: Pending, to: Running | Completed }) =
            self
        else {
            return None;
        };
        event.start().map(|start| age(start.at, facts.created_at))
    }
}

impl Effect {
    /// The outcome, once the store has said what the join did (`None` without a join).
    #[must_use]
    pub const fn outcome(&self, write: Option<JobWrite>) -> Outcome {
        match (self, write) {
            (Self::Nothing(outcome), _) => *outcome,
            (Self::Join { .. }, Some(JobWrite::Inserted(phase))) => match phase {
                JobPhase::Pending => Outcome::JobStored,
                JobPhase::Running => Outcome::JobMarkedRunning,
                JobPhase::Completed => Outcome::JobMarkedCompleted,
                JobPhase::Failed => Outcome::JobAlreadyExists,
            },
            (Self::Join { .. }, Some(JobWrite::Moved { from, to })) => match to {
                _ if from as u8 == to as u8 => Outcome::JobAlreadyExists,
                JobPhase::Running => Outcome::JobMarkedRunning,
                JobPhase::Completed => Outcome::JobMarkedCompleted,
                JobPhase::Pending | JobPhase::Failed => Outcome::JobAlreadyExists,
            },
            (Self::Join { .. }, Some(JobWrite::Unchanged)) => Outcome::JobAlreadyExists,
            (Self::Join { if_absent, .. }, Some(JobWrite::NoRow) | None) => match if_absent {
                IfAbsent::Ignore(outcome) => *outcome,
                IfAbsent::Insert(_) => Outcome::JobNotFound,
            },
        }
    }
}

/// What the store did with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The delivery's outcome.
    pub outcome: Outcome,
    /// What the join did.
    pub job: Option<JobWrite>,
}

impl Recorded {
    /// How long the job of `record` had been queued, if the record says that a runner took it.
    #[must_use]
    pub fn wait_ended(self, record: &DeliveryRecord) -> Option<Duration> {
        match &record.effect {
            Effect::Join { facts, event, .. } => self.job?.wait_ended(facts, event),
            Effect::Nothing(_) => None,
        }
    }
}
