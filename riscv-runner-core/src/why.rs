//! "Why is my job waiting?": the planner's verdict, extended to jobs whose worker is on its way.

mod since;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::since::{HeldSince, remember_held, since};
use crate::{
    ids::{JobId, WorkerName},
    observed::Observed,
    plan::{Hold, Plan},
    pod::PodPhase,
    scope::PoolKey,
    snapshot::{Demand, Snapshot},
    worker::Worker,
};

/// The one reason for which a job waits now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The planner does not provision a worker for it.
    Held(Hold),
    /// The planner is about to provision a worker for it.
    Provision,
    /// A worker is reserved for it, and its pod is being created.
    Provisioning {
        /// The worker.
        worker: WorkerName,
        /// When the worker was reserved.
        since: Timestamp,
    },
    /// The pod of the worker that will serve it is not running yet.
    PodPending {
        /// The worker.
        worker: WorkerName,
        /// When the pod was created; when the worker was reserved, while the cluster cannot be observed.
        since: Timestamp,
        /// What it waits for, in Kubernetes' words.
        cause: Option<String>,
    },
    /// The pod is running, but its runner is not online yet.
    RunnerBooting {
        /// The worker.
        worker: WorkerName,
        /// When the pod started to run.
        since: Timestamp,
    },
    /// The runner is online and idle: it is GitHub's turn.
    RunnerIdleGithubNotDispatching {
        /// The worker.
        worker: WorkerName,
        /// When the runner was first seen online.
        since: Timestamp,
    },
}

impl Reason {
    /// The reason's name in answers.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Held(hold) => hold.name(),
            Self::Provision => "provision",
            Self::Provisioning { .. } => "provisioning",
            Self::PodPending { .. } => "pod_pending",
            Self::RunnerBooting { .. } => "runner_booting",
            Self::RunnerIdleGithubNotDispatching { .. } => "runner_idle_github_not_dispatching",
        }
    }

    /// Since when it has held, where it says so itself; [`since`] covers every reason.
    #[must_use]
    pub const fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Held(Hold::Paused { note, .. }) => Some(note.since),
            Self::Held(Hold::AuthFailing { since } | Hold::ImageRefused { since, .. })
            | Self::Provisioning { since, .. }
            | Self::PodPending { since, .. }
            | Self::RunnerBooting { since, .. }
            | Self::RunnerIdleGithubNotDispatching { since, .. } => Some(*since),
            Self::Held(_) | Self::Provision => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(hold) => hold.fmt(f),
            Self::Provision => f.write_str("a worker is being provisioned for it now"),
            Self::Provisioning { worker, since } => {
                write!(f, "the pod of {worker} has been starting since {since:.0}")
            }
            Self::PodPending { worker, since, cause: Some(cause) } => {
                write!(f, "the pod of {worker} has been pending since {since:.0}: {cause}")
            }
            Self::PodPending { worker, since, cause: None } => {
                write!(f, "the pod of {worker} has been pending since {since:.0}")
            }
            Self::RunnerBooting { worker, since } => {
                write!(
                    f,
                    "the pod of {worker} has been running since {since:.0}, and its runner is not online yet"
                )
            }
            Self::RunnerIdleGithubNotDispatching { worker, since } => {
                write!(
                    f,
                    "{worker} has been online and idle since {since:.0}: GitHub has not handed it the job yet"
                )
            }
        }
    }
}

/// Why a waiting job of the snapshot waits; `None` for a job that is not among them. The snapshot must hold
/// every waiting job of the job's key, and `plan` must have been made from it.
#[must_use]
pub fn explain(snapshot: &Snapshot, plan: &Plan, job: JobId) -> Option<Reason> {
    let (key, demand, place) = find(snapshot, job)?;
    match plan.held.of(job) {
        None => Some(Reason::Provision),
        Some(Hold::DemandMet) => Some(
            worker_for(snapshot, key, place - demand.skipped as usize)
                .map_or(Reason::Held(Hold::DemandMet), |worker| stage(snapshot, worker)),
        ),
        Some(hold) => Some(Reason::Held(hold.clone())),
    }
}

fn find(snapshot: &Snapshot, job: JobId) -> Option<(&PoolKey, &Demand, usize)> {
    snapshot.demand.iter().find_map(|(key, demand)| {
        let place = demand.waiting.iter().position(|waiting| waiting.id == job)?;
        Some((key, demand, place + demand.skipped as usize))
    })
}

/// The n-th oldest job is served by the n-th of the workers that no job has yet, the furthest first.
fn worker_for<'a>(snapshot: &'a Snapshot, key: &PoolKey, place: usize) -> Option<&'a Worker> {
    let free = |worker: &&Worker| worker.is_supply() && !worker.runs_known_job() && worker.key() == *key;
    let mut workers: Vec<_> = snapshot.workers.values().filter(free).collect();
    workers.sort_by_key(|worker| (worker.online_at.is_none(), worker.created_at));
    workers.get(place).copied()
}

fn stage(snapshot: &Snapshot, worker: &Worker) -> Reason {
    let name = worker.name.clone();
    if let Some(since) = worker.online_at {
        return Reason::RunnerIdleGithubNotDispatching { worker: name, since };
    }
    match snapshot.pod(&worker.name) {
        Observed::Present(pod) => match &pod.phase {
            PodPhase::Pending { reason } => {
                Reason::PodPending { worker: name, since: pod.created_at, cause: reason.clone() }
            }
            PodPhase::Running { since } => Reason::RunnerBooting { worker: name, since: *since },
            PodPhase::Succeeded { .. } | PodPhase::Failed { .. } | PodPhase::Unknown => {
                Reason::PodPending { worker: name, since: pod.created_at, cause: None }
            }
        },
        Observed::Absent => Reason::Provisioning { worker: name, since: worker.created_at },
        // The row tells how far the pod was when the cluster was last seen.
        Observed::Unknown(_) => match (worker.running_at, &worker.pod_uid) {
            (Some(since), _) => Reason::RunnerBooting { worker: name, since },
            (None, Some(_)) => {
                let cause = Some("the cluster cannot be observed".to_owned());
                Reason::PodPending { worker: name, since: worker.created_at, cause }
            }
            (None, None) => Reason::Provisioning { worker: name, since: worker.created_at },
        },
    }
}
