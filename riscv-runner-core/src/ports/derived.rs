//! What every store makes of what it is given, whatever it keeps it in: rows of reservations, changed rows, and
//! what is read back of a job.

use super::{Cas, KnownRepo, Reservation, Standing, WorkerChange};
use crate::{
    job::{Job, JobFacts},
    scope::PoolKey,
    snapshot::PendingJob,
    worker::{Worker, WorkerStatus},
};

impl Reservation {
    /// The row that is written.
    #[must_use]
    pub fn row(&self) -> Worker {
        Worker {
            name: self.name.clone(),
            scope: self.scope.clone(),
            labels: self.labels.clone(),
            pool: self.pool.clone(),
            image: self.image.clone(),
            status: WorkerStatus::Pending,
            node: None,
            pod_uid: None,
            runner: None,
            created_at: self.at,
            running_at: None,
            completed_at: None,
            online_at: None,
            gone_at: None,
            failure: None,
            job: None,
        }
    }
}

impl Worker {
    /// Changes the row, if it is still in `from` and `change` may follow that.
    pub fn change(&mut self, from: WorkerStatus, change: &WorkerChange) -> Cas {
        let target = change.target();
        if self.status != from || target.is_some_and(|target| !target.sources().contains(&from)) {
            return Cas::Stale;
        }
        self.status = target.unwrap_or(from);
        match change {
            WorkerChange::Provisioned { runner, pod } => {
                self.runner = runner.or(self.runner);
                self.pod_uid = Some(pod.clone());
            }
            WorkerChange::Running { node, at } => {
                self.node = node.clone().or_else(|| self.node.clone());
                self.running_at = Some(*at);
            }
            WorkerChange::Bound { node } => self.node = Some(node.clone()),
            WorkerChange::Completed { at } => self.completed_at = Some(*at),
            WorkerChange::Failed { at, reason, info, .. } => {
                self.completed_at = Some(*at);
                self.failure = Some((*reason, info.as_ref().clone()));
            }
            WorkerChange::Online { at, runner } => {
                self.online_at = self.online_at.or(Some(*at));
                self.runner = Some(*runner);
            }
            WorkerChange::RegistrationGone { at } => self.gone_at = self.gone_at.or(Some(*at)),
        }
        Cas::Done
    }
}

impl Standing {
    /// Notes what a change of a worker of this key leads to.
    pub fn note(&mut self, key: PoolKey, change: &WorkerChange) {
        let WorkerChange::Failed { backoff, quarantine, .. } = change else { return };
        self.backoffs.extend(backoff.map(|backoff| (key, backoff)));
        self.quarantines.extend(quarantine.clone());
    }
}

impl From<&Job> for PendingJob {
    fn from(job: &Job) -> Self {
        Self {
            id: job.facts.id,
            created_at: job.facts.created_at,
            repo: job.facts.repo.clone(),
            scope: job.facts.scope_ref(),
            placement: job.placement.clone(),
        }
    }
}

impl From<&JobFacts> for KnownRepo {
    fn from(facts: &JobFacts) -> Self {
        Self {
            entity: facts.entity.clone(),
            installation: facts.installation,
            repo_id: facts.repo_id,
            repo: facts.repo.clone(),
            private: facts.private,
        }
    }
}
