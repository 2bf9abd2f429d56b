//! Runs and jobs: queued, handed to a runner, done; and what GitHub does about those that are not.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::DeliveryContent,
    ids::{EntityId, JobId, Login, RepoId, RepoName, RunId, RunnerId},
    job::{End, JobEvent, JobFacts, Start},
    labels::LabelSet,
    scope::Scope,
};

use super::assigned;
use crate::{
    cluster::PodEnd,
    faults::FaultKind,
    truth::{Event, Truth},
};

/// GitHub cancels a job that has been queued for a day.
const QUEUE_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// How long GitHub takes to hand a queued job to an idle runner.
const DISPATCH: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long GitHub waits for a busy runner that went silent.
const SILENCE: (Duration, Duration) = (Duration::from_secs(120), Duration::from_secs(600));

/// A job on GitHub.
#[derive(Debug, Clone)]
pub struct GithubJob {
    /// Its id.
    pub id: JobId,
    /// Its run.
    pub run: RunId,
    /// Its repository.
    pub repo: RepoId,
    /// Its account.
    pub entity: EntityId,
    /// Its labels.
    pub labels: LabelSet,
    /// When it was created.
    pub created_at: Timestamp,
    /// How long its work takes.
    pub work: Duration,
    /// How far it has come.
    pub state: GithubState,
    /// How often a runner has begun it.
    pub starts: u32,
    /// How often GitHub has taken it back into the queue.
    pub put_back: u32,
}

/// How far a job has come on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GithubState {
    /// It waits for a runner.
    Queued,
    /// A runner has it.
    InProgress {
        /// Which.
        runner: RunnerId,
        /// Since when, and the runner's name.
        start: Start,
    },
    /// It is over.
    Completed {
        /// How it ended.
        end: End,
        /// When it had started, if it had.
        start: Option<Start>,
    },
}

impl Truth {
    /// A workflow starts: its jobs are queued.
    pub(crate) fn queue_run(&mut self, repo: RepoId, jobs: &[(LabelSet, Duration)]) -> Option<RunId> {
        let scope = self.scope_of(repo)?;
        let run = assigned(self.github.next_id());
        for (labels, work) in jobs {
            let id: JobId = assigned(self.github.next_id());
            let created_at = self.now();
            let job = GithubJob {
                id,
                run,
                repo,
                entity: scope.entity(),
                labels: labels.clone(),
                created_at,
                work: *work,
                state: GithubState::Queued,
                starts: 0,
                put_back: 0,
            };
            self.github.jobs.insert(id, job);
            self.github.runs.entry(run).or_default().push(id);
            self.github.queued.entry(scope).or_default().insert((created_at, id));
            self.trace.line(format_args!("job {id} queued {scope}|{labels}"));
            self.announce_job(id, "queued", JobEvent::Queued);
            self.after(QUEUE_LIMIT, Event::Expire(id));
        }
        self.dispatch_soon(scope);
        Some(run)
    }

    /// What a webhook says about a job, apart from its progress.
    pub(crate) fn facts_of(&self, job: JobId) -> Option<JobFacts> {
        let job = self.github.jobs.get(&job)?;
        let repository = self.github.repositories.get(&job.repo)?;
        let account = self.github.accounts.get(&job.entity)?;
        Some(JobFacts {
            id: job.id,
            run: Some(job.run),
            entity: account.entity.clone(),
            installation: account.installation,
            repo_id: repository.id,
            repo: repository.name.clone(),
            private: repository.private,
            labels: job.labels.clone(),
            name: Some(format!("job-{}", job.id)),
            html_url: Some(format!(
                "https://github.example/{}/actions/runs/{}/job/{}",
                repository.name, job.run, job.id
            )),
            created_at: job.created_at,
        })
    }

    fn announce_job(&mut self, job: JobId, action: &str, event: JobEvent) {
        let Some(facts) = self.facts_of(job) else { return };
        let content = DeliveryContent::Job { event: Some(event), facts: Box::new(facts.clone()) };
        self.announce(facts.entity.id, Some(facts.repo), &format!("workflow_job.{action}"), content);
    }

