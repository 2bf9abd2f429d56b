//! Revocations: workers that an operator wants gone, ended now.

use super::{Action, Because, Draft, EndWorker, PodEnd, sync_pods::end_worker};
use crate::{controls::Revocation, failure::FailureReason, snapshot::Snapshot, worker::Worker};

/// Ends every revoked worker that may be ended. One that runs a job is only ended by force; without it the
/// order stays until the job has ended, and GitHub's word that a runner is busy stops it too.
pub fn revoke_workers(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    for (name, revocation) in &snapshot.controls.revoked_workers {
        let Some(worker) = snapshot.workers.get(name).filter(|worker| !worker.status.is_terminal()) else {
            continue;
        };
        if draft.is_decided(name) || !may_end(snapshot, worker, revocation) {
            continue;
        }
        let pod = snapshot.pod(name).present().map_or(PodEnd::Nothing, |pod| PodEnd::of(pod));
        let end = end_worker(draft, worker, FailureReason::Revoked, pod);
        let end = EndWorker { revocation: Some(revocation.clone()), ..end };
        draft.debit_supply(worker);
        draft.decide(Action::End(end), Because::Revoked { note: revocation.note.clone() });
    }
}

fn may_end(snapshot: &Snapshot, worker: &Worker, revocation: &Revocation) -> bool {
    // Its pod may be there, or be about to be.
    if snapshot.pod(&worker.name).is_unknown() || snapshot.in_flight.contains(&worker.name) {
        return false;
    }
    // Without a registration that GitHub can be asked about, only a look says that there is none.
    let can_ask = worker.runner.is_some() || !snapshot.runner(worker).is_unknown();
    revocation.force || !worker.runs_known_job() && can_ask
}
