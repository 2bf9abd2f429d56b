//! Expiry: ended pods are kept for a while, with their logs and events, and then deleted.

use super::{Action, Because, Draft};
use crate::backoff::age;

/// Deletes pods that ended longer ago than the grace. A live row is synchronised with its pod first.
pub fn expire_pods(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    let Some(pods) = snapshot.pods.present() else { return };
    for (name, pod) in pods.iter().filter(|(_, pod)| !pod.deleting) {
        let Some(ended_at) = pod.phase.ended_at() else { continue };
        if !draft.policy.name_prefix.owns(name.as_str()) {
            continue;
        }
        let live = snapshot.workers.get(name).is_some_and(|worker| !worker.status.is_terminal());
        if live || age(snapshot.now, ended_at) < draft.policy.timeouts.pod_grace {
            continue;
        }
        let action = Action::DeletePod { worker: name.clone(), uid: pod.uid.clone() };
        draft.also(action, Because::GraceOver { ended_at });
    }
}
