//! Notifying operators, and a monitor that expects heartbeats.

use async_trait::async_trait;

use super::PortResult;
use crate::notify::Notification;

/// Receives notifications: a chat, or a service of the operators' own.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Its name in logs and metrics; one of a small set.
    fn name(&self) -> &'static str;

    /// Delivers one notification. It may be delivered again after an error; its id shows that.
    ///
    /// # Errors
    /// [`super::PortErrorKind::Transient`] and [`super::PortErrorKind::RateLimited`] are worth another
    /// try; with any other kind it is given up.
    async fn notify(&self, notification: &Notification) -> PortResult<()>;
}

/// A monitor that raises an alarm when heartbeats stop.
#[async_trait]
pub trait Monitor: Send + Sync {
    /// Sends one heartbeat.
    ///
    /// # Errors
    /// When it was not taken; the next one is due at its own time.
    async fn beat(&self) -> PortResult<()>;
}
