//! Wake-ups: they only wake, and carry nothing.

use std::sync::Arc;

use tokio::sync::Notify;

/// A handle that wakes one loop. Wake-ups that arrive before the loop runs are merged.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Makes the loop run soon.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Completes at the next wake-up, or at once if one is waiting.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}
