//! Operators' writes, going wrong.

use async_trait::async_trait;
use riscv_runner_core::{
    controls::{Note, Order, Ordered},
    entity::Entity,
    ports::{AuditEntry, ControlStore, PortResult, Store},
};

use super::Faulty;

#[async_trait]
impl<T: Store + ?Sized> ControlStore for Faulty<T> {
    async fn order(&self, order: &Order, note: &Note) -> PortResult<Ordered> {
        self.call("give an order", self.inner.order(order, note)).await
    }

    async fn control_audit(&self, limit: u32) -> PortResult<Vec<AuditEntry>> {
        self.call("read the audit", self.inner.control_audit(limit)).await
    }

    async fn known_accounts(&self) -> PortResult<Vec<Entity>> {
        self.call("read accounts", self.inner.known_accounts()).await
    }
}
