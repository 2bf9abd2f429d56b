//! Reconciliation of rows with pods: woken by the cluster's watch, asks GitHub nothing.

use std::collections::BTreeSet;

use futures::future::{BoxFuture, FutureExt};

use super::{Engine, observe, schedule::audited};
use crate::{
    plan::{self, capacity::Capacity},
    policy::Policy,
    ports::{LeaderProof, PortResult},
    snapshot::Snapshot,
};

impl Engine {
    /// One cycle of reconciliation with the cluster.
    pub(super) fn workers_cycle(&self, proof: LeaderProof) -> BoxFuture<'_, PortResult<()>> {
        async move {
            let policy = self.policy();
            let (mut snapshot, installations) = observe::supply(self).await?;
            observe::add_rows_of_left_overs(self, &installations, &mut snapshot, &BTreeSet::new()).await?;
            let plan = plan::reconcile(&snapshot, &policy);
            if let Some(plan) = audited(&snapshot, &policy, plan) {
                self.execute(plan).await;
            }
            self.notice_free_slots(&snapshot, &policy);
            self.advertise_boards(&snapshot, &proof).await;
            Ok(())
        }
        .boxed()
    }

    /// Slots that came free are worth a look at the demand.
    fn notice_free_slots(&self, snapshot: &Snapshot, policy: &Policy) {
        let Some(capacity) = Capacity::of(snapshot, policy) else { return };
        let free = capacity.free();
        let before = std::mem::replace(&mut self.memory.lock().free, free.clone());
        if free.iter().any(|(pool, n)| *n > before.get(pool).copied().unwrap_or(0)) {
            self.parts.wakes.schedule.wake();
        }
    }
}
