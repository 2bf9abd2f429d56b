//! Workers: the ephemeral runners that we create, one row and one pod each.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    failure::{FailureInfo, FailureReason},
    ids::{ImageRef, JobId, NodeName, PodUid, PoolName, RunnerId, WorkerName},
    job::JobPhase,
    labels::LabelSet,
    scope::{PoolKey, ScopeRef},
};

/// How far a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerStatus {
    /// Reserved; its pod may not exist or not run yet.
    Pending,
    /// Its pod runs.
    Running,
    /// Its pod ended well.
    Completed,
    /// It ended for a [`FailureReason`].
    Failed,
}

impl WorkerStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Running, Self::Completed, Self::Failed];

    /// The spelling of the tables' `status_enum`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads the spelling of the tables.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether it is a final status.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }

    /// The statuses from which `self` may be reached: the one table that every store follows.
    #[must_use]
    pub const fn sources(self) -> &'static [Self] {
        match self {
            Self::Pending => &[],
            Self::Running => &[Self::Pending],
            Self::Completed | Self::Failed => &[Self::Pending, Self::Running],
        }
    }
}

impl fmt::Display for WorkerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A job that named this worker as its runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownJob {
    /// The job.
    pub id: JobId,
    /// How far the job has come.
    pub phase: JobPhase,
}

/// A worker's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Name of the row, the pod, the secret and the runner.
    pub name: WorkerName,
    /// Where its runner is registered.
    pub scope: ScopeRef,
    /// The labels its runner carries.
    pub labels: LabelSet,
    /// The pool whose boards it may use.
    pub pool: PoolName,
    /// Its image.
    pub image: ImageRef,
    /// How far it has come.
    pub status: WorkerStatus,
    /// The node that its pod is bound to.
    pub node: Option<NodeName>,
    /// Its pod, once known.
    pub pod_uid: Option<PodUid>,
    /// Its registration, once minted.
    pub runner: Option<RunnerId>,
    /// When it was reserved.
    pub created_at: Timestamp,
    /// When its container started.
    pub running_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// When GitHub was first seen to list its runner as online.
    pub online_at: Option<Timestamp>,
    /// When its registration, once seen, was confirmed gone.
    pub gone_at: Option<Timestamp>,
    /// Why it failed.
    pub failure: Option<(FailureReason, FailureInfo)>,
    /// The job that named it.
    pub job: Option<KnownJob>,
}

impl Worker {
    /// The key in which it counts as supply.
    #[must_use]
    pub fn key(&self) -> PoolKey {
        PoolKey { scope: self.scope.scope(), labels: self.labels.clone() }
    }

    /// Whether it can serve no further job, though its pod may still hold a slot: its job has ended, or its
    /// registration was seen and is gone.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.gone_at.is_some() || self.job.is_some_and(|job| !job.phase.is_demand())
    }

    /// Whether it counts as supply.
    #[must_use]
    pub fn is_supply(&self) -> bool {
        !self.status.is_terminal() && !self.is_spent()
    }

    /// Whether a job that has not ended names it: it must not be harmed.
    #[must_use]
    pub fn runs_known_job(&self) -> bool {
        self.job.is_some_and(|job| job.phase == JobPhase::Running)
    }
}
