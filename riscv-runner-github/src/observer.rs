//! The receiver of requests and failed authentications: the caller's metrics and event log.
//!
//! Values that become labels are enums and numbers, never names.

use std::time::Duration;

use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{AppId, InstallationId},
};

use crate::client::Endpoint;

/// One request that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The operation.
    pub endpoint: Endpoint,
    /// GitHub's status; `None` when no answer came.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
}

impl Answer {
    /// The status as a label of few values: the statuses that GitHub documents, else their class.
    #[must_use]
    pub const fn status_label(&self) -> &'static str {
        let Some(status) = self.status else { return "none" };
        match status {
            200 => "200",
            201 => "201",
            202 => "202",
            204 => "204",
            304 => "304",
            401 => "401",
            403 => "403",
            404 => "404",
            409 => "409",
            422 => "422",
            429 => "429",
            500 => "500",
            502 => "502",
            503 => "503",
            504 => "504",
            _ => match status / 100 {
                1 => "1xx",
                2 => "2xx",
                3 => "3xx",
                4 => "4xx",
                _ => "5xx",
            },
        }
    }
}

/// An App could not get a token for an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthFailure {
    /// The installation.
    pub installation: InstallationId,
    /// The App that tried.
    pub app: AppId,
    /// The kind of account that it serves.
    pub kind: EntityKind,
    /// GitHub's status; `None` when no answer came.
    pub status: Option<u16>,
    /// What went wrong, for the log.
    pub message: String,
    /// The time of the attempt.
    pub at: Timestamp,
}

impl AuthFailure {
    /// The event's name in the installation log.
    #[must_use]
    pub const fn event(&self) -> &'static str {
        match self.status {
            Some(404) => "auth_attempt.404",
            Some(_) | None => "auth_attempt.other_error",
        }
    }
}

/// Receives what the adapter does. Must return at once.
pub trait GithubObserver: Send + Sync {
    /// A request was made.
    fn answered(&self, _answer: Answer) {}
    /// An App failed to authenticate.
    fn auth_failed(&self, _failure: &AuthFailure) {}
}

/// An observer that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl GithubObserver for Unobserved {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_labels_are_few() {
        let labels: std::collections::BTreeSet<_> = (0..=u16::MAX)
            .map(|status| {
                Answer { endpoint: Endpoint::App, status: Some(status), took: Duration::ZERO }.status_label()
            })
            .collect();
        assert_eq!(labels.len(), 20);
    }
}
