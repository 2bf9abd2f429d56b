//! What can go wrong behind a port, classified by what the caller can do about it.

use std::{error::Error, fmt};

use jiff::Timestamp;

/// The result of a port call.
pub type PortResult<T> = Result<T, PortError>;

/// What the caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortErrorKind {
    /// Try again later; it is unknown whether the call had an effect.
    Transient,
    /// Something else changed it first; read it again.
    Conflict,
    /// Refused; trying again will not help until something is fixed.
    Denied,
    /// It is not there.
    NotFound,
    /// A limit forbids it until then.
    RateLimited {
        /// When to try again.
        until: Timestamp,
    },
    /// The caller is no longer the leader.
    NotLeader,
    /// A bug: the request was wrong, or the answer is not understood.
    Bug,
}

/// A failure behind a port: what was attempted, and why it failed.
#[derive(Debug)]
pub struct PortError {
    kind: PortErrorKind,
    operation: &'static str,
    detail: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl PortError {
    /// A failure of `operation` ("list pods"), with what the operator should know about it.
    #[must_use]
    pub fn new(kind: PortErrorKind, operation: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, operation, detail: detail.into(), source: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> PortErrorKind {
        self.kind
    }

    /// What was attempted.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// What the operator should know about it.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The message with all its causes, for the one place that logs it.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// The message of an error with all its causes. A cause that already ends the message above it is not
/// repeated.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.operation)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl Error for PortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn refused() -> io::Error {
        io::Error::other("connection refused")
    }

    #[test]
    fn every_cause_is_told_once() {
        let error = PortError::new(PortErrorKind::Transient, "list pods", "no answer").with_source(refused());
        assert_eq!(error.chain(), "list pods failed: no answer: connection refused");
        let told = PortError::new(PortErrorKind::Transient, "list pods", "no answer: connection refused");
        assert_eq!(told.with_source(refused()).chain(), "list pods failed: no answer: connection refused");
        let denied = || PortError::new(PortErrorKind::Denied, "look at a repository", "GitHub answers 401");
        let wrapped = denied().with_source(denied());
        assert_eq!(wrapped.chain(), "look at a repository failed: GitHub answers 401");
    }
}
