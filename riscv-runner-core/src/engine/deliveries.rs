//! Lost webhooks: GitHub's own log of deliveries against ours; what never arrived is asked for again.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{BoxFuture, FutureExt};
use jiff::Timestamp;

use super::Engine;
use crate::{
    entity::EntityKind,
    ids::DeliveryGuid,
    polling::{lost_deliveries, sweep_from},
    ports::{EngineEvent, HookDelivery, LeaderProof, PortResult},
};

impl Engine {
    /// One sweep over GitHub's log.
    pub(super) fn deliveries_cycle(&self, proof: LeaderProof) -> BoxFuture<'_, PortResult<()>> {
        async move {
            let now = self.now();
            let since = self.sweep_since(&proof, now).await?;
            let mut arrived_until = Some(now);
            for app in [EntityKind::Organization, EntityKind::User] {
                match self.parts.forge.hook_deliveries(app, since).await {
                    Ok(attempts) => {
                        let first_missing = self.ask_again(&proof, app, &attempts, now).await?;
                        arrived_until = arrived_until.min(first_missing.or(arrived_until));
                    }
                    Err(error) => {
                        arrived_until = None;
                        tracing::warn!(%app, error = error.chain(), "GitHub's log of deliveries could not be read");
                    }
                }
            }
            if let Some(until) = arrived_until {
                self.parts.store.note_deliveries_swept(&proof, until).await?;
            }
            self.list_runs(&proof).await
        }
        .boxed()
    }

    /// From where to look: a little before the first delivery that the last sweep missed, by whichever
    /// leader. The first sweep of all notes where it begins, or the window would move on while
    /// GitHub's log cannot be read.
    async fn sweep_since(&self, proof: &LeaderProof, now: Timestamp) -> PortResult<Timestamp> {
        let from = match self.parts.store.deliveries_swept().await? {
            Some(swept) => swept,
            None => {
                let from = self.parts.store.last_delivery_at().await?.unwrap_or(now);
                self.parts.store.note_deliveries_swept(proof, from).await?;
                from
            }
        };
        Ok(sweep_from(from, now, &self.policy().timeouts))
    }

    /// When the first of those that are missing was sent; `None` when none is.
    async fn ask_again(
        &self,
        proof: &LeaderProof,
        app: EntityKind,
        attempts: &[HookDelivery],
        now: Timestamp,
    ) -> PortResult<Option<Timestamp>> {
        let candidates = lost_deliveries(attempts, now, &self.policy().timeouts);
        if candidates.is_empty() {
            return Ok(None);
        }
        let guids: Vec<DeliveryGuid> = candidates.keys().cloned().collect();
        let known: BTreeSet<_> = self.parts.store.known_deliveries(&guids).await?.into_iter().collect();
        let lost: BTreeMap<_, _> = candidates.into_iter().filter(|(guid, _)| !known.contains(guid)).collect();
        let first_missing = lost.values().map(|lost| lost.since).min();
        for (guid, lost) in lost {
            match self.parts.forge.redeliver(proof, app, lost.attempt).await {
                Ok(()) => {
                    tracing::info!(%guid, "a lost delivery was asked for again");
                    self.parts.observer.observe(EngineEvent::Recovered { kind: "lost_delivery" });
                }
                Err(error) => {
                    tracing::warn!(%guid, error = error.chain(), "a lost delivery could not be asked for again");
                }
            }
        }
        Ok(first_missing)
    }
}
