//! Deliveries that a process records while another one leads: the leader is notified, which a leader
//! need not do for itself.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{DeliveryRecord, Recorded},
    engine::Leading,
    ids::DeliveryGuid,
    ports::{DeliveryStore, PortResult},
};
use riscv_runner_pg::PgStore;
use tokio::sync::watch;

/// The store of deliveries of a process that may lead or stand by.
pub(crate) struct StandbyStore {
    /// Commits without a notification: the scheduler is in this process.
    pub(crate) quiet: Arc<PgStore>,
    /// Commits with a notification.
    pub(crate) notifying: Arc<PgStore>,
    /// Whether this process leads.
    pub(crate) leading: watch::Receiver<Option<Leading>>,
}

#[async_trait]
impl DeliveryStore for StandbyStore {
    async fn record_deliveries(&self, batch: &[DeliveryRecord]) -> PortResult<Vec<PortResult<Recorded>>> {
        let leads = self.leading.borrow().is_some();
        let store = if leads { &self.quiet } else { &self.notifying };
        store.record_deliveries(batch).await
    }

    async fn known_deliveries(&self, guids: &[DeliveryGuid]) -> PortResult<Vec<DeliveryGuid>> {
        self.quiet.known_deliveries(guids).await
    }

    async fn last_delivery_at(&self) -> PortResult<Option<Timestamp>> {
        self.quiet.last_delivery_at().await
    }
}
