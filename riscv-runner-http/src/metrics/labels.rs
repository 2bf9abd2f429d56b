//! The label sets of the metrics, and the closed lists that their values come from.

use prometheus_client::encoding::EncodeLabelSet;
use riscv_runner_core::{delivery::Outcome, ids::PoolName, policy::Policy};

/// The pool of rows whose pool is no longer configured.
const OTHER: &str = "other";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WebhookLabels {
    pub(super) event: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LoopLabels {
    pub(super) r#loop: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CycleLabels {
    pub(super) r#loop: &'static str,
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StepLabels {
    pub(super) step: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct NoticeLabels {
    pub(super) notifier: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KindLabels {
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PlaceLabels {
    pub(super) place: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EndpointLabels {
    pub(super) endpoint: &'static str,
    pub(super) status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PoolLabels {
    pub(super) pool: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct JobLabels {
    pub(super) status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SlotLabels {
    pub(super) pool: String,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ControlLabels {
    pub(super) action: &'static str,
    pub(super) target_kind: &'static str,
}

/// What operators can hold in force, and on what.
pub(super) const CONTROLS: [ControlLabels; 8] = [
    ControlLabels { action: "pause", target_kind: "everything" },
    ControlLabels { action: "pause", target_kind: "entity" },
    ControlLabels { action: "pause", target_kind: "repository" },
    ControlLabels { action: "drain", target_kind: "pool" },
    ControlLabels { action: "drain", target_kind: "board" },
    ControlLabels { action: "limit", target_kind: "entity" },
    ControlLabels { action: "ban", target_kind: "entity" },
    ControlLabels { action: "revoke", target_kind: "worker" },
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WorkerLabels {
    pub(super) status: &'static str,
    pub(super) pool: String,
}

/// The pool's name while it is configured; `other` for pools of earlier configurations.
pub(super) fn pool_label<'a>(pool: &'a PoolName, policy: &Policy) -> &'a str {
    if policy.pools.contains_key(pool) { pool.as_str() } else { OTHER }
}

/// The webhook events that metrics distinguish: senders of the header cannot add more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookEvent {
    /// A job's progress.
    WorkflowJob,
    /// An installation came, went, or was suspended.
    Installation,
    /// Its repositories changed.
    InstallationRepositories,
    /// Its account was renamed.
    InstallationTarget,
    /// GitHub tests the hook.
    Ping,
    /// Anything else, or a request that did not say.
    Other,
}

impl WebhookEvent {
    /// Reads the header `X-GitHub-Event`.
    #[must_use]
    pub fn of(header: Option<&str>) -> Self {
        match header {
            Some("workflow_job") => Self::WorkflowJob,
            Some("installation") => Self::Installation,
            Some("installation_repositories") => Self::InstallationRepositories,
            Some("installation_target") => Self::InstallationTarget,
            Some("ping") => Self::Ping,
            Some(_) | None => Self::Other,
        }
    }

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkflowJob => "workflow_job",
            Self::Installation => "installation",
            Self::InstallationRepositories => "installation_repositories",
            Self::InstallationTarget => "installation_target",
            Self::Ping => "ping",
            Self::Other => OTHER,
        }
    }
}

/// How a webhook request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It was recorded (200).
    Recorded(Outcome),
    /// Its signature was missing or invalid (401).
    Unauthorized,
    /// A header or the body could not be understood (400).
    Invalid,
    /// The body was larger than allowed (413).
    TooLarge,
    /// The body did not arrive in time (408).
    Slow,
    /// It could not be recorded now (503).
    Unavailable,
    /// Staging did not accept it (502).
    StagingFailed,
    /// A bug of ours (500).
    Defect,
}

impl RequestOutcome {
    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded(outcome) => outcome.as_str(),
            Self::Unauthorized => "unauthorized",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Slow => "slow",
            Self::Unavailable => "unavailable",
            Self::StagingFailed => "staging_failed",
            Self::Defect => "defect",
        }
    }
}
