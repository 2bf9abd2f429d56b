//! Jobs and runs, as GitHub describes them when it is asked.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    ids::{JobId, Login, RepoName, RunId, RunnerName},
    job::{End, Start},
    ports::{ActiveRun, JobDetails, JobRef, JobReport, JobSighting, RepoRef, ReportedState, RunRef},
};
use serde::Deserialize;

use crate::{
    api::{Api, Ask, Name, Reading},
    client::{ApiError, Endpoint, Priority},
};

#[derive(Deserialize)]
struct Job {
    id: JobId,
    run_id: RunId,
    #[serde(default)]
    labels: Vec<String>,
    name: Option<String>,
    html_url: Option<String>,
    status: String,
    conclusion: Option<String>,
    runner_name: Option<String>,
    created_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Page {
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Runs {
    workflow_runs: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: RunId,
    actor: Option<Actor>,
    triggering_actor: Option<Actor>,
}

#[derive(Deserialize)]
struct Actor {
    login: String,
}

#[derive(Deserialize)]
struct Run {
    status: Option<String>,
    conclusion: Option<String>,
}

/// Looks one job up.
pub(crate) async fn job(api: &Api, job: &JobRef) -> Result<JobSighting, ApiError> {
    let id = job.job.to_string();
    let segments = path(&job.repo, &["jobs", &id]);
    let name = Name::Installation(job.app, job.installation);
    let ask = Ask::get(name, Priority::Reconcile, Endpoint::Job, &segments);
    match api.read::<Job>(&ask).await {
        Ok(job) => Ok(JobSighting::Found(job.report(api.client.now()))),
        Err(ApiError::Status { status: 404, .. }) => Ok(JobSighting::JobNotFound),
        Err(ApiError::InstallationGone { .. }) => Ok(JobSighting::InstallationNotFound),
        Err(error) => Err(error),
    }
}

/// Looks up all jobs of the latest attempt of a run.
pub(crate) async fn run_jobs(api: &Api, run: &RunRef) -> Result<Vec<JobReport>, ApiError> {
    let id = run.run.to_string();
    let segments = path(&run.repo, &["runs", &id, "jobs"]);
    let name = Name::Installation(run.app, run.installation);
    let mut ask = Ask::get(name, Priority::Reconcile, Endpoint::RunJobs, &segments);
    ask.query = &[("filter", "latest")];
    let now = api.client.now();
    let mut reports = Vec::new();
    api.list(&ask, |page: Page| {
        reports.extend(page.jobs.into_iter().map(|job| job.report(now)));
        Reading::On
    })
    .await?;
    Ok(reports)
}

/// How a run ended; `None` while it goes on.
pub(crate) async fn run_conclusion(api: &Api, run: &RunRef) -> Result<Option<String>, ApiError> {
    let id = run.run.to_string();
    let segments = path(&run.repo, &["runs", &id]);
    let name = Name::Installation(run.app, run.installation);
    let ask = Ask::get(name, Priority::Reconcile, Endpoint::Run, &segments);
    let run: Run = api.read(&ask).await?;
    let completed = run.status.as_deref() == Some("completed");
    Ok(run.conclusion.or_else(|| completed.then(|| "unknown".to_owned())))
}

/// The runs of a repository that are queued or in progress.
pub(crate) async fn active_runs(api: &Api, repo: &RepoRef) -> Result<Vec<ActiveRun>, ApiError> {
    let segments = path(&repo.repo, &["runs"]);
    let name = Name::Installation(repo.app, repo.installation);
    // A run that starts between the two listings is in the second, and one in both is kept once.
    let mut found = BTreeMap::new();
    for query in [[("status", "queued")], [("status", "in_progress")]] {
        let ask = Ask { query: &query, ..Ask::get(name, Priority::Reconcile, Endpoint::Runs, &segments) };
        api.list(&ask, |page: Runs| {
            found.extend(page.workflow_runs.into_iter().map(|run| (run.id, run.sender())));
            Reading::On
        })
        .await?;
    }
    Ok(found.into_iter().map(|(run, sender)| ActiveRun { run, sender }).collect())
}

impl Listed {
    /// Who started the latest attempt, whom webhooks name as the sender: `actor` started the first one.
    fn sender(self) -> Option<Login> {
        Login::new(&self.triggering_actor.or(self.actor)?.login).ok()
    }
}

impl Job {
    /// A conclusion counts as the end whatever the status says; times that are missing are `now`.
    fn report(self, now: Timestamp) -> JobReport {
        let runner = self.runner_name.as_ref().and_then(|name| RunnerName::new(name).ok());
        let started_at = self.started_at.or(self.created_at).unwrap_or(now);
        let state = if self.status == "completed" || self.conclusion.is_some() {
            ReportedState::Completed {
                end: End { at: self.completed_at.unwrap_or(now), conclusion: self.conclusion },
                start: runner.map(|runner| Start { at: started_at, runner: Some(runner) }),
            }
        } else if self.status == "in_progress" {
            ReportedState::InProgress(Start { at: started_at, runner })
        } else if self.status == "queued" {
            ReportedState::Queued
        } else {
            ReportedState::NotYetQueued
        };
        let details = JobDetails {
            labels: self.labels,
            name: self.name,
            html_url: self.html_url,
            created_at: self.created_at.or(self.started_at).unwrap_or(now),
        };
        JobReport { job: self.id, run: self.run_id, state, details }
    }
}

fn path<'a>(repo: &'a RepoName, rest: &[&'a str]) -> Vec<&'a str> {
    [&["repos", repo.owner(), repo.name(), "actions"], rest].concat()
}
