//! Jobs, with the names that the table's columns have.

use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    failure::FailureInfo,
    ids::{EntityId, ImageRef, InstallationId, JobId, Login, PoolName, RepoName, RunId, RunnerName},
    job::{JobPhase, Loss},
    labels::LabelSet,
    policy::NamePrefix,
    ports::{JobRow, Page, Total},
};
use serde::{Deserialize, Serialize};

use super::{Reader, concealment};

/// A page of jobs, newest first: `/jobs.json`, `rrctl jobs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobsView {
    /// How many rows there are on all pages, as far as they were counted.
    pub total_count: u64,
    /// Whether there may be more: long lists are not counted to the end.
    #[serde(default)]
    pub more: bool,
    /// The page's number, from 0.
    pub page: u32,
    /// Rows on a page.
    pub per_page: u32,
    /// The rows.
    pub jobs: Vec<JobView>,
    /// The time of these facts.
    pub as_of: Timestamp,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// GitHub's id.
    pub job_id: JobId,
    /// The workflow run that it is part of.
    pub run_id: Option<RunId>,
    /// How far it has come.
    pub status: JobPhase,
    /// The attempt, from 1; each requeue adds one.
    pub attempt: u32,
    /// Why it was given up.
    pub failure_reason: Option<String>,
    /// The same in words.
    pub failure_info: Option<FailureInfo>,
    /// Always `github`.
    pub provider: String,
    /// The account.
    pub entity_id: EntityId,
    /// Its login.
    pub entity_name: Login,
    /// Its kind.
    pub entity_type: EntityKind,
    /// The repository; `null` where the reader may not know it.
    pub repo_full_name: Option<RepoName>,
    /// Whether the repository is private.
    pub private: bool,
    /// The installation whose delivery reported it.
    pub installation_id: InstallationId,
    /// Its labels.
    pub job_labels: LabelSet,
    /// The pool that its rule names.
    pub k8s_pool: PoolName,
    /// The image that its rule names.
    pub k8s_image: ImageRef,
    /// The runner, when it is one of ours.
    pub k8s_pod: Option<RunnerName>,
    /// The runner; `null` for one that is not ours where the reader may not know the repository.
    pub runner_name: Option<RunnerName>,
    /// Its page on GitHub; `null` where the reader may not know the repository.
    pub html_url: Option<String>,
    /// Its name in the workflow; `null` where the reader may not know the repository.
    pub job_name: Option<String>,
    /// GitHub's conclusion.
    pub job_conclusion: Option<String>,
    /// When GitHub queued it.
    pub job_created_at: Timestamp,
    /// When a runner took it.
    pub job_started_at: Option<Timestamp>,
    /// When it ended.
    pub job_completed_at: Option<Timestamp>,
    /// When its row was written.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

impl JobsView {
    /// A page, as this reader may see it; `ours` begins the names of our runners.
    #[must_use]
    pub fn of(
        rows: &[JobRow],
        total: Total,
        page: Page,
        reader: Reader,
        ours: &NamePrefix,
        as_of: Timestamp,
    ) -> Self {
        let jobs = rows.iter().map(|row| JobView::of(row, reader, ours)).collect();
        let (total_count, more) = (total.counted(), matches!(total, Total::AtLeast(_)));
        Self { total_count, more, page: page.page, per_page: page.per_page, jobs, as_of }
    }
}

impl JobView {
    /// A job, as this reader may see it.
    #[must_use]
    pub fn of(row: &JobRow, reader: Reader, ours: &NamePrefix) -> Self {
        let (facts, state) = (&row.job.facts, &row.job.state);
        let open = concealment::knows_repository(reader, facts);
        let runner = state.start.as_ref().and_then(|start| start.runner.as_ref());
        let loss = state.loss.as_ref();
        Self {
            job_id: facts.id,
            run_id: facts.run,
            status: state.phase,
            attempt: state.attempt,
            failure_reason: loss.map(|loss| Loss::as_str(loss).to_owned()),
            failure_info: loss.map(|loss| FailureInfo::message(loss.to_string())),
            provider: "github".to_owned(),
            entity_id: facts.entity.id,
            entity_name: facts.entity.login.clone(),
            entity_type: facts.entity.kind,
            repo_full_name: open.then(|| facts.repo.clone()),
            private: facts.private,
            installation_id: facts.installation,
            job_labels: facts.labels.clone(),
            k8s_pool: row.job.placement.pool.clone(),
            k8s_image: row.job.placement.image.clone(),
            k8s_pod: runner.filter(|runner| ours.owns(runner.as_str())).cloned(),
            runner_name: concealment::runner(reader, facts, runner, ours).cloned(),
            html_url: facts.html_url.clone().filter(|_| open),
            job_name: facts.name.clone().filter(|_| open),
            job_conclusion: state.end.as_ref().and_then(|end| end.conclusion.clone()),
            job_created_at: facts.created_at,
            job_started_at: state.start.as_ref().map(|start| start.at),
            job_completed_at: state.end.as_ref().map(|end| end.at),
            created_at: row.stored_at,
            updated_at: row.updated_at,
        }
    }
}
