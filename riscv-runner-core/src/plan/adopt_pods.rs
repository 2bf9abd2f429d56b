//! Adoption: pods of ours that no live row stands for.

use super::{Action, Because, Draft, PodEnd, action::Registration};
use crate::{backoff::age, ids::RunnerName, pod::Pod, snapshot::Snapshot, worker::Worker};

/// Adopts live pods that have no row, and ends live pods whose worker has ended. A pod that cannot be adopted
/// is ended once its runner is listed as idle and GitHub agrees.
pub fn adopt_pods(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    let Some(pods) = snapshot.pods.present() else { return };
    for (name, pod) in pods.iter().filter(|(_, pod)| pod.holds_slot() && !pod.deleting && !pod.killed) {
        // Another environment may share the namespace.
        if snapshot.workers.contains_key(name) || !draft.policy.name_prefix.owns(name.as_str()) {
            continue;
        }
        match snapshot.ended.get(name) {
            Some(worker) => end_left_over(draft, worker, pod),
            None => adopt(draft, pod),
        }
    }
}

/// A pod that outlived its row: the process died between marking the worker and ending the pod. A
/// worker that completed is given time to end by itself.
fn end_left_over(draft: &mut Draft<'_>, worker: &Worker, pod: &Pod) {
    let now = draft.snapshot.now;
    let ended_for = worker.completed_at.map_or(std::time::Duration::MAX, |at| age(now, at));
    if worker.runs_known_job() || ended_for < draft.policy.timeouts.orphan_grace {
        return;
    }
    let listed = draft.snapshot.runner(worker).present().map(|runner| runner.id);
    let registration =
        listed.or(worker.runner).map(|runner| Registration { scope: worker.scope.clone(), runner });
    let action = Action::KillPod { worker: pod.name.clone(), pod: PodEnd::of(pod), registration };
    draft.decide(action, Because::WorkerEnded);
}

fn adopt(draft: &mut Draft<'_>, pod: &Pod) {
    // A row is written before its pod, so a missing row means that the store lost it, or that the pod
    // belongs to another store. Young pods are left alone until both were read again.
    if age(draft.snapshot.now, pod.created_at) < draft.policy.timeouts.orphan_grace {
        return;
    }
    let worker = pod.name.clone();
    let action = match &pod.identity {
        Some(identity) => Action::Adopt {
            worker,
            uid: pod.uid.clone(),
            identity: identity.clone(),
            node: pod.node.clone(),
            created_at: pod.created_at,
        },
        None => {
            let Some(registration) = idle_registration(draft.snapshot, pod) else { return };
            Action::KillPod { worker, pod: PodEnd::of(pod), registration: Some(registration) }
        }
    };
    draft.decide(action, Because::NoRow);
}

/// The registration of a pod that does not say where its runner is registered: GitHub is asked before it is
/// deleted. In a scope that nobody looked at a job may run; the pod's own deadline ends what is never listed.
fn idle_registration(snapshot: &Snapshot, pod: &Pod) -> Option<Registration> {
    let name = RunnerName::from(&pod.name);
    snapshot.scopes.iter().find_map(|scope| {
        let runner = snapshot.runners.get(&scope.scope())?.present()?.get(&name)?;
        (!runner.busy).then(|| Registration { scope: scope.clone(), runner: runner.id })
    })
}
