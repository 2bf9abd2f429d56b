//! The one reason for which a job waits, or its outcome.

use jiff::Timestamp;
use riscv_runner_core::{
    ids::{NodeName, PoolName, WorkerName},
    job::{Job, JobPhase},
    policy::NamePrefix,
    ports::{Ahead, JobRow},
    worker::{Worker, WorkerStatus},
};
use serde::{Deserialize, Serialize};

use super::{JobView, Reader, ReasonView, reason};
use crate::picture::{Picture, Position};

/// A job with its reason: `/why/{job_id}.json`, `rrctl why JOB`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhyView {
    /// The job.
    #[serde(flatten)]
    pub job: JobView,
    /// The key under which it is compared with workers.
    pub pool_key: String,
    /// Why it waits; `null` for a job that does not wait.
    pub reason: Option<ReasonView>,
    /// Its place in the queue; `null` for a job that does not wait, and where a long queue could not be counted.
    pub position: Option<Position>,
    /// The worker that has it or that is to serve it, while that worker is live.
    pub worker: Option<WaitedFor>,
    /// Whether the reporting process leads: only the leader knows all of GitHub's limits.
    pub leading: bool,
    /// The time of these facts.
    pub as_of: Timestamp,
}

/// The worker that has a job or that is to serve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitedFor {
    /// Its name.
    pub pod_name: WorkerName,
    /// Its status.
    pub status: WorkerStatus,
    /// Its pool.
    pub k8s_pool: PoolName,
    /// Its board, once it is bound.
    pub k8s_node: Option<NodeName>,
    /// When it was reserved.
    pub created_at: Timestamp,
    /// When its container started.
    pub running_at: Option<Timestamp>,
    /// When GitHub first listed it as online.
    pub online_at: Option<Timestamp>,
}

impl WhyView {
    /// A job's state, for a reader who may know its repository; [`Self::explained`] adds what a picture says
    /// about one that waits or runs.
    #[must_use]
    pub fn of(row: &JobRow, reader: Reader, ours: &NamePrefix, leading: bool, as_of: Timestamp) -> Self {
        Self {
            job: JobView::of(row, reader, ours),
            pool_key: row.job.facts.key().to_string(),
            reason: None,
            position: None,
            worker: None,
            leading,
            as_of,
        }
    }

    /// Adds what a picture says about the job.
    #[must_use]
    pub fn explained(mut self, picture: &Picture, job: &Job) -> Self {
        let workers = &picture.snapshot.workers;
        self.as_of = picture.snapshot.now;
        if job.state.phase == JobPhase::Running {
            let runner = job.state.start.as_ref().and_then(|start| start.runner.as_ref());
            let worker = runner.and_then(|runner| WorkerName::new(runner.as_str()).ok());
            let worker = worker.and_then(|name| workers.get(&name));
            // Another account may give a runner of its own the name of a worker.
            let worker = worker.filter(|worker| worker.scope.entity == job.facts.entity.id);
            self.worker = worker.map(|worker| WaitedFor::of(picture, worker));
            return self;
        }
        let reason = picture.reason(job);
        let worker =
            reason.as_ref().and_then(|(reason, _)| reason::worker(reason)).and_then(|name| workers.get(name));
        self.worker = worker.map(|worker| WaitedFor::of(picture, worker));
        self.position = picture.position(&job.facts);
        self.reason = reason.as_ref().map(|(reason, since)| ReasonView::whole(reason, *since));
        self
    }

    /// Adds where the job stands, counted apart: of a long queue, a picture holds the first jobs alone.
    #[must_use]
    pub fn placed(mut self, picture: &Picture, job: &Job, ahead: Ahead) -> Self {
        self.position = Some(picture.position_behind(job, ahead));
        self
    }

    /// Whether it waits, and its place is not known yet.
    pub(crate) fn lacks_position(&self) -> bool {
        self.reason.is_some() && self.position.is_none()
    }

    /// Whether the picture was recent enough to know the job.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.reason.is_some() || self.job.status != JobPhase::Pending
    }
}

impl WaitedFor {
    fn of(picture: &Picture, worker: &Worker) -> Self {
        let bound_to = || picture.snapshot.pod(&worker.name).present().and_then(|pod| pod.node.clone());
        Self {
            pod_name: worker.name.clone(),
            status: worker.status,
            k8s_pool: worker.pool.clone(),
            k8s_node: worker.node.clone().or_else(bound_to),
            created_at: worker.created_at,
            running_at: worker.running_at,
            online_at: worker.online_at,
        }
    }
}
