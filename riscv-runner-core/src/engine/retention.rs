//! Removal of expired rows: once a day, in batches, with pauses for other work.

use futures::future::{BoxFuture, FutureExt};

use super::{Engine, cycle::not_leading};
use crate::{
    backoff::age,
    ports::{EngineEvent, LeaderProof, PortResult, Remover},
    retention::{BATCH, Expiring, pause_after},
};

impl Engine {
    /// One round over every kind of row.
    pub(super) fn retention_cycle(&self, _: LeaderProof) -> BoxFuture<'_, PortResult<()>> {
        async move {
            for kind in Expiring::ALL {
                self.remove_expired(kind).await?;
            }
            Ok(())
        }
        .boxed()
    }

    async fn remove_expired(&self, kind: Expiring) -> PortResult<()> {
        let cutoff = kind.cutoff(self.now(), &self.policy().timeouts);
        let mut removed = 0;
        while !self.is_stopping() {
            // A round may take longer than a term.
            let proof = self.proof().ok_or_else(not_leading)?;
            let begun = self.now();
            let by = Remover::Leader(&proof);
            let rows = self.parts.store.remove_expired(by, kind, cutoff, BATCH).await?;
            self.parts.observer.observe(EngineEvent::Removed { kind, rows });
            removed += rows;
            if rows < u64::from(BATCH) {
                break;
            }
            self.parts.platform.sleep(pause_after(age(self.now(), begun))).await;
        }
        if removed > 0 {
            tracing::info!(%kind, removed, before = %cutoff.before, "expired rows were removed");
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}
