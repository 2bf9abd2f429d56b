//! The lease of leadership in memory: one holder at a time, a new epoch for every new term.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    backoff::add,
    ids::{Epoch, ReplicaName},
    ports::{LeaderProof, LeaseStore, PortError, PortErrorKind, PortResult},
};

use super::MemoryStore;

/// The lease's row.
#[derive(Debug, Default)]
pub(super) struct Lease {
    terms: i64,
    held: Option<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    holder: ReplicaName,
    epoch: Epoch,
    until: Timestamp,
}

impl Lease {
    /// The newest epoch that was ever given.
    pub(super) fn newest_epoch(&self) -> Option<Epoch> {
        Epoch::new(self.terms).ok()
    }

    fn acquire(&mut self, holder: &ReplicaName, until: Timestamp, now: Timestamp) -> Option<Epoch> {
        let epoch = match &self.held {
            Some(held) if now < held.until && held.holder != *holder => return None,
            Some(held) if now < held.until => held.epoch,
            Some(_) | None => {
                self.terms += 1;
                Epoch::new(self.terms).ok()?
            }
        };
        self.held = Some(Held { holder: holder.clone(), epoch, until });
        Some(epoch)
    }
}

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn acquire_lease(
        &self,
        holder: &ReplicaName,
        ttl: Duration,
        now: Timestamp,
    ) -> PortResult<Option<LeaderProof>> {
        let own_clock = self.platform.now();
        let epoch = self.write(|rows| rows.lease.acquire(holder, add(own_clock, ttl), own_clock));
        Ok(epoch.map(|epoch| LeaderProof::issued_by_lease_store(epoch, add(now, ttl))))
    }

    async fn release_lease(&self, proof: &LeaderProof) -> PortResult<()> {
        self.write(|rows| match &rows.lease.held {
            Some(held) if held.epoch == proof.epoch() => {
                rows.lease.held = None;
                Ok(())
            }
            Some(_) => Err(PortError::new(
                PortErrorKind::NotLeader,
                "release the lease",
                format!("epoch {} has been succeeded by a later one", proof.epoch()),
            )),
            None => Ok(()),
        })
    }

    async fn leader(&self) -> PortResult<Option<(ReplicaName, Epoch, Timestamp)>> {
        let own_clock = self.platform.now();
        Ok(self.read(|rows| {
            let held = rows.lease.held.as_ref().filter(|held| own_clock < held.until)?;
            Some((held.holder.clone(), held.epoch, held.until))
        }))
    }
}
