//! Orders of operators with their audit, and the removal of rows that are over.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    controls::{Note, Order, Ordered},
    entity::Entity,
    ids::{EntityId, EventId, JobId, NodeName, WorkerName},
    ports::{AuditEntry, AuditId, ControlStore, PortResult, Remover, RetentionStore},
    retention::{Cutoff, Expiring, Keepsake, Kept},
    scope::PoolKey,
};

use super::{OwnStore, Tables};

#[async_trait]
impl ControlStore for OwnStore {
    async fn order(&self, order: &Order, note: &Note) -> PortResult<Ordered> {
        Ok(self.write(|tables, _| {
            if let Order::Revoke { worker, .. } = order
                && !tables.live().any(|live| live.name == *worker)
            {
                return Ordered::NothingToDo;
            }
            let ordered = tables.standing.controls.apply(order, note);
            if ordered == Ordered::Done {
                let id = AuditId(tables.audit.last().map_or(1, |last| last.id.0 + 1));
                tables.audit.push(AuditEntry { id, order: order.clone(), note: note.clone() });
            }
            ordered
        }))
    }

    async fn control_audit(&self, limit: u32) -> PortResult<Vec<AuditEntry>> {
        Ok(self.read(|tables| tables.audit.iter().rev().take(limit as usize).cloned().collect()))
    }

    async fn known_accounts(&self) -> PortResult<Vec<Entity>> {
        Ok(self.read(|tables| {
            let mut heard: Vec<_> = tables.log.values().map(|(entry, _)| entry).collect();
            heard.sort_by_key(|entry| entry.received_at);
            let named = heard.into_iter().filter_map(|entry| entry.entity.clone());
            let newest: BTreeMap<EntityId, Entity> = named.map(|entity| (entity.id, entity)).collect();
            newest.into_values().collect()
        }))
    }
}

/// A row that may be removed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Expired {
    Event(u64),
    Job(JobId),
    Worker(WorkerName),
    Order(AuditId),
    Backoff(PoolKey),
    Quarantine(NodeName),
}

impl Tables {
    /// The rows of a kind that are over since before that moment, the oldest first.
    fn expired(&self, kind: Expiring, before: Timestamp) -> Vec<(Timestamp, Expired)> {
        let mut rows: Vec<_> = match kind {
            Expiring::Events => {
                self.log.iter().map(|(id, (entry, _))| (entry.received_at, Expired::Event(*id))).collect()
            }
            Expiring::Jobs => {
                let ended = self.jobs.values().filter(|row| !row.job.state.phase.is_demand());
                ended.map(|row| (row.stored_at, Expired::Job(row.job.facts.id))).collect()
            }
            Expiring::Workers => {
                let ended = self.workers.values().filter(|row| row.worker.status.is_terminal());
                ended.map(|row| (row.worker.created_at, Expired::Worker(row.worker.name.clone()))).collect()
            }
            Expiring::Orders => {
                self.audit.iter().map(|entry| (entry.note.since, Expired::Order(entry.id))).collect()
            }
            Expiring::Backoffs => {
                let backoffs = self.standing.backoffs.iter();
                backoffs.map(|(key, backoff)| (backoff.until, Expired::Backoff(key.clone()))).collect()
            }
            Expiring::Quarantines => {
                let held = self.standing.quarantines.iter();
                held.filter_map(|(node, held)| Some((held.until?, Expired::Quarantine(node.clone()))))
                    .collect()
            }
        };
        rows.retain(|(at, row)| *at < before && !self.is_kept(row));
        rows.sort();
        rows
    }

    fn is_kept(&self, row: &Expired) -> bool {
        let kept = match row {
            Expired::Event(id) => {
                let Some(id) = i64::try_from(*id).ok().and_then(|id| EventId::new(id).ok()) else {
                    return false;
                };
                Keepsake::Event(id)
            }
            Expired::Job(id) => Keepsake::Job(*id),
            Expired::Worker(name) => Keepsake::Worker(name.clone()),
            Expired::Order(_) | Expired::Backoff(_) | Expired::Quarantine(_) => return false,
        };
        self.kept.contains(&kept)
    }

    fn remove(&mut self, row: &Expired) {
        match row {
            Expired::Event(id) => self.log.retain(|number, _| number != id),
            Expired::Job(id) => self.jobs.retain(|job, _| job != id),
            Expired::Worker(name) => self.workers.retain(|worker, _| worker != name),
            Expired::Order(id) => self.audit.retain(|entry| entry.id != *id),
            Expired::Backoff(key) => self.standing.backoffs.retain(|failing, _| failing != key),
            Expired::Quarantine(node) => self.standing.quarantines.retain(|held, _| held != node),
        }
    }
}

#[async_trait]
impl RetentionStore for OwnStore {
    async fn count_expired(&self, kind: Expiring, cutoff: Cutoff) -> PortResult<u64> {
        let before = cutoff.checked_by(self.platform.now())?;
        Ok(self.read(|tables| tables.expired(kind, before).len() as u64))
    }

    async fn remove_expired(
        &self,
        by: Remover<'_>,
        kind: Expiring,
        cutoff: Cutoff,
        limit: u32,
    ) -> PortResult<u64> {
        let remove = |tables: &mut Tables, now| {
            let before = cutoff.checked_by(now)?;
            let mut rows = tables.expired(kind, before);
            rows.truncate(limit as usize);
            rows.iter().for_each(|(_, row)| tables.remove(row));
            Ok(rows.len() as u64)
        };
        match by {
            Remover::Leader(proof) => self.fenced(proof, "remove old rows", remove).flatten(),
            Remover::Operator => self.write(remove),
        }
    }

    async fn keep(&self, row: &Keepsake, keep: bool) -> PortResult<Kept> {
        Ok(self.write(|tables, _| {
            let known = match row {
                Keepsake::Event(id) => tables.log.keys().any(|number| i64::try_from(*number) == Ok(id.get())),
                Keepsake::Job(id) => tables.jobs.contains_key(id),
                Keepsake::Worker(name) => tables.workers.contains_key(name),
            };
            if !known {
                return Kept::NoSuchRow;
            }
            let changed = if keep { tables.kept.insert(row.clone()) } else { tables.kept.remove(row) };
            if changed { Kept::Changed } else { Kept::Already }
        }))
    }
}