    pub(crate) fn dispatch_soon(&mut self, scope: Scope) {
        self.within(DISPATCH.0, DISPATCH.1, Event::Dispatch(scope));
    }

    /// Every scope of an account looks for runners again.
    pub(crate) fn requeue_dispatch(&mut self, entity: EntityId) {
        let scopes: Vec<_> =
            self.github.queued.keys().filter(|scope| scope.entity() == entity).copied().collect();
        for scope in scopes {
            self.dispatch_soon(scope);
        }
    }

    /// Hands the oldest fitting job to each idle runner of the scope.
    pub(crate) fn dispatch(&mut self, scope: Scope) {
        for runner in self.idle_runners(scope) {
            let Some(labels) = self.github.runners.get(&runner).map(|found| found.labels.clone()) else {
                continue;
            };
            let Some(queue) = self.github.queued.get(&scope) else { return };
            let mut jobs = queue.iter().filter_map(|(_, id)| self.github.jobs.get(id));
            let Some(job) = jobs.find(|job| job.labels.is_subset(&labels)).map(|job| job.id) else {
                continue;
            };
            self.start_job(job, runner, scope);
        }
    }

    fn start_job(&mut self, id: JobId, runner: RunnerId, scope: Scope) {
        let now = self.now();
        let lie = self.choose_lie();
        let Some(registration) = self.github.runners.get_mut(&runner) else { return };
        registration.busy = Some(id);
        registration.lie = lie;
        let start = Start { at: now, runner: Some(registration.name.clone()) };
        let pod = registration.pod;
        let Some(job) = self.github.jobs.get_mut(&id) else { return };
        job.state = GithubState::InProgress { runner, start: start.clone() };
        job.starts += 1;
        let (work, created_at) = (job.work, job.created_at);
        if let Some(queue) = self.github.queued.get_mut(&scope) {
            queue.remove(&(created_at, id));
        }
        self.trace.line(format_args!("job {id} starts on runner {runner}"));
        self.announce_job(id, "in_progress", JobEvent::InProgress(start));
        let dies = self.mischief(self.profile.boards.runner_dies, FaultKind::RunnerDied);
        if let Some(pod) = pod.filter(|_| dies) {
            let wait = self.nature.between(Duration::ZERO, work);
            let end = PodEnd::Failed { exit_code: Some(137), reason: None };
            self.after(wait, Event::ContainerEnd(pod, end));
        }
        self.after(work, Event::JobDone { job: id, runner });
    }

    /// The work is done, if its runner still lives.
    pub(crate) fn job_done(&mut self, job: JobId, runner: RunnerId) {
        let Some(registration) = self.github.runners.get(&runner) else { return };
        if registration.busy != Some(job) || !registration.online {
            return;
        }
        let pod = registration.pod;
        self.complete(job, "success");
        self.github.runners.remove(&runner);
        if let Some(pod) = pod {
            self.within(
                Duration::from_millis(200),
                Duration::from_secs(3),
                Event::ContainerEnd(pod, PodEnd::Succeeded),
            );
        }
    }

    /// A busy runner fell silent; GitHub will notice.
    pub(crate) fn runner_fell_silent(&mut self, runner: RunnerId) {
        self.within(SILENCE.0, SILENCE.1, Event::RunnerMissed(runner));
    }

    /// GitHub notices: the job fails, or goes back to the queue if its runner never really began it.
    pub(crate) fn runner_missed(&mut self, runner: RunnerId) {
        let Some(registration) = self.github.runners.remove(&runner) else { return };
        let Some(id) = registration.busy else { return };
        self.trace.line(format_args!("runner {runner} missed, had job {id}"));
        if self.mischief(self.profile.github.requeues, FaultKind::JobRequeued) {
            self.put_back(id, registration.scope);
        } else {
            self.complete(id, "failure");
        }
    }

