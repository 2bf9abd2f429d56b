//! Images whose runner GitHub refuses as too old: which are set aside, who tries one again, and when a
//! refusal is lifted.
//!
//! The only sign of a refusal is the container's exit code, and a job can produce that too. So it counts
//! only where nothing shows that GitHub accepted the runner, and never for good.

use std::time::Duration;

use jiff::Timestamp;

use super::{Action, Because, Draft, Hold};
use crate::{
    backoff::{add, age},
    ids::ImageRef,
    snapshot::Snapshot,
    worker::Worker,
};

/// The runner's exit code when GitHub refuses its version.
const EXIT_VERSION_REFUSED: i32 = 7;
/// A job's `in_progress` arrives within seconds, but the end of its pod is seen at once: the exit code is
/// believed only after this long without one.
const EVIDENCE_GRACE: Duration = Duration::from_secs(30);

/// What the end of a worker's container says about its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    NotRefused,
    /// Evidence that GitHub accepted the runner may be on its way.
    Undecided,
    /// GitHub refused the runner.
    Refused,
}

/// What the exit code with which the worker's container ended at `ended_at` says.
pub(super) fn verdict(
    snapshot: &Snapshot,
    worker: &Worker,
    exit_code: Option<i32>,
    ended_at: Timestamp,
) -> Verdict {
    if exit_code != Some(EXIT_VERSION_REFUSED) || accepted_at(snapshot, worker).is_some() {
        Verdict::NotRefused
    } else if age(snapshot.now, ended_at) < EVIDENCE_GRACE {
        Verdict::Undecided
    } else {
        Verdict::Refused
    }
}

/// The image to set aside because the worker's runner was refused: none where GitHub has accepted another
/// runner of the image meanwhile.
pub(super) fn to_set_aside(snapshot: &Snapshot, worker: &Worker) -> Option<ImageRef> {
    accepting_worker(snapshot, &worker.image, worker.created_at).is_none().then(|| worker.image.clone())
}

/// Why no worker may be made of the image now, if none may. After the wait a single worker tries it again.
pub(super) fn hold(draft: &Draft<'_>, image: &ImageRef) -> Option<Hold> {
    let (image, since) = draft.snapshot.refused_images.get_key_value(image)?;
    let until = add(*since, draft.policy.timeouts.quarantine);
    let until = if draft.snapshot.now < until {
        Some(until)
    } else if draft.tries(image) || is_tried(draft.snapshot, image, *since) {
        None
    } else {
        return None;
    };
    Some(Hold::ImageRefused { image: image.clone(), since: *since, until })
}

/// Lifts refusals of images whose runner GitHub has accepted since.
pub fn lift_refusals(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    for (image, since) in &snapshot.refused_images {
        if let Some(worker) = accepting_worker(snapshot, image, *since) {
            let action = Action::LiftRefusal { worker: worker.name.clone(), image: image.clone() };
            draft.also(action, Because::RunnerAccepted);
        }
    }
}

fn is_tried(snapshot: &Snapshot, image: &ImageRef, since: Timestamp) -> bool {
    let mut live = snapshot.workers.values().filter(|worker| !worker.status.is_terminal());
    live.any(|worker| worker.image == *image && worker.created_at >= since)
}

fn accepting_worker<'a>(snapshot: &'a Snapshot, image: &ImageRef, since: Timestamp) -> Option<&'a Worker> {
    let accepted = |worker: &&Worker| accepted_at(snapshot, worker).is_some_and(|at| at >= since);
    snapshot.workers.values().filter(|worker| worker.image == *image).find(accepted)
}

/// When GitHub had accepted the worker's runner, as far as anything shows it.
fn accepted_at(snapshot: &Snapshot, worker: &Worker) -> Option<Timestamp> {
    let seen = snapshot.sightings.get(&worker.name);
    let has_job = worker.job.is_some() || seen.is_some_and(|seen| seen.was_busy);
    let online_at = worker.online_at.or_else(|| seen?.first_online);
    online_at.or_else(|| has_job.then_some(worker.created_at))
}
