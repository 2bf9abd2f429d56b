//! Planning: a pure function of what is known and what is wanted. Equal input, equal plan, byte for byte.
//!
//! Passes run in one written order over a [`Draft`]: what a pass plans is debited there at once, and
//! nothing is credited before a later snapshot shows it. So a plan stays safe if any part of it fails
//! or is delayed. Nothing here acts.

pub mod action;
pub mod adopt_pods;
pub mod audit;
pub mod because;
pub mod capacity;
pub mod clean_registrations;
mod deal_slots;
pub mod draft;
pub mod expire_pods;
mod flow;
pub mod heads;
pub mod heal_workers;
pub mod hold;
pub mod match_demand;
pub mod mint_failure;
pub mod names;
mod queues;
pub mod refused_images;
pub mod revoke_workers;
mod route_caps;
mod side_by_side;
pub mod sweep_orphans;
pub mod sweep_secrets;
pub mod sync_pods;

use serde::{Deserialize, Serialize};

pub use self::{
    action::{Action, EndWorker, PodEnd, Provision},
    because::Because,
    draft::Draft,
    heads::heads,
    hold::{DrainedBoard, Hold, HoldGroup, Holds},
};
use crate::{policy::Policy, snapshot::Snapshot};

/// What to do, why, and why the rest is not done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Plan {
    /// What to do, in this order; steps are independent of each other.
    pub steps: Vec<Step>,
    /// Why each waiting job that was read is not served by a step.
    pub held: Holds,
    /// What the operator should know.
    pub findings: Vec<Finding>,
}

/// One thing to do, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// Why it is to be done.
    pub because: Because,
}

/// A problem that no action fixes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// Jobs wait for a pool that the configuration does not have.
    UnknownPool {
        /// The pool.
        pool: crate::ids::PoolName,
    },
    /// GitHub refuses the runner in this image as outdated: one worker at a time tries it.
    ImageRefused {
        /// The image.
        image: crate::ids::ImageRef,
    },
}

/// The fast path: matches demand with supply. Reads demand, workers, pods, nodes and what holds beside them;
/// knows nothing of registrations.
///
/// Where no job that was read waits and no idle runners are kept, nothing is counted at all.
pub fn schedule(snapshot: &Snapshot, policy: &Policy) -> Plan {
    if snapshot.warm.is_empty() && snapshot.demand.values().all(|demand| demand.waiting.is_empty()) {
        return Plan::default();
    }
    let mut draft = Draft::new(snapshot, policy);
    match_demand::match_demand(&mut draft);
    draft.finish()
}

/// One of the reconciling passes.
pub struct Pass {
    /// The pass's name.
    pub name: &'static str,
    /// Adds the steps that it finds necessary to the draft.
    pub plan: fn(&mut Draft<'_>),
}

/// The reconciling passes, in the order in which they run.
pub const PASSES: &[Pass] = &[
    Pass { name: "lift_refusals", plan: refused_images::lift_refusals },
    Pass { name: "sync_pods", plan: sync_pods::sync_pods },
    Pass { name: "revoke_workers", plan: revoke_workers::revoke_workers },
    Pass { name: "sweep_orphans", plan: sweep_orphans::sweep_orphans },
    Pass { name: "heal_workers", plan: heal_workers::heal_workers },
    Pass { name: "adopt_pods", plan: adopt_pods::adopt_pods },
    Pass { name: "clean_registrations", plan: clean_registrations::clean_registrations },
    Pass { name: "sweep_secrets", plan: sweep_secrets::sweep_secrets },
    Pass { name: "expire_pods", plan: expire_pods::expire_pods },
];

/// The reconciling [`PASSES`]: rows, pods, registrations and secrets are brought to agree.
pub fn reconcile(snapshot: &Snapshot, policy: &Policy) -> Plan {
    let mut draft = Draft::new(snapshot, policy);
    for pass in PASSES {
        (pass.plan)(&mut draft);
    }
    draft.finish()
}