    /// GitHub takes a job back into the queue and tells nobody.
    fn put_back(&mut self, id: JobId, scope: Scope) {
        let Some(job) = self.github.jobs.get_mut(&id) else { return };
        job.state = GithubState::Queued;
        job.put_back += 1;
        self.github.queued.entry(scope).or_default().insert((job.created_at, id));
        self.dispatch_soon(scope);
    }

    /// A day has passed.
    pub(crate) fn expire(&mut self, job: JobId) {
        if self.github.jobs.get(&job).is_some_and(|job| job.state == GithubState::Queued) {
            self.complete(job, "cancelled");
        }
    }

    /// The author cancels a job.
    pub(crate) fn cancel(&mut self, id: JobId) {
        let Some(job) = self.github.jobs.get(&id) else { return };
        match &job.state {
            GithubState::Queued => self.complete(id, "cancelled"),
            GithubState::InProgress { runner, .. } => {
                let runner = *runner;
                self.after(Duration::from_secs(5), Event::JobDone { job: id, runner });
            }
            GithubState::Completed { .. } => {}
        }
    }

    /// The author cancels one of the jobs that are not over.
    pub(crate) fn cancel_some(&mut self, choice: u64) {
        let open = |job: &&GithubJob| !matches!(job.state, GithubState::Completed { .. });
        let open: Vec<_> = self.github.jobs.values().filter(open).map(|job| job.id).collect();
        if let Some(id) = chosen(&open, choice) {
            self.cancel(id);
        }
    }

    fn complete(&mut self, id: JobId, conclusion: &str) {
        let end = End { at: self.now(), conclusion: Some(conclusion.to_owned()) };
        let Some(job) = self.github.jobs.get_mut(&id) else { return };
        let start = match &job.state {
            GithubState::InProgress { start, .. } => Some(start.clone()),
            GithubState::Queued => None,
            GithubState::Completed { .. } => return,
        };
        job.state = GithubState::Completed { end: end.clone(), start: start.clone() };
        let created_at = job.created_at;
        for queue in self.github.queued.values_mut() {
            queue.remove(&(created_at, id));
        }
        self.trace.line(format_args!("job {id} completed {conclusion}"));
        self.announce_job(id, "completed", JobEvent::Completed { end, start });
    }

    /// The runs of a repository that are not over, and who started them: everybody is the account's owner.
    pub(crate) fn active_runs(&self, repo: &RepoName) -> BTreeMap<RunId, Login> {
        let Some(repo) = self.github.repositories.values().find(|found| found.name == *repo) else {
            return BTreeMap::new();
        };
        let sender = |job: &GithubJob| Some(self.github.accounts.get(&job.entity)?.entity.login.clone());
        let jobs = self.github.jobs.values().filter(|job| job.repo == repo.id);
        let open = jobs.filter(|job| !matches!(job.state, GithubState::Completed { .. }));
        open.filter_map(|job| Some((job.run, sender(job)?))).collect()
    }

    /// How many jobs are not over.
    pub(crate) fn open_jobs(&self) -> usize {
        self.github.jobs.values().filter(|job| !matches!(job.state, GithubState::Completed { .. })).count()
    }

    /// The conclusion of a run whose jobs are all over; `None` while one is not.
    pub(crate) fn conclusion_of(&self, run: RunId) -> Option<Option<String>> {
        let jobs = self.github.runs.get(&run)?;
        let ends = jobs.iter().filter_map(|id| self.github.jobs.get(id)).map(|job| match &job.state {
            GithubState::Completed { end, .. } => end.conclusion.clone(),
            GithubState::Queued | GithubState::InProgress { .. } => None,
        });
        let ends: Option<Vec<_>> = ends.collect();
        Some(ends.map(|ends| {
            ends.into_iter().find(|end| end != "success").unwrap_or_else(|| "success".to_owned())
        }))
    }
}

/// One of the items, by a number drawn before they were known.
pub(crate) fn chosen<T: Clone>(items: &[T], choice: u64) -> Option<T> {
    let n = u64::try_from(items.len()).ok().filter(|n| *n > 0)?;
    items.get(usize::try_from(choice % n).unwrap_or(0)).cloned()
}
