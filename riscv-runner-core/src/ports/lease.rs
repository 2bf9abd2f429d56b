//! Leadership: the lease, and the proof of holding it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{PortError, PortErrorKind, PortResult};
use crate::ids::{Epoch, ReplicaName};

/// Proof that its holder leads. Only a [`LeaseStore`] creates one; every mutating call requires it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderProof {
    epoch: Epoch,
    until: Timestamp,
}

impl LeaderProof {
    /// For lease stores alone: the lease of `epoch` was granted or renewed until then.
    #[must_use]
    pub const fn issued_by_lease_store(epoch: Epoch, until: Timestamp) -> Self {
        Self { epoch, until }
    }

    /// The leadership period that it is for; writes of an earlier period are refused.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// When the lease ends unless it is renewed; nothing outside may be changed after that.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Guards a change outside: the caller checks with its own `now`, right before it sends the request.
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
    /// Takes the lease in a new epoch if it is free or has expired; renews it, in the same epoch, if `holder`
    /// has it. `None` while another replica has it. Whether a lease has expired is judged by the store's own
    /// clock; `now` is the caller's, read before the call, and dates the proof.
    ///
    /// # Errors
    /// When the store cannot be asked: the caller then leads only until its proof runs out.
    async fn acquire_lease(
        &self,
        holder: &ReplicaName,
        ttl: Duration,
        now: Timestamp,
    ) -> PortResult<Option<LeaderProof>>;

    /// Releases the lease, so that another replica need not wait until it expires.
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
