//! Orphan sweep: live workers that have no pod, and workers whose registration is confirmed gone.

use super::{Action, Because, Draft, PodEnd, sync_pods::end_worker};
use crate::{backoff::age, failure::FailureReason, job::JobPhase, worker::Worker};

/// A registration counts as gone after this many consecutive polls that missed it.
const GONE_AFTER_LOOKS: u32 = 2;

/// Ends workers reserved longer ago than the grace whose pod is certainly not there.
pub fn sweep_orphans(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    for worker in snapshot.workers.values().filter(|worker| !worker.status.is_terminal()) {
        mark_gone(draft, worker);
        let waits_for_pod =
            !snapshot.pod(&worker.name).is_absent() || snapshot.in_flight.contains(&worker.name);
        if draft.is_decided(&worker.name) || waits_for_pod {
            continue;
        }
        let reserved_for = age(snapshot.now, worker.created_at);
        if reserved_for < draft.policy.timeouts.reserved_grace {
            continue;
        }
        draft.debit_supply(worker);
        if worker.job.is_some_and(|job| job.phase == JobPhase::Completed) {
            let action = Action::MarkCompleted {
                worker: worker.name.clone(),
                from: worker.status,
                at: snapshot.now,
                served: Some(worker.key()),
                node: worker.node.clone(),
            };
            draft.decide(action, Because::JobOver);
        } else {
            let end = end_worker(draft, worker, FailureReason::PodMissing, PodEnd::Nothing);
            draft.decide(Action::End(end), Because::NoPod { reserved_for });
        }
    }
}

/// A worker whose registration was seen and is gone is spent: it is supply no more.
fn mark_gone(draft: &mut Draft<'_>, worker: &Worker) {
    let Some(sightings) = draft.snapshot.sightings.get(&worker.name) else { return };
    let looks = sightings.absent_looks;
    if worker.gone_at.is_none()
        && (worker.online_at.is_some() || worker.job.is_some())
        && looks >= GONE_AFTER_LOOKS
    {
        let action = Action::MarkGone { worker: worker.name.clone(), from: worker.status };
        draft.also(action, Because::RegistrationMissing { looks });
    }
}
