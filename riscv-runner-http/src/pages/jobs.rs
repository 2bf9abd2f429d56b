//! `/jobs` (also `/history`): the jobs of a window, newest first.

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{
    entity::EntityKind,
    failure::FailureInfo,
    ids::{EntityId, ImageRef, InstallationId, JobId, Login, PoolName, RepoName, RunId, RunnerName},
    job::{JobPhase, Loss},
    labels::LabelSet,
    policy::NamePrefix,
    ports::JobRow,
};
use serde::Serialize;

use super::{
    concealment, layout,
    listing::Listing,
    text,
    visitor::{Reader, Visitor},
};
use crate::state::AppState;

/// A job, with the names that the table's columns have.
#[derive(Debug, Serialize)]
pub(super) struct JobJson<'a> {
    job_id: JobId,
    run_id: Option<RunId>,
    pub(super) status: &'static str,
    pub(super) attempt: u32,
    failure_reason: Option<&'static str>,
    failure_info: Option<FailureInfo>,
    provider: &'static str,
    entity_id: EntityId,
    entity_name: &'a Login,
    entity_type: EntityKind,
    /// `null` where the reader may not know it.
    pub(super) repo_full_name: Option<&'a RepoName>,
    private: bool,
    installation_id: InstallationId,
    job_labels: &'a LabelSet,
    k8s_pool: &'a PoolName,
    k8s_image: &'a ImageRef,
    /// The runner, when it is one of ours.
    k8s_pod: Option<&'a RunnerName>,
    runner_name: Option<&'a RunnerName>,
    pub(super) html_url: Option<&'a str>,
    pub(super) job_name: Option<&'a str>,
    job_conclusion: Option<&'a str>,
    job_created_at: Timestamp,
    job_started_at: Option<Timestamp>,
    job_completed_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct JobsJson<'a> {
    total_count: u64,
    page: u32,
    per_page: u32,
    jobs: Vec<JobJson<'a>>,
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let now = state.0.platform.now();
    let listing = match Listing::asked(&visitor.query, now) {
        Ok(listing) => listing,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let (rows, total) = match state.read(state.0.reports.jobs(listing.window, listing.page)).await {
        Ok(page) => page,
        Err(error) => return visitor.unreadable(&error),
    };
    let policy = state.policy();
    let jobs: Vec<_> = rows.iter().map(|row| shown(row, visitor.reader, &policy.name_prefix)).collect();
    let response = if visitor.is_html() {
        visitor.html("Jobs", &page(&visitor, &listing, &jobs, total, now))
    } else {
        let listing = &listing.page;
        visitor.json(&JobsJson { total_count: total, page: listing.page, per_page: listing.per_page, jobs })
    };
    listing.link(response, &visitor, total)
}

pub(super) fn shown<'a>(row: &'a JobRow, reader: Reader, ours: &NamePrefix) -> JobJson<'a> {
    let (facts, state) = (&row.job.facts, &row.job.state);
    let open = concealment::knows_repository(reader, facts);
    let runner = state.start.as_ref().and_then(|start| start.runner.as_ref());
    let loss = state.loss.as_ref();
    JobJson {
        job_id: facts.id,
        run_id: facts.run,
        status: state.phase.as_str(),
        attempt: state.attempt,
        failure_reason: loss.map(Loss::as_str),
        failure_info: loss.map(|loss| FailureInfo::message(loss.to_string())),
        provider: "github",
        entity_id: facts.entity.id,
        entity_name: &facts.entity.login,
        entity_type: facts.entity.kind,
        repo_full_name: open.then_some(&facts.repo),
        private: facts.private,
        installation_id: facts.installation,
        job_labels: &facts.labels,
        k8s_pool: &row.job.placement.pool,
        k8s_image: &row.job.placement.image,
        k8s_pod: runner.filter(|runner| runner.as_str().starts_with(ours.as_str())),
        runner_name: runner,
        html_url: facts.html_url.as_deref().filter(|_| open),
        job_name: facts.name.as_deref().filter(|_| open),
        job_conclusion: state.end.as_ref().and_then(|end| end.conclusion.as_deref()),
        job_created_at: facts.created_at,
        job_started_at: state.start.as_ref().map(|start| start.at),
        job_completed_at: state.end.as_ref().map(|end| end.at),
        created_at: row.stored_at,
        updated_at: row.updated_at,
    }
}

fn page(visitor: &Visitor, listing: &Listing, jobs: &[JobJson<'_>], total: u64, now: Timestamp) -> Markup {
    const COLUMNS: [&str; 10] =
        ["Job", "Status", "Repository", "Name", "Labels", "Pool", "Runner", "Queued (UTC)", "Waited", "Ran"];
    let rows = html! { @for job in jobs { (row(visitor, job, now)) } };
    html! {
        (layout::table("Jobs", &listing.caption("job", total), &COLUMNS, &rows))
        @if jobs.is_empty() { p { "No jobs on this page." } }
        (listing.navigation(visitor, total))
        (layout::concealed_note(visitor, "Names of private repositories"))
    }
}

fn row(visitor: &Visitor, job: &JobJson<'_>, now: Timestamp) -> Markup {
    let waited = job.job_started_at.or(job.job_completed_at).unwrap_or(now);
    html! {
        tr {
            th scope="row" { (text::outside_link(job.html_url, &job.job_id.to_string())) }
            td {
                (text::status(job.status))
                @if job.status == JobPhase::Pending.as_str() && job.repo_full_name.is_some() {
                    " " a href=(visitor.address(&format!("/why/{}", job.job_id))) { "why?" }
                }
                @if let Some(conclusion) = job.job_conclusion { " " (conclusion) }
                @if let Some(FailureInfo::V1(failure)) = &job.failure_info { " " (failure.message) }
                @if job.attempt > 1 { " (attempt " (job.attempt) ")" }
            }
            td {
                @match job.repo_full_name {
                    Some(repo) => { (repo) }
                    None => { (job.entity_name) "/" em { "private" } }
                }
            }
            td { (text::or_nothing(job.job_name)) }
            td { (text::labels(job.job_labels)) }
            td { (job.k8s_pool) }
            td { (text::or_nothing(job.runner_name.map(AsRef::as_ref))) }
            td { (text::time(Some(job.job_created_at))) }
            td class="age" { (text::span(job.job_created_at, waited)) }
            td {
                @match job.job_started_at {
                    Some(start) => { (text::span(start, job.job_completed_at.unwrap_or(now))) }
                    None => { (text::nothing()) }
                }
            }
        }
    }
}
