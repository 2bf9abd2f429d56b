//! Pod phase sync: rows follow what the cluster says of their pods.

use super::{
    Action, Because, Draft, EndWorker, PodEnd,
    action::Registration,
    refused_images::{Verdict, to_set_aside, verdict},
};
use crate::{
    backoff::Backoff,
    failure::FailureReason,
    pod::{Pod, PodPhase},
    quarantine::Quarantine,
    worker::{Worker, WorkerStatus},
};

/// Brings every live worker's row up to its pod's phase.
pub fn sync_pods(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    for worker in snapshot.workers.values().filter(|worker| !worker.status.is_terminal()) {
        let Some(pod) = snapshot.pod(&worker.name).present().copied() else { continue };
        if pod.phase.ended_at().is_some() && worker.status == WorkerStatus::Pending {
            draft.also(Action::DeleteSecret { worker: worker.name.clone() }, Because::WorkerEnded);
        }
        match &pod.phase {
            PodPhase::Pending { .. } => note_bound(draft, worker, pod),
            PodPhase::Running { since } => {
                if worker.status == WorkerStatus::Pending {
                    let action = Action::MarkRunning {
                        worker: worker.name.clone(),
                        from: worker.status,
                        node: pod.node.clone(),
                        at: *since,
                    };
                    draft.also(action, because(pod));
                    // The container has read its environment: nobody needs the secret.
                    draft.also(Action::DeleteSecret { worker: worker.name.clone() }, Because::RunnerStarted);
                } else {
                    note_bound(draft, worker, pod);
                }
            }
            PodPhase::Succeeded { at } => {
                let action = Action::MarkCompleted {
                    worker: worker.name.clone(),
                    from: worker.status,
                    at: *at,
                    served: worker.job.map(|_| worker.key()),
                    node: pod.node.clone().filter(|_| worker.job.is_some()),
                };
                draft.debit_supply(worker);
                draft.decide(action, because(pod));
            }
            PodPhase::Failed { at, exit_code, .. } => {
                let reason = match verdict(snapshot, worker, *exit_code, *at) {
                    Verdict::NotRefused => FailureReason::PodFailed,
                    Verdict::Refused => FailureReason::RunnerVersionRefused,
                    Verdict::Undecided => continue,
                };
                let end = end_worker(draft, worker, reason, PodEnd::Nothing);
                draft.debit_supply(worker);
                draft.decide(Action::End(EndWorker { at: *at, ..end }), because(pod));
            }
            PodPhase::Unknown => {}
        }
    }
}

fn because(pod: &Pod) -> Because {
    let phase = match &pod.phase {
        PodPhase::Pending { .. } => "Pending".into(),
        PodPhase::Running { .. } => "Running".into(),
        PodPhase::Succeeded { .. } => "Succeeded".into(),
        PodPhase::Failed { exit_code: Some(code), .. } => format!("Failed with exit code {code}"),
        PodPhase::Failed { reason: Some(reason), .. } => format!("Failed: {reason}"),
        PodPhase::Failed { .. } => "Failed".into(),
        PodPhase::Unknown => "Unknown".into(),
    };
    Because::PodPhase { phase }
}

fn note_bound(draft: &mut Draft<'_>, worker: &Worker, pod: &Pod) {
    if let Some(node) = pod.node.as_ref().filter(|node| worker.node.as_ref() != Some(*node)) {
        let action =
            Action::NoteBound { worker: worker.name.clone(), from: worker.status, node: node.clone() };
        draft.also(action, because(pod));
    }
}

/// The end of a worker for a reason, with what follows from it for its key and its board.
pub(super) fn end_worker(
    draft: &mut Draft<'_>,
    worker: &Worker,
    reason: FailureReason,
    pod: PodEnd,
) -> EndWorker {
    let snapshot = draft.snapshot;
    let seed = draft.chance();
    let timeouts = &draft.policy.timeouts;
    let node = worker
        .node
        .as_ref()
        .or_else(|| snapshot.pod(&worker.name).present().and_then(|pod| pod.node.as_ref()));
    // A reservation of which no pod is known was lost with the process that made it, or with an answer:
    // that is not its key's fault. A worker whose job is over did what it was for; a routine end proves
    // nothing either.
    let never_made = reason == FailureReason::PodMissing && worker.pod_uid.is_none();
    let over = worker.job.is_some_and(|job| !job.phase.is_demand());
    let blameless = reason.is_routine() || never_made || over;
    let backoff = (!blameless)
        .then(|| Backoff::after_failure(snapshot.backoffs.get(&worker.key()), snapshot.now, seed, timeouts));
    // A board that brought a runner up is sound: what ends its container then is usually the job.
    let came_up = worker.job.is_some() || worker.online_at.is_some();
    let blamed = reason.blames_board() && !(reason == FailureReason::PodFailed && came_up);
    let quarantine = node.filter(|_| !blameless && blamed).map(|node| {
        (node.clone(), Quarantine::after_failure(snapshot.quarantines.get(node), snapshot.now, timeouts))
    });
    EndWorker {
        worker: worker.name.clone(),
        from: worker.status,
        reason,
        at: snapshot.now,
        registration: registration_of(snapshot.runner(worker).present().map(|runner| runner.id), worker),
        pod,
        backoff,
        quarantine,
        refused_image: if reason == FailureReason::RunnerVersionRefused {
            to_set_aside(snapshot, worker)
        } else {
            None
        },
        revocation: None,
    }
}

fn registration_of(listed: Option<crate::ids::RunnerId>, worker: &Worker) -> Option<Registration> {
    let runner = listed.or(worker.runner)?;
    Some(Registration { scope: worker.scope.clone(), runner })
}
