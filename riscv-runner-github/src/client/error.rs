//! What can go wrong with one request, and what it means to the engine.

use std::sync::Arc;

use jiff::Timestamp;
use riscv_runner_core::ports::{PortError, PortErrorKind};

/// How a request failed. Cheap to clone: callers that wait for one token share it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ApiError {
    /// Nothing reached GitHub.
    #[error("GitHub cannot be reached; check github.api_url, DNS and the network")]
    NotSent(#[source] Arc<reqwest::Error>),
    /// The request may have taken effect, but no answer came.
    #[error("GitHub's answer was lost")]
    Lost(#[source] Arc<reqwest::Error>),
    /// A limit forbids it; nothing took effect.
    #[error("GitHub's rate limit forbids requests until {until}")]
    Limited { until: Timestamp },
    /// Reconciliation has used its half of the hour's budget; nothing was sent.
    #[error("reconciliation has used its share of GitHub's hourly budget, which is renewed at {until}")]
    BudgetSpent { until: Timestamp },
    /// GitHub refuses.
    #[error("GitHub answers {status}{}", said(.message))]
    Status { status: u16, message: String },
    /// GitHub's answer has another form than documented.
    #[error("GitHub's answer is not understood at {path}: {problem}")]
    Answer { path: String, problem: String },
    /// A listing points outside the API.
    #[error("GitHub's listing continues outside of github.api_url, at {0}; it is not followed")]
    Elsewhere(String),
    /// The installation is gone: its token is answered with 404.
    #[error("the installation is gone (404 for its token); not retried until {retry_at}")]
    InstallationGone { retry_at: Timestamp },
    /// The App cannot authenticate.
    #[error("the App cannot authenticate{}", when(.retry_at.as_ref()))]
    Auth {
        retry_at: Option<Timestamp>,
        #[source]
        source: Arc<ApiError>,
    },
    /// The configuration has no App of the kind that is needed.
    #[error("{0}")]
    NoApp(String),
    /// The signature of the App's own token failed.
    #[error("{0}")]
    Signing(String),
}

fn said(message: &str) -> String {
    if message.is_empty() { " without a message".into() } else { format!(": {message}") }
}

fn when(retry_at: Option<&Timestamp>) -> String {
    retry_at.map_or_else(String::new, |at| format!("; not retried until {at}"))
}

impl ApiError {
    /// The HTTP status, where GitHub answered.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::InstallationGone { .. } => Some(404),
            Self::Auth { source, .. } => source.status(),
            Self::NotSent(_)
            | Self::Lost(_)
            | Self::Limited { .. }
            | Self::BudgetSpent { .. }
            | Self::Answer { .. }
            | Self::Elsewhere(_)
            | Self::NoApp(_)
            | Self::Signing(_) => None,
        }
    }

    /// Whether GitHub answered with this status to the request itself.
    pub(crate) fn is_status(&self, expected: u16) -> bool {
        matches!(self, Self::Status { status, .. } if *status == expected)
    }

    /// Whether another try may succeed although nothing was fixed: the network, or a 5xx.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::Lost(_) => true,
            Self::Status { status, .. } => *status >= 500 || *status == 408,
            Self::Limited { .. }
            | Self::BudgetSpent { .. }
            | Self::Answer { .. }
            | Self::Elsewhere(_)
            | Self::InstallationGone { .. }
            | Self::Auth { .. }
            | Self::NoApp(_)
            | Self::Signing(_) => false,
        }
    }

    fn kind(&self) -> PortErrorKind {
        match self {
            Self::NotSent(_) | Self::Lost(_) => PortErrorKind::Transient,
            Self::Limited { until } | Self::BudgetSpent { until } => {
                PortErrorKind::RateLimited { until: *until }
            }
            Self::Status { status, .. } => match status {
                408 | 500.. => PortErrorKind::Transient,
                404 | 410 => PortErrorKind::NotFound,
                409 => PortErrorKind::Conflict,
                400 | 422 => PortErrorKind::Bug,
                _ => PortErrorKind::Denied,
            },
            Self::Answer { .. } | Self::Elsewhere(_) => PortErrorKind::Bug,
            Self::InstallationGone { .. } | Self::NoApp(_) | Self::Signing(_) => PortErrorKind::Denied,
            Self::Auth { source, .. } => {
                if source.is_passing() {
                    PortErrorKind::Transient
                } else {
                    source.kind()
                }
            }
        }
    }

    /// The error as the engine sees it.
    pub(crate) fn into_port(self, operation: &'static str) -> PortError {
        let kind = self.kind();
        let error = PortError::new(kind, operation, self.to_string());
        match self {
            Self::NotSent(source) | Self::Lost(source) => error.with_source(source),
            Self::Auth { source, .. } => error.with_source(source),
            Self::Limited { .. }
            | Self::BudgetSpent { .. }
            | Self::Status { .. }
            | Self::Answer { .. }
            | Self::Elsewhere(_)
            | Self::InstallationGone { .. }
            | Self::NoApp(_)
            | Self::Signing(_) => error,
        }
    }
}
