//! Notifying operators, and a monitor that waits for a sign of life.

use async_trait::async_trait;

use super::PortResult;
use crate::notify::Notification;

/// Somebody who is told: a chat, or a service of the operators' own.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// What it is called in logs and metrics; one of a few words.
    fn name(&self) -> &'static str;

    /// Delivers one notification. It may be delivered again after an error: its id tells.
    ///
    /// # Errors
    /// [`super::PortErrorKind::Transient`] and [`super::PortErrorKind::RateLimited`] are worth another
    /// try; with any other kind it is given up.
    async fn notify(&self, notification: &Notification) -> PortResult<()>;
}

/// A monitor that alarms when it hears nothing.
#[async_trait]
pub trait Monitor: Send + Sync {
    /// Gives one sign of life.
    ///
    /// # Errors
    /// When it was not taken; the next one is due at its own time.
    async fn beat(&self) -> PortResult<()>;
}
