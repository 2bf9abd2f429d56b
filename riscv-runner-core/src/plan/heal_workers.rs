//! Health: at most one remedy for each live worker, by the first rule that fires.

use jiff::Timestamp;

use super::{Action, Because, Draft, PodEnd, sync_pods::end_worker};
use crate::{
    failure::FailureReason,
    health::{self, Remedy, View},
    ids::NodeName,
    pod::Pod,
    polling::all_arrived,
    worker::Worker,
};

/// Examines every live worker that no earlier pass decided about.
pub fn heal_workers(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    for worker in snapshot.workers.values().filter(|worker| !worker.status.is_terminal()) {
        if draft.is_decided(&worker.name) {
            continue;
        }
        let view = view(draft, worker);
        let Some(illness) = health::examine(&view) else { continue };
        let end = match (illness.remedy(), snapshot.pod(&worker.name).present()) {
            (Remedy::Kill, Some(pod)) => PodEnd::of(pod),
            (Remedy::ForceDelete, Some(pod)) => PodEnd::ForceDelete { uid: pod.uid.clone() },
            (Remedy::Kill | Remedy::ForceDelete, None) => PodEnd::Nothing,
        };
        let mut end = end_worker(draft, worker, illness.reason, end);
        if illness.reason == FailureReason::InstallationNotFound {
            // Nobody is left to be asked: the registration went with the installation.
            end.registration = None;
        }
        draft.debit_supply(worker);
        draft.decide(Action::End(end), Because::Ill(illness));
    }
}

fn view<'a>(draft: &Draft<'a>, worker: &'a Worker) -> View<'a> {
    let snapshot = draft.snapshot;
    let key = worker.key();
    let supply = draft.supply(&key);
    let jobs = snapshot.demand.get(&key).map_or(0, |demand| demand.pending.saturating_add(demand.running));
    let warm = snapshot.warm.get(&key).map_or(0, |warm| warm.count);
    let pod = snapshot.pod(&worker.name);
    let node = pod.present().and_then(|pod| pod.node.as_ref());
    let drained_since = drained_since(draft, worker, pod.present().copied());
    View {
        now: snapshot.now,
        watching_since: snapshot.watching_since,
        timeouts: &draft.policy.timeouts,
        worker,
        pod,
        node: node.map(|node| snapshot.node(node)),
        runner: snapshot.runner(worker),
        sightings: snapshot.sightings.get(&worker.name),
        surplus: supply.workers.saturating_sub(jobs.saturating_add(warm)),
        warm,
        drained_since,
        installation_gone_since: snapshot
            .installations
            .get(&worker.scope.installation)
            .and_then(|health| health.gone_since)
            // A job may run there whose `in_progress` was lost: GitHub cannot be asked, but delivers again.
            .filter(|since| all_arrived(*since, snapshot.deliveries_swept, &draft.policy.timeouts)),
    }
}

/// A pod that is not bound may still be bound to a board of its pool that was drained after it was made: later
/// ones are told to avoid it.
fn drained_since(draft: &Draft<'_>, worker: &Worker, pod: Option<&Pod>) -> Option<Timestamp> {
    let pod = pod.filter(|pod| pod.holds_slot())?;
    let controls = &draft.snapshot.controls;
    if let Some(note) = controls.drained_pools.get(&worker.pool) {
        return Some(note.since);
    }
    match &pod.node {
        Some(node) => controls.drained_nodes.get(node).map(|note| note.since),
        None => {
            let selector = &draft.policy.pools.get(&worker.pool)?.node_selector;
            let nodes = draft.snapshot.nodes.present()?;
            let may_bind = |name: &NodeName| nodes.get(name).is_some_and(|node| node.matches(selector));
            let drained = controls.drained_nodes.iter().filter(|(name, _)| may_bind(name));
            drained.map(|(_, note)| note.since).filter(|since| *since > pod.created_at).max()
        }
    }
}
