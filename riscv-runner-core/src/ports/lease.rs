//! Leadership: the lease, and the proof of holding it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{PortError, PortErrorKind, PortResult};
use crate::ids::{Epoch, ReplicaName};

/// Proof that its holder leads. Only a [`LeaseStore`] makes one; every mutating call demands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderProof {
    epoch: Epoch,
    until: Timestamp,
}

impl LeaderProof {
    /// For lease stores alone: the lease of `epoch` was given or renewed until then.
    #[must_use]
    pub const fn issued_by_lease_store(epoch: Epoch, until: Timestamp) -> Self {
        Self { epoch, until }
    }

    /// The term that it is for; writes of an earlier term are refused.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// When the lease ends unless it is renewed; nothing outside may be changed after that.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Guards a change outside: whoever makes one asks at its own `now`, right before it sends.
    ///
    /// # Errors
    /// [`PortErrorKind::NotLeader`] when the lease has ended.
    pub fn guard(&self, now: Timestamp, operation: &'static str) -> PortResult<()> {
        if self.holds(now) {
            return Ok(());
        }
        Err(PortError::new(PortErrorKind::NotLeader, operation, "the lease has ended; nothing was sent"))
    }

    /// Whether it still holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// The lease of leadership.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes the lease if nobody holds it or the holder's time is over, in a new epoch; renews it, in
    /// the same epoch, if `holder` has it. `None` while somebody else has it. Whether a lease is over
    /// is judged by the store's own clock; `now` is the caller's, read before asking, and dates the proof.
    ///
    /// # Errors
    /// When the store cannot be asked: the caller then leads only until its proof runs out.
    async fn acquire_lease(
        &self,
        holder: &ReplicaName,
        ttl: Duration,
        now: Timestamp,
    ) -> PortResult<Option<LeaderProof>>;

    /// Gives the lease back, so that another replica need not wait for its end.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn release_lease(&self, proof: &LeaderProof) -> PortResult<()>;

    /// Who leads, in which epoch, and until when.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn leader(&self) -> PortResult<Option<(ReplicaName, Epoch, Timestamp)>>;
}
