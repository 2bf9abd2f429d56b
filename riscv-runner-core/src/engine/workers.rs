//! Reconciliation of rows with pods: woken by the cluster's watch, asks GitHub nothing.

use std::collections::BTreeSet;

use futures::future::{BoxFuture, FutureExt};

use super::{Engine, observe};
use crate::{
    plan,
    ports::{LeaderProof, PortResult},
};

impl Engine {
    /// One cycle of reconciliation with the cluster.
    pub(super) fn workers_cycle(&self, _: LeaderProof) -> BoxFuture<'_, PortResult<()>> {
        async move {
            let policy = self.policy();
            let mut snapshot = observe::counts(self).await?;
            snapshot.ended = observe::rows_of_left_overs(self, &snapshot, &BTreeSet::new()).await?;
            let plan = plan::reconcile(&snapshot, &policy);
            if self.passes_audit(&snapshot, &policy, &plan) {
                self.execute(plan).await;
            }
            Ok(())
        }
        .boxed()
    }
}
