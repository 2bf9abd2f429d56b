//! Secrets that nothing needs: a JIT configuration is read once, when the container starts.

use super::{Action, Because, Draft};
use crate::{backoff::age, pod::PodPhase};

/// Deletes the secrets of runners that have started, and those that belong to no live worker.
pub fn sweep_secrets(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    let Some(secrets) = snapshot.secrets.present() else { return };
    for (name, created_at) in secrets {
        let because = match snapshot.workers.get(name) {
            Some(worker) => {
                let pod = snapshot.pod(name);
                let started = pod.present().is_some_and(|pod| !matches!(pod.phase, PodPhase::Pending { .. }));
                if !started && worker.online_at.is_none() && worker.job.is_none() {
                    continue;
                }
                Because::RunnerStarted
            }
            // A reservation of the other replica may be younger than our look at the rows.
            // Another environment may share the namespace.
            None if !draft.policy.name_prefix.owns(name.as_str()) => continue,
            None if age(snapshot.now, *created_at) < draft.policy.timeouts.orphan_grace => continue,
            None => Because::NoLiveWorker,
        };
        draft.also(Action::DeleteSecret { worker: name.clone() }, because);
    }
}
