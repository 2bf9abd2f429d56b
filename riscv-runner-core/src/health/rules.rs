//! The rules of worker health, in the order in which they are asked; the first that fires decides.

use std::time::Duration;

use jiff::Timestamp;

use super::{Remedy, Rule, View};
use crate::{failure::FailureReason, job::JobPhase, observed::Observed, pod::PodPhase};

/// GitHub's `busy` and `status` are wrong at times, so a runner is judged idle by two polls at least.
const LOOKS: u32 = 2;

/// Every rule.
pub const WORKER_RULES: &[Rule] = &[
    Rule {
        reason: FailureReason::NodeUnreachable,
        says: "its node stopped answering, or is gone",
        setting: Some("node_lost"),
        threshold: |timeouts| timeouts.node_lost,
        remedy: Remedy::ForceDelete,
        spares_known_jobs: false,
        since: node_unreachable,
    },
    Rule {
        reason: FailureReason::InstallationNotFound,
        says: "its App was uninstalled, and no delivery reports a job on it",
        setting: None,
        threshold: |_| Duration::ZERO,
        remedy: Remedy::Kill,
        spares_known_jobs: true,
        since: installation_gone,
    },
    Rule {
        reason: FailureReason::PodStuckPending,
        says: "its pod stays Pending",
        setting: Some("pod_pending"),
        threshold: |timeouts| timeouts.pod_pending,
        remedy: Remedy::Kill,
        spares_known_jobs: true,
        since: pod_stuck_pending,
    },
    Rule {
        reason: FailureReason::RunnerNeverRegistered,
        says: "its pod runs, but its runner was never online",
        setting: Some("runner_registration"),
        threshold: |timeouts| timeouts.runner_registration,
        remedy: Remedy::Kill,
        spares_known_jobs: true,
        since: runner_never_registered,
    },
    Rule {
        reason: FailureReason::RunnerLost,
        says: "its runner went offline: while busy, and its pod does not run, or without a job",
        setting: Some("runner_lost"),
        threshold: |timeouts| timeouts.runner_lost,
        remedy: Remedy::Kill,
        spares_known_jobs: false,
        since: runner_lost,
    },
    Rule {
        reason: FailureReason::RunnerGone,
        says: "its registration is gone, or its job is over, but its pod keeps running",
        setting: Some("runner_lost"),
        threshold: |timeouts| timeouts.runner_lost,
        remedy: Remedy::Kill,
        spares_known_jobs: true,
        since: runner_gone,
    },
    Rule {
        reason: FailureReason::Drained,
        says: "its board or its pool is drained, and its runner has no job",
        setting: None,
        threshold: |_| Duration::ZERO,
        remedy: Remedy::Kill,
        spares_known_jobs: true,
        since: drained,
    },
    Rule {
        reason: FailureReason::RunnerSurplus,
        says: "its runner is idle, and supply exceeds demand",
        setting: Some("runner_surplus"),
        threshold: |timeouts| timeouts.runner_surplus,
        remedy: Remedy::Kill,
        spares_known_jobs: true,
        since: runner_surplus,
    },
    Rule {
        reason: FailureReason::RunnerIdle,
        says: "its runner is idle, though there is demand",
        setting: Some("runner_idle"),
        threshold: |timeouts| timeouts.runner_idle,
        remedy: Remedy::Kill,
        spares_known_jobs: true,
        since: runner_idle,
    },
];

fn node_unreachable(view: &View<'_>) -> Option<Timestamp> {
    let pod = view.pod.present().filter(|pod| pod.holds_slot())?;
    // GitHub has the last word about its job: without a registration to ask about, only a look at the listing
    // says that there is none.
    if view.worker.runner.is_none() && view.runner.is_unknown() {
        return None;
    }
    match view.node.as_ref()? {
        Observed::Present(node) => node.unreachable_since,
        // When it went is not known; it has not been there since the pod was bound at the earliest.
        Observed::Absent => Some(pod.created_at),
        Observed::Unknown(_) => None,
    }
}

fn installation_gone(view: &View<'_>) -> Option<Timestamp> {
    // A job that was given up with its App may have begun before: its `in_progress` came late.
    let lost_sight = view.worker.job.is_some_and(|job| job.phase == JobPhase::Failed);
    view.installation_gone_since.filter(|_| !lost_sight)
}

fn pod_stuck_pending(view: &View<'_>) -> Option<Timestamp> {
    let pod = view.pod.present().filter(|pod| !pod.killed)?;
    matches!(pod.phase, PodPhase::Pending { .. }).then_some(pod.created_at)
}

fn runner_never_registered(view: &View<'_>) -> Option<Timestamp> {
    let running_since = running_since(view)?;
    if view.worker.online_at.is_some() || view.worker.job.is_some() {
        return None;
    }
    let sightings = view.sightings?;
    let never_online = match view.runner {
        Observed::Present(runner) => !runner.online && !runner.busy && sightings.first_online.is_none(),
        Observed::Absent => sightings.first_online.is_none() && sightings.absent_looks >= LOOKS,
        Observed::Unknown(_) => false,
    };
    never_online.then_some(running_since)
}

fn runner_lost(view: &View<'_>) -> Option<Timestamp> {
    let (runner, sightings) = (view.runner.present()?, view.sightings?);
    if runner.online {
        return None;
    }
    if running_since(view).is_none() {
        return sightings.lost_since;
    }
    let was_online = view.worker.online_at.is_some() || sightings.first_online.is_some();
    let may_work = runner.busy || view.worker.job.is_some_and(|job| job.phase != JobPhase::Completed);
    let counts = was_online && !may_work && sightings.offline_looks >= LOOKS;
    sightings.offline_since.filter(|_| counts)
}

fn runner_gone(view: &View<'_>) -> Option<Timestamp> {
    running_since(view)?;
    match view.runner {
        Observed::Absent => view.worker.gone_at,
        Observed::Present(runner) => {
            // An ephemeral runner ends with its job; one that hangs holds its board for days.
            let sightings = view.sightings?;
            let is_over = view.worker.job.is_some_and(|job| job.phase == JobPhase::Completed);
            let counts = is_over && !runner.busy && sightings.idle_looks >= LOOKS;
            sightings.idle_since.filter(|_| counts)
        }
        Observed::Unknown(_) => None,
    }
}

/// Without a job a runner would take one as long as it is there. One look is enough: GitHub refuses to delete
/// the registration of a busy one.
fn drained(view: &View<'_>) -> Option<Timestamp> {
    let has_job = view.runner.present()?.busy || view.worker.job.is_some();
    view.drained_since.filter(|_| !has_job)
}

fn runner_surplus(view: &View<'_>) -> Option<Timestamp> {
    if view.surplus == 0 {
        return None;
    }
    idle_since(view)
}

fn runner_idle(view: &View<'_>) -> Option<Timestamp> {
    if view.kept_warm { None } else { idle_since(view) }
}

fn idle_since(view: &View<'_>) -> Option<Timestamp> {
    let runner = view.runner.present()?;
    let sightings = view.sightings?;
    // Both sources must agree, and a job that names the worker, over or not, explains the runner.
    if runner.busy || !runner.online || sightings.idle_looks < LOOKS || view.worker.job.is_some() {
        return None;
    }
    sightings.idle_since
}

fn running_since(view: &View<'_>) -> Option<Timestamp> {
    match view.pod.present()?.phase {
        PodPhase::Running { since } => Some(since),
        PodPhase::Pending { .. }
        | PodPhase::Succeeded { .. }
        | PodPhase::Failed { .. }
        | PodPhase::Unknown => None,
    }
}
