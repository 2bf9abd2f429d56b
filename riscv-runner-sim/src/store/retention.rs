//! Removal of rows that are over, in memory, but for those that somebody keeps.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    ids::{EventId, JobId, WorkerName},
    ports::{PortResult, Remover, RetentionStore},
    retention::{Cutoff, Expiring, Keepsake, Kept},
};

use super::{MemoryStore, rows::Rows};

#[async_trait]
impl RetentionStore for MemoryStore {
    async fn count_expired(&self, kind: Expiring, cutoff: Cutoff) -> PortResult<u64> {
        let before = cutoff.checked_by(self.platform.now())?;
        Ok(self.read(|rows| match kind {
            Expiring::Events => events(rows, before).count(),
            Expiring::Jobs => jobs(rows, before).count(),
            Expiring::Workers => workers(rows, before).count(),
            Expiring::Orders => rows.audit.iter().filter(|row| row.note.since < before).count(),
            Expiring::Backoffs => rows.standing.backoffs.values().filter(|b| b.until < before).count(),
            Expiring::Quarantines => rows.standing.quarantines.values().filter(|q| over(q, before)).count(),
        }) as u64)
    }

    async fn remove_expired(
        &self,
        by: Remover<'_>,
        kind: Expiring,
        cutoff: Cutoff,
        limit: u32,
    ) -> PortResult<u64> {
        match by {
            Remover::Leader(proof) => {
                let removed = self.fenced(proof, "remove old rows", |rows, now| {
                    let before = cutoff.checked_by(now)?;
                    Ok(remove(rows, kind, before, limit))
                });
                removed.flatten()
            }
            Remover::Operator => {
                let before = cutoff.checked_by(self.platform.now())?;
                let removed = self.write(|rows| remove(rows, kind, before, limit));
                self.changed.store(true, Ordering::Relaxed);
                Ok(removed)
            }
        }
    }

    async fn keep(&self, row: &Keepsake, keep: bool) -> PortResult<Kept> {
        Ok(self.write(|rows| {
            let known = match row {
                Keepsake::Event(id) => rows.log.iter().any(|row| i64::try_from(row.id) == Ok(id.get())),
                Keepsake::Job(id) => rows.jobs.contains_key(id),
                Keepsake::Worker(name) => rows.workers.contains_key(name),
            };
            if !known {
                return Kept::NoSuchRow;
            }
            let changed = if keep { rows.kept.insert(row.clone()) } else { rows.kept.remove(row) };
            if changed { Kept::Changed } else { Kept::Already }
        }))
    }
}

fn over(quarantine: &riscv_runner_core::quarantine::Quarantine, before: Timestamp) -> bool {
    quarantine.until.is_some_and(|until| until < before)
}

fn events(rows: &Rows, before: Timestamp) -> impl Iterator<Item = (Timestamp, u64)> {
    let old = rows.log.iter().filter(move |row| row.entry.received_at < before);
    let kept = |id: u64| i64::try_from(id).ok().and_then(|id| EventId::new(id).ok()).map(Keepsake::Event);
    let goes = move |id| !kept(id).is_some_and(|kept| rows.kept.contains(&kept));
    old.filter(move |row| goes(row.id)).map(|row| (row.entry.received_at, row.id))
}

fn jobs(rows: &Rows, before: Timestamp) -> impl Iterator<Item = (Timestamp, JobId)> {
    let ended = rows.jobs.values().filter(|row| !row.job.state.phase.is_demand());
    let ended = ended.filter(|row| !rows.kept.contains(&Keepsake::Job(row.job.facts.id)));
    ended.map(|row| (row.stored_at, row.job.facts.id)).filter(move |(at, _)| *at < before)
}

fn workers(rows: &Rows, before: Timestamp) -> impl Iterator<Item = (Timestamp, WorkerName)> {
    let ended = rows.workers.values().filter(|row| row.worker.status.is_terminal());
    let ended = ended.filter(|row| !rows.kept.contains(&Keepsake::Worker(row.worker.name.clone())));
    let dated = ended.map(|row| (row.worker.created_at, row.worker.name.clone()));
    dated.filter(move |(at, _)| *at < before)
}

fn oldest<T: Ord>(found: impl Iterator<Item = (Timestamp, T)>, limit: u32) -> Vec<T> {
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    found.into_iter().take(limit as usize).map(|(_, name)| name).collect()
}

fn remove(rows: &mut Rows, kind: Expiring, before: Timestamp, limit: u32) -> u64 {
    match kind {
        Expiring::Events => {
            let ids = oldest(events(rows, before), limit);
            for row in rows.log.extract_if(.., |row| ids.contains(&row.id)) {
                if let Some(guid) = row.entry.guid {
                    rows.guids.remove(&guid);
                }
            }
            ids.len() as u64
        }
        Expiring::Jobs => {
            let ids = oldest(jobs(rows, before), limit);
            ids.iter().for_each(|id| rows.remove_job(*id));
            ids.len() as u64
        }
        Expiring::Workers => {
            let names = oldest(workers(rows, before), limit);
            for name in &names {
                rows.workers.remove(name);
            }
            names.len() as u64
        }
        Expiring::Orders => {
            let ids = oldest(
                rows.audit.iter().filter(|row| row.note.since < before).map(|row| (row.note.since, row.id)),
                limit,
            );
            rows.audit.retain(|row| !ids.contains(&row.id));
            ids.len() as u64
        }
        Expiring::Backoffs => {
            let found = rows.standing.backoffs.iter().filter(|(_, backoff)| backoff.until < before);
            let keys = oldest(found.map(|(key, backoff)| (backoff.until, key.clone())), limit);
            for key in &keys {
                rows.standing.backoffs.remove(key);
            }
            keys.len() as u64
        }
        Expiring::Quarantines => {
            let found = rows.standing.quarantines.iter().filter(|(_, quarantine)| over(quarantine, before));
            let nodes = oldest(found.map(|(node, _)| (before, node.clone())), limit);
            for node in &nodes {
                rows.standing.quarantines.remove(node);
            }
            nodes.len() as u64
        }
    }
}
