//! The heartbeat that a monitor such as Uptime Kuma or Healthchecks waits for: a `GET` of the address that
//! it hands out.

use std::sync::Arc;

use async_trait::async_trait;
use riscv_runner_core::ports::{Monitor, Platform, PortResult};
use secrecy::SecretString;

use crate::client::{Peer, SetupError};

/// Calls the URL of a push monitor.
#[derive(Clone)]
pub struct PushMonitor(Peer);

impl PushMonitor {
    /// Calls this URL as it is, including its query.
    ///
    /// # Errors
    /// An address that cannot be called.
    pub fn new(url: &SecretString, platform: Arc<dyn Platform>) -> Result<Self, SetupError> {
        Ok(Self(Peer::new(url, platform)?))
    }
}

#[async_trait]
impl Monitor for PushMonitor {
    async fn beat(&self) -> PortResult<()> {
        self.0.send("call the monitor", self.0.get()).await
    }
}
