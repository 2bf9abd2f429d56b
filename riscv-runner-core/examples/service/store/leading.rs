//! The lease, and the fence that every write of a leader passes.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    backoff::add,
    ids::{Epoch, ReplicaName},
    ports::{LeaderProof, LeaseStore, PortError, PortErrorKind, PortResult},
};

use super::{OwnStore, Tables};

impl OwnStore {
    /// A write of a leader: refused once a later term exists.
    pub(super) fn fenced<R>(
        &self,
        proof: &LeaderProof,
        operation: &'static str,
        change: impl FnOnce(&mut Tables, Timestamp) -> R,
    ) -> PortResult<R> {
        self.write(|tables, now| {
            if proof.epoch().get() < tables.terms {
                return Err(PortError::new(PortErrorKind::NotLeader, operation, "a later leader has begun"));
            }
            Ok(change(tables, now))
        })
    }
}

#[async_trait]
impl LeaseStore for OwnStore {
    async fn acquire_lease(
        &self,
        holder: &ReplicaName,
        ttl: Duration,
        now: Timestamp,
    ) -> PortResult<Option<LeaderProof>> {
        let epoch = self.write(|tables, own_clock| {
            let epoch = match tables.lease.as_ref().filter(|(.., until)| own_clock < *until) {
                Some((other, ..)) if other != holder => return None,
                Some((_, epoch, _)) => *epoch,
                None => {
                    tables.terms += 1;
                    Epoch::new(tables.terms).ok()?
                }
            };
            tables.lease = Some((holder.clone(), epoch, add(own_clock, ttl)));
            Some(epoch)
        });
        Ok(epoch.map(|epoch| LeaderProof::issued_by_lease_store(epoch, add(now, ttl))))
    }

    async fn release_lease(&self, proof: &LeaderProof) -> PortResult<()> {
        self.fenced(proof, "release the lease", |tables, _| tables.lease = None)
    }

    async fn leader(&self) -> PortResult<Option<(ReplicaName, Epoch, Timestamp)>> {
        let now = self.platform.now();
        Ok(self.read(|tables| tables.lease.clone().filter(|(.., until)| now < *until)))
    }
}
