//! Drains of operators, as they concern a worker.

use jiff::Timestamp;

use crate::{ids::NodeName, pod::Pod, policy::Policy, snapshot::Snapshot, worker::Worker};

/// When an operator drained the board or the pool that the worker's pod uses or may still use.
///
/// A pod that is not bound may be bound to a board of its pool that was drained after it was made: later pods
/// are told to avoid it.
#[must_use]
pub fn drained_since(
    snapshot: &Snapshot,
    policy: &Policy,
    worker: &Worker,
    pod: Option<&Pod>,
) -> Option<Timestamp> {
    let pod = pod.filter(|pod| pod.holds_slot())?;
    let controls = &snapshot.controls;
    if let Some(note) = controls.drained_pools.get(&worker.pool) {
        return Some(note.since);
    }
    match &pod.node {
        Some(node) => controls.drained_nodes.get(node).map(|note| note.since),
        None => {
            let selector = &policy.pools.get(&worker.pool)?.node_selector;
            let nodes = snapshot.nodes.present()?;
            let may_bind = |name: &NodeName| nodes.get(name).is_some_and(|node| node.matches(selector));
            let drained = controls.drained_nodes.iter().filter(|(name, _)| may_bind(name));
            drained.map(|(_, note)| note.since).filter(|since| *since > pod.created_at).max()
        }
    }
}
