//! Health: at most one remedy for each live worker, by the first rule that fires.

use super::{Action, Because, Draft, PodEnd, sync_pods::end_worker};
use crate::{
    backoff::age,
    failure::FailureReason,
    health::{self, Remedy, View, drained_since},
    polling::all_arrived,
    scope::PoolKey,
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
    let drained_since = drained_since(snapshot, draft.policy, worker, pod.present().copied());
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
        kept_warm: warm > 0 && !is_starved(draft, &key),
        drained_since,
        installation_gone_since: snapshot
            .installations
            .get(&worker.scope.installation)
            .and_then(|health| health.gone_since)
            // A job may run there whose `in_progress` was lost: GitHub cannot be asked, but delivers again.
            .filter(|since| all_arrived(*since, snapshot.deliveries_swept, &draft.policy.timeouts)),
    }
}

/// Whether a job of the key has waited for as long as an idle runner may: GitHub does not hand jobs to the
/// runners that are there.
fn is_starved(draft: &Draft<'_>, key: &PoolKey) -> bool {
    let oldest =
        draft.snapshot.demand.get(key).filter(|demand| demand.pending > 0).map(|demand| demand.oldest);
    oldest.flatten().is_some_and(|since| age(draft.snapshot.now, since) >= draft.policy.timeouts.runner_idle)
}
