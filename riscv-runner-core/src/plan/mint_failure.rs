//! What a failed registration means for the worker that it was for.

use crate::{
    failure::FailureReason,
    ports::{MintError, PortErrorKind},
};

/// What happens to a worker whose registration failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MintFailure {
    /// Why the worker failed.
    pub reason: FailureReason,
    /// Whether its key backs off. Where the obstacle is the installation's, the installation is held
    /// back instead, and all its keys with it.
    pub backs_off: bool,
}

/// The consequence of a failed registration; `None` when nothing may be written.
#[must_use]
pub fn consequence(error: &MintError) -> Option<MintFailure> {
    let (reason, backs_off) = match error {
        MintError::NotLeader => return None,
        MintError::NameTaken => (FailureReason::JitRejected, false),
        MintError::InstallationGone => (FailureReason::InstallationNotFound, false),
        // What passes by itself holds no installation back.
        MintError::AuthFailed(cause) => (FailureReason::AuthFailed, cause.kind() == PortErrorKind::Transient),
        MintError::RateLimited { .. } => (FailureReason::RateLimited, false),
        MintError::SelfHostedDisabled => (FailureReason::SelfHostedDisabled, true),
        MintError::Rejected { .. } | MintError::Unclear(_) => (FailureReason::JitRejected, true),
    };
    Some(MintFailure { reason, backs_off })
}
