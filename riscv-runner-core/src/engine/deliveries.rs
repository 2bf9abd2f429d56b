//! Lost webhooks: GitHub's own log of deliveries against ours; what never arrived is asked for again.

use std::collections::BTreeSet;

use futures::future::{BoxFuture, FutureExt};
use jiff::Timestamp;

use super::Engine;
use crate::{
    entity::EntityKind,
    ids::DeliveryGuid,
    polling::{Next, missing_deliveries, sweep_from},
    ports::{EngineEvent, HookDelivery, LeaderProof, PortResult, Recovery},
};

/// What comparing the logs of all Apps showed.
struct Swept {
    /// Up to when everything has arrived that ever will; `None` where a log could not be read.
    until: Option<Timestamp>,
    /// What will not.
    given_up: BTreeSet<DeliveryGuid>,
}

impl Engine {
    /// One sweep over GitHub's log.
    pub(super) fn deliveries_cycle(&self, proof: LeaderProof) -> BoxFuture<'_, PortResult<()>> {
        async move {
            let now = self.now();
            let since = self.sweep_since(&proof, now).await?;
            let mut swept = Swept { until: Some(now), given_up: BTreeSet::new() };
            for app in [EntityKind::Organization, EntityKind::User] {
                match self.parts.forge.hook_deliveries(app, since).await {
                    Ok(attempts) => self.ask_again(&proof, app, &attempts, now, &mut swept).await?,
                    Err(error) => {
                        swept.until = None;
                        tracing::warn!(%app, error = error.chain(), "GitHub's log of deliveries could not be read");
                    }
                }
            }
            if let Some(until) = swept.until {
                // What GitHub's log no longer shows is not met again.
                self.memory.lock().given_up = swept.given_up;
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

    /// Asks for what is missing in one App's log.
    async fn ask_again(
        &self,
        proof: &LeaderProof,
        app: EntityKind,
        attempts: &[HookDelivery],
        now: Timestamp,
        swept: &mut Swept,
    ) -> PortResult<()> {
        let mut missing = missing_deliveries(attempts, now, &self.policy().timeouts);
        if missing.is_empty() {
            return Ok(());
        }
        let guids: Vec<DeliveryGuid> = missing.keys().cloned().collect();
        for known in self.parts.store.known_deliveries(&guids).await? {
            missing.remove(&known);
        }
        for (guid, missing) in missing {
            match missing.next {
                Next::Ask(attempt) => self.ask_for(proof, app, &guid, attempt).await,
                Next::Rest => {}
                Next::GiveUp { status } => {
                    self.give_up_delivery(&guid, status, attempts);
                    swept.given_up.insert(guid);
                    continue;
                }
            }
            swept.until = swept.until.map(|until| until.min(missing.since));
        }
        Ok(())
    }

    async fn ask_for(&self, proof: &LeaderProof, app: EntityKind, guid: &DeliveryGuid, attempt: i64) {
        match self.parts.forge.redeliver(proof, app, attempt).await {
            Ok(()) => {
                tracing::info!(%guid, "a lost delivery was requested again");
                self.parts.observer.observe(EngineEvent::Recovered { kind: Recovery::LostDelivery });
            }
            Err(error) => {
                tracing::warn!(%guid, error = error.chain(), "a lost delivery could not be requested again");
            }
        }
    }

    /// Says once that a delivery is no longer asked for.
    fn give_up_delivery(&self, guid: &DeliveryGuid, status: u16, attempts: &[HookDelivery]) {
        if !self.memory.lock().given_up.insert(guid.clone()) {
            return;
        }
        let event = attempts.iter().find(|attempt| attempt.guid == *guid).map(|attempt| &*attempt.event);
        tracing::warn!(
            %guid,
            event,
            status,
            "we reject this delivery every time, so it is no longer requested; once the cause is fixed, `rrctl deliveries redeliver` requests it"
        );
        self.parts.observer.observe(EngineEvent::DeliveryGivenUp);
    }
}
