//! The fast path: from a wake-up to pods. It never waits for reconciliation.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};

use super::{Engine, observe};
use crate::{
    plan::{self, Plan, Provision, audit::audit},
    policy::Policy,
    ports::{LeaderProof, PortResult},
    snapshot::Snapshot,
    why::remember_held,
};

impl Engine {
    /// One cycle of the scheduler.
    pub(super) fn schedule_cycle(&self, proof: LeaderProof) -> BoxFuture<'_, PortResult<()>> {
        async move {
            let policy = self.policy();
            let (snapshot, truncated) = observe::demand_and_supply(self, &policy).await?;
            let plan = plan::schedule(&snapshot, &policy);
            self.tell_held(&plan.held);
            let Some(plan) = audited(&snapshot, &policy, plan) else { return Ok(()) };
            {
                let mut memory = self.memory.lock();
                memory.next_look = plan.held.next_look();
                memory.held_since = remember_held(&memory.held_since, &plan.held, snapshot.now);
            }
            let provisions = provisions(&plan);
            if provisions.is_empty() {
                return Ok(());
            }
            if truncated {
                // More may fit once these are counted.
                self.parts.wakes.schedule.wake();
            }
            self.reserve_and_begin(&proof, provisions).await
        }
        .boxed()
    }
}

/// The plan, if it keeps every law; else nothing of it is executed.
pub(super) fn audited(snapshot: &Snapshot, policy: &Policy, plan: Plan) -> Option<Plan> {
    let violations = audit(snapshot, policy, &plan);
    for violation in &violations {
        tracing::error!(%violation, "the plan breaks a law and is not executed; this is a bug, please report it");
    }
    if !violations.is_empty() {
        return None;
    }
    for step in &plan.steps {
        tracing::info!(
            worker = %step.action.worker(),
            action = step.action.name(),
            because = %step.because,
            "planned"
        );
    }
    Some(plan)
}

fn provisions(plan: &Plan) -> Vec<Arc<Provision>> {
    let provisions = plan.steps.iter().filter_map(|step| step.action.as_provision());
    provisions.map(|provision| Arc::new(provision.clone())).collect()
}
