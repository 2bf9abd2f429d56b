//! What an error of the Kubernetes client means to the caller of a port.

use std::{error::Error, fmt, future::Future, time::Duration};

use kube::core::Status;
use riscv_runner_core::ports::{PortError, PortErrorKind};

/// An error of one call to the API.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The API server answered, and refused.
    #[error(transparent)]
    Refused(Box<Status>),
    /// There was no usable answer.
    #[error("{}", innermost(.0))]
    Unanswered(kube::Error),
    /// There was no answer in time.
    #[error("no answer from the Kubernetes API within {0:?}")]
    Slow(Duration),
}

impl From<kube::Error> for ApiError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other error is one without an answer")]
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status),
            other => Self::Unanswered(other),
        }
    }
}

/// Bounds a call to the API.
pub(crate) async fn within<T>(
    bound: Duration,
    call: impl Future<Output = Result<T, kube::Error>> + Send,
) -> Result<T, ApiError> {
    match tokio::time::timeout(bound, call).await {
        Ok(answer) => answer.map_err(ApiError::from),
        Err(_) => Err(ApiError::Slow(bound)),
    }
}

impl ApiError {
    /// The status that the API server answered with.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(status) => Some(status.code),
            Self::Unanswered(_) | Self::Slow(_) => None,
        }
    }

    /// Whether the object does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether an object of this name exists already.
    pub(crate) fn is_already_exists(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code == 409 && status.reason == "AlreadyExists")
    }

    /// Whether the object is another one than we meant. For a deletion a failed precondition is a
    /// conflict; for a patch another uid is an attempt to change an immutable field.
    pub(crate) fn is_other_object(&self) -> bool {
        match self {
            Self::Refused(status) => status.code == 409 || status.code == 422 && names_uid(status),
            Self::Unanswered(_) | Self::Slow(_) => false,
        }
    }

    /// Whether the request certainly had no effect and would have none again.
    pub(crate) fn is_certain(&self) -> bool {
        self.code().is_some_and(|code| (400..500).contains(&code) && !matches!(code, 408 | 410 | 429))
    }

    fn kind(&self) -> PortErrorKind {
        match self {
            Self::Refused(status) => match status.code {
                404 => PortErrorKind::NotFound,
                409 => PortErrorKind::Conflict,
                400 | 401 | 403 | 422 => PortErrorKind::Denied,
                408 | 410 | 429 | 500.. => PortErrorKind::Transient,
                _ => PortErrorKind::Bug,
            },
            Self::Unanswered(kube::Error::BuildRequest(_) | kube::Error::SerdeError(_)) => PortErrorKind::Bug,
            Self::Unanswered(_) | Self::Slow(_) => PortErrorKind::Transient,
        }
    }

    /// The port's error for a failed `operation` on `object`, with what to do about it.
    pub(crate) fn into_port(self, operation: &'static str, object: impl fmt::Display) -> PortError {
        let detail = match self.code() {
            Some(401) => {
                format!("{object}: the API server does not accept our credentials; renew the kubeconfig")
            }
            Some(403) => {
                format!("{object}: forbidden; grant the right or raise the quota (rrctl doctor names it)")
            }
            Some(400 | 422) => {
                format!("{object}: the API server finds it invalid; fix the pool's pod template")
            }
            None if self.kind() == PortErrorKind::Transient => {
                format!(
                    "{object}: the Kubernetes API does not answer; check that it is running, and which kubeconfig is used"
                )
            }
            Some(_) | None => object.to_string(),
        };
        PortError::new(self.kind(), operation, detail).with_source(self)
    }
}

/// The innermost cause: the layers above it only say that something went wrong below them.
fn innermost(error: &kube::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

fn names_uid(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.field == "metadata.uid")
}
