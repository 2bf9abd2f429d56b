//! What operators write: orders, each with an audit row that is never changed.

use async_trait::async_trait;
use serde::Serialize;

use super::PortResult;
use crate::{
    controls::{Note, Order, Ordered},
    entity::Entity,
};

/// An order as the audit holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; later ones are greater.
    pub id: AuditId,
    /// The order.
    pub order: Order,
    /// Who gave it, when, and why.
    pub note: Note,
}

/// The number of an audit row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AuditId(pub u64);

/// Writes what operators hold back. Any replica and any command may write orders; only the leader acts on
/// them.
#[async_trait]
pub trait ControlStore: Send + Sync {
    /// Carries out an order and appends it to the audit, both or neither; then wakes the scheduler. An order
    /// that changes nothing leaves no trace. A worker to be revoked must be live.
    ///
    /// # Errors
    /// When nothing is known about the effect; repeating an order does no harm.
    async fn order(&self, order: &Order, note: &Note) -> PortResult<Ordered>;

    /// The last orders, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn control_audit(&self, limit: u32) -> PortResult<Vec<AuditEntry>>;

    /// Every account of which a delivery was recorded, by id, with its latest known login.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn known_accounts(&self) -> PortResult<Vec<Entity>>;
}
