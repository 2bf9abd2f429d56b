//! `/jobs` (also `/history`): the jobs of a window, newest first.

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{failure::FailureInfo, job::JobPhase, ports::Total};

use super::{layout, listing::Listing, text, visitor::Visitor};
use crate::{
    state::AppState,
    views::{JobView, JobsView},
};

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let now = state.0.platform.now();
    let asked = Listing::asked(&visitor.query, now).and_then(|mut listing| {
        let known = JobPhase::ALL.map(|status| (status.as_str(), status));
        let filter = listing.paging.filter(&visitor.query, "status", &known)?;
        Ok((listing, filter))
    });
    let (listing, filter) = match asked {
        Ok(asked) => asked,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let read = state.0.reports.jobs(listing.window, &filter, listing.paging.page);
    let (rows, total) = match state.read_in_turn(visitor.client, read).await {
        Ok(page) => page,
        Err(error) => return visitor.unreadable(&error),
    };
    let jobs =
        JobsView::of(&rows, total, listing.paging.page, visitor.reader, &state.policy().name_prefix, now);
    let response = if visitor.is_html() {
        let statuses = JobPhase::ALL.map(JobPhase::as_str);
        let form = listing.filter_form(&visitor, statuses, state.policy().pools.keys());
        let page = page(&visitor, &listing, &jobs.jobs, total, now);
        visitor.html("Jobs", &html! { (form) (page) })
    } else {
        visitor.json(&jobs)
    };
    listing.paging.link(response, &visitor, total)
}

fn page(visitor: &Visitor, listing: &Listing, jobs: &[JobView], total: Total, now: Timestamp) -> Markup {
    const COLUMNS: [&str; 10] =
        ["Job", "Status", "Repository", "Name", "Labels", "Pool", "Runner", "Queued (UTC)", "Waited", "Ran"];
    let rows = html! { @for job in jobs { (row(visitor, job, now)) } };
    html! {
        (layout::cards("Jobs", &listing.caption("job", total), &COLUMNS, &rows))
        @if jobs.is_empty() { p { "No jobs on this page." } }
        (listing.paging.navigation(visitor, total))
        (layout::concealed_note(visitor, "Names of private repositories"))
    }
}

fn row(visitor: &Visitor, job: &JobView, now: Timestamp) -> Markup {
    let waited = job.job_started_at.or(job.job_completed_at).unwrap_or(now);
    html! {
        tr {
            th scope="row" { (text::outside_link(job.html_url.as_deref(), &job.job_id.to_string())) }
            td data-name="Status" {
                (text::status(job.status.as_str()))
                @if job.status == JobPhase::Pending && job.repo_full_name.is_some() {
                    " " a href=(visitor.address(&format!("/why/{}", job.job_id))) { "why?" }
                }
                @if let Some(conclusion) = &job.job_conclusion { " " (conclusion) }
                @if let Some(FailureInfo::V1(failure)) = &job.failure_info { " " (failure.message) }
                @if job.attempt > 1 { " (attempt " (job.attempt) ")" }
            }
            td data-name="Repository" {
                @match &job.repo_full_name {
                    Some(repo) => { (repo) }
                    None => { (job.entity_name) "/" em { "private" } }
                }
            }
            td data-name="Name" { (text::or_nothing(job.job_name.as_deref())) }
            td data-name="Labels" { (text::labels(&job.job_labels)) }
            td data-name="Pool" { (job.k8s_pool) }
            td data-name="Runner" { (text::or_nothing(job.runner_name.as_ref().map(AsRef::as_ref))) }
            td data-name="Queued (UTC)" { (text::time(Some(job.job_created_at))) }
            td data-name="Waited" class="age" { (text::span(job.job_created_at, waited)) }
            td data-name="Ran" {
                @match job.job_started_at {
                    Some(start) => { (text::span(start, job.job_completed_at.unwrap_or(now))) }
                    None => { (text::nothing()) }
                }
            }
        }
    }
}
