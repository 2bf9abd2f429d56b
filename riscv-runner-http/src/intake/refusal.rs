//! Why a webhook was not acknowledged, and the answer to its sender.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};

use crate::{
    answer::{self, Fault},
    metrics::RequestOutcome,
};

/// Certainly nothing was stored, except for [`Refusal::Unavailable`], where it may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The signature is missing or invalid; the sender learns no more than that.
    Unauthorized,
    /// A header or a part of the body is missing or wrong.
    Invalid { field: String, problem: String, hint: Option<&'static str> },
    /// The body is larger than allowed.
    TooLarge { limit: usize },
    /// The body did not arrive in time.
    Slow { seconds: u64 },
    /// It cannot be recorded now; GitHub, or our own sweep, delivers it again.
    Unavailable { what: &'static str },
    /// Staging did not accept it.
    Staging { problem: String },
    /// A bug of ours.
    Defect,
}

impl Refusal {
    pub(super) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), problem: problem.into(), hint: None }
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Staging { .. } => StatusCode::BAD_GATEWAY,
            Self::Defect => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) const fn outcome(&self) -> RequestOutcome {
        match self {
            Self::Unauthorized => RequestOutcome::Unauthorized,
            Self::Invalid { .. } => RequestOutcome::Invalid,
            Self::TooLarge { .. } => RequestOutcome::TooLarge,
            Self::Slow { .. } => RequestOutcome::Slow,
            Self::Unavailable { .. } => RequestOutcome::Unavailable,
            Self::Staging { .. } => RequestOutcome::StagingFailed,
            Self::Defect => RequestOutcome::Defect,
        }
    }

    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Unauthorized => Fault::new("the signature is invalid"),
            Self::Invalid { field, problem, hint } => {
                let fault = Fault::new(problem).field(field);
                match hint {
                    Some(hint) => fault.hint(*hint),
                    None => fault,
                }
            }
            Self::TooLarge { limit } => {
                Fault::new(format!("the body is larger than {limit} bytes")).field("body")
            }
            Self::Slow { seconds } => {
                Fault::new(format!("the body did not arrive within {seconds} s")).field("body")
            }
            Self::Unavailable { what } => {
                Fault::new(*what).hint("nothing was acknowledged; deliver it again")
            }
            Self::Staging { problem } => {
                Fault::new(problem).hint("check that the staging URL is set and that staging is up")
            }
            Self::Defect => Fault::new("the delivery could not be recorded").hint("the log has the error"),
        }
    }

    pub(super) fn answer(&self) -> Response {
        let mut response = answer::json(self.status(), &self.fault());
        if matches!(self, Self::Unavailable { .. }) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
