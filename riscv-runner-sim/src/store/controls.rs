//! Orders of operators in memory, with their audit.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use async_trait::async_trait;
use riscv_runner_core::{
    controls::{Note, Order, Ordered},
    entity::Entity,
    ids::EntityId,
    ports::{AuditEntry, AuditId, ControlStore, PortResult},
};

use super::MemoryStore;

#[async_trait]
impl ControlStore for MemoryStore {
    async fn order(&self, order: &Order, note: &Note) -> PortResult<Ordered> {
        let ordered = self.write(|rows| {
            if let Order::Revoke { worker, .. } = order
                && !rows.live.contains(worker)
            {
                return Ordered::NothingToDo;
            }
            let ordered = rows.standing.controls.apply(order, note);
            if ordered == Ordered::Done {
                let id = AuditId(rows.audit.len() as u64 + 1);
                rows.audit.push(AuditEntry { id, order: order.clone(), note: note.clone() });
            }
            ordered
        });
        if ordered == Ordered::Done {
            self.changed.store(true, Ordering::Relaxed);
            self.wake();
        }
        Ok(ordered)
    }

    async fn control_audit(&self, limit: u32) -> PortResult<Vec<AuditEntry>> {
        Ok(self.read(|rows| rows.audit.iter().rev().take(limit as usize).cloned().collect()))
    }

    async fn known_accounts(&self) -> PortResult<Vec<Entity>> {
        Ok(self.read(|rows| {
            let mut heard: Vec<_> = rows.log.iter().filter(|row| row.entry.entity.is_some()).collect();
            heard.sort_by_key(|row| row.entry.received_at);
            let newest: BTreeMap<EntityId, Entity> =
                heard.into_iter().filter_map(|row| row.entry.entity.clone()).map(|e| (e.id, e)).collect();
            newest.into_values().collect()
        }))
    }
}
