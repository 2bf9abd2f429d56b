//! Leadership: a lease with an epoch. Who does not hold it observes, and nothing else.

use std::time::Duration;

use futures::future::FutureExt;
use jiff::Timestamp;

use super::Engine;
use crate::ports::{EngineEvent, LeaderProof, LoopName, PortResult};

/// This replica leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leading {
    /// What it may act with.
    pub proof: LeaderProof,
    /// Since when, without interruption.
    pub since: Timestamp,
}

/// A lease is renewed this often in its time, so that two failures in a row do not lose it.
const RENEWALS_PER_LEASE: u32 = 4;

impl Engine {
    /// Takes and renews the lease for as long as it is driven: what is in flight when the engine stops
    /// ends under it, too.
    pub(super) async fn leadership(&self) {
        loop {
            self.contained(LoopName::Leadership, self.acquire().boxed()).await;
            self.parts.platform.sleep(self.policy().timeouts.lease / RENEWALS_PER_LEASE).await;
        }
    }

    /// Asks for the lease once.
    pub(super) async fn acquire(&self) -> PortResult<()> {
        let ttl: Duration = self.policy().timeouts.lease;
        let asked_at = self.now();
        let answer = self.parts.store.acquire_lease(&self.parts.replica, ttl, asked_at).await;
        if !matches!(&answer, Ok(Some(_))) && self.proof().is_none() {
            self.depose();
        }
        match answer? {
            Some(proof) => self.lead(&proof),
            None => self.depose(),
        }
        Ok(())
    }

    fn lead(&self, proof: &LeaderProof) {
        let now = self.now();
        let mut begins = false;
        self.leading.send_if_modified(|leading| {
            let same = leading.as_ref().filter(|known| known.proof.epoch() == proof.epoch());
            let since = same.map_or(now, |known| known.since);
            begins = same.is_none();
            // Loops that saw the proof run out before a late renewal wait for the next change.
            let resumes = same.is_some_and(|known| !known.proof.holds(now));
            *leading = Some(Leading { proof: proof.clone(), since });
            begins || resumes
        });
        if begins {
            tracing::info!(epoch = %proof.epoch(), "this replica leads");
            self.memory.forget();
            self.parts.observer.observe(EngineEvent::Leading(true));
        }
    }

    /// Stops leading: nothing is changed until the lease is ours again.
    pub(super) fn depose(&self) {
        if self.ceased() {
            tracing::warn!("this replica lost the lease");
        }
    }

    /// Whether this replica led until now.
    fn ceased(&self) -> bool {
        let ended = self.leading.send_if_modified(|leading| leading.take().is_some());
        if ended {
            self.parts.observer.observe(EngineEvent::Leading(false));
        }
        ended
    }

    /// Gives the lease back.
    pub(super) async fn resign(&self) {
        let Some(proof) = self.proof() else { return };
        if let Err(error) = self.parts.store.release_lease(&proof).await {
            tracing::warn!(error = error.chain(), "the lease was not released; it expires by itself");
        }
        if self.ceased() {
            tracing::info!("this replica released the lease");
        }
    }
}
