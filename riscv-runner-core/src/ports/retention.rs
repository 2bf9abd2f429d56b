//! Removing expired rows.

use async_trait::async_trait;

use super::{LeaderProof, PortResult};
use crate::retention::{Cutoff, Expiring, Keepsake, Kept};

/// On whose behalf rows are removed.
#[derive(Debug, Clone, Copy)]
pub enum Remover<'a> {
    /// The engine's own loop, fenced.
    Leader(&'a LeaderProof),
    /// A command. Removing twice does no harm, so it needs no lease.
    Operator,
}

/// Removes expired rows, in small transactions.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// How many rows of the kind have expired and may be removed. The store checks the cutoff against its own
    /// clock, by [`Cutoff::checked_by`].
    ///
    /// # Errors
    /// When the store cannot be read, or the clock of this process is far ahead of the store's.
    async fn count_expired(&self, kind: Expiring, cutoff: Cutoff) -> PortResult<u64>;

    /// Removes the oldest of them, at most `limit`, in one short transaction; returns how many were removed.
    /// Pinned rows, rows of what has not ended, and rows in use stay.
    ///
    /// # Errors
    /// `NotLeader` once the caller has lost the lease, `Denied` where the clock of this process is far ahead of the
    /// store's, or when nothing is known about the effect.
    async fn remove_expired(
        &self,
        by: Remover<'_>,
        kind: Expiring,
        cutoff: Cutoff,
        limit: u32,
    ) -> PortResult<u64>;

    /// Pins a row, so that it is kept whatever its age, or unpins it.
    ///
    /// # Errors
    /// When nothing is known about the effect.
    async fn keep(&self, row: &Keepsake, keep: bool) -> PortResult<Kept>;
}
