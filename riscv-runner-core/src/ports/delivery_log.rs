//! What intake writes, and what the sweep for lost deliveries reads.

use async_trait::async_trait;
use jiff::Timestamp;

use super::PortResult;
use crate::{
    delivery::{DeliveryRecord, Recorded},
    ids::DeliveryGuid,
};

/// Writes deliveries.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Records a batch: each job's change and its row of the log in one transaction, shared by the
    /// batch. The results are in the order of the batch; one that cannot be written fails alone.
    ///
    /// # Errors
    /// When nothing of the batch was committed for certain, or nothing is known about it.
    async fn record_deliveries(&self, batch: &[DeliveryRecord]) -> PortResult<Vec<PortResult<Recorded>>>;

    /// Which of these GUIDs are in the log.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn known_deliveries(&self, guids: &[DeliveryGuid]) -> PortResult<Vec<DeliveryGuid>>;

    /// When the newest webhook delivery was recorded.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn last_delivery_at(&self) -> PortResult<Option<Timestamp>>;
}
