//! What the engine needs to advertise the slots of boards without a device plugin.

use async_trait::async_trait;

use super::{LeaderProof, PortResult};
use crate::ids::NodeName;

/// Sets how many slots a machine has, where no device plugin does.
#[async_trait]
pub trait BoardSlots: Send + Sync {
    /// Writes the number of slots into the node's status. May be repeated.
    ///
    /// # Errors
    /// When the cluster does not take it; `NotFound` where the node is gone.
    async fn advertise(&self, proof: &LeaderProof, node: &NodeName, slots: u32) -> PortResult<()>;
}
