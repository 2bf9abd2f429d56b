//! `/why/{job_id}`: the one reason for which a job waits, or its outcome.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use http::StatusCode;
use maud::{Markup, html};
use riscv_runner_core::{
    ids::JobId,
    job::{Job, JobPhase},
    ports::{JobRow, PortError},
};

use super::{reason, text, visitor::Visitor};
use crate::{
    answer::Fault,
    picture::Picture,
    state::{AppState, PICTURE_MAX_AGE},
    views::{self, WaitedFor, WhyView},
};

/// A job that has just been stored is not in the picture of a second ago.
const NEWER_PICTURE: Duration = Duration::from_millis(100);

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let id = match asked(&visitor.path) {
        Ok(id) => id,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let row = match state.read(state.0.reports.job(id)).await {
        Ok(row) => row.filter(|row| views::knows_repository(visitor.reader, &row.job.facts)),
        Err(error) => return visitor.unreadable(&error),
    };
    let Some(row) = row else {
        let fault = Fault::new(format!("no job {id} is known")).hint(
            "use GitHub's job id, not the run's; jobs of private repositories are shown after signing in",
        );
        return visitor.fault(StatusCode::NOT_FOUND, &fault);
    };
    match explained(&state, &visitor, &row).await {
        Ok(why) => answer(&state, &visitor, &row, &why),
        Err(error) => visitor.unreadable(&error),
    }
}

fn asked(path: &str) -> Result<JobId, Fault> {
    let last = path.rsplit('/').next().unwrap_or_default();
    let text = last.strip_suffix(".json").unwrap_or(last);
    text.parse().map_err(|error: riscv_runner_core::ids::IdError| {
        Fault::new(error.to_string()).parameter("job_id").hint("write /why/ID, with GitHub's job id")
    })
}

async fn explained(state: &AppState, visitor: &Visitor, row: &JobRow) -> Result<WhyView, Arc<PortError>> {
    let leading = state.0.readiness.is_leading();
    let now = state.0.platform.now();
    let mut why = WhyView::of(row, visitor.reader, &state.policy().name_prefix, leading, now);
    if !row.job.state.phase.is_demand() {
        return Ok(why);
    }
    for max_age in [PICTURE_MAX_AGE, NEWER_PICTURE] {
        let Some(picture) = state.picture(max_age).await else { break };
        let picture = picture?;
        why = why.explained(&picture, &row.job);
        if why.lacks_position() {
            return Ok(placed(state, visitor, why, &picture, &row.job).await);
        }
        if why.is_settled() {
            break;
        }
    }
    Ok(why)
}

/// With its place in a long queue. The reason is worth showing without it, too.
async fn placed(state: &AppState, visitor: &Visitor, why: WhyView, picture: &Picture, job: &Job) -> WhyView {
    match state.read_in_turn(visitor.client, state.0.reports.ahead(job)).await {
        Ok(ahead) => why.placed(picture, job, ahead),
        Err(error) => {
            tracing::warn!(job = %job.facts.id, error = error.chain(), "a place in the queue could not be counted");
            why
        }
    }
}

fn answer(state: &AppState, visitor: &Visitor, row: &JobRow, why: &WhyView) -> Response {
    if !visitor.is_html() {
        return visitor.json(why);
    }
    let title = format!("Job {}", row.job.facts.id);
    let content = page(visitor, row, why, state.0.snapshots.is_some());
    if row.job.state.phase.is_demand() {
        visitor.live(&title, &content)
    } else {
        visitor.html(&title, &content)
    }
}
fn page(visitor: &Visitor, row: &JobRow, why: &WhyView, explained: bool) -> Markup {
    let facts = &row.job.facts;
    html! {
        p role="status" class={ "notice " (why.job.status.as_str()) } { (headline(row, why, explained)) }
        dl class="facts" {
            dt { "Status" } dd { (text::status(why.job.status.as_str())) @if why.job.attempt > 1 { " (attempt " (why.job.attempt) ")" } }
            dt { "Job" } dd { (text::outside_link(why.job.html_url.as_deref(), why.job.job_name.as_deref().unwrap_or("on GitHub"))) }
            dt { "Repository" } dd { (text::or_nothing(why.job.repo_full_name.as_ref().map(AsRef::as_ref))) }
            dt { "Labels" } dd { (text::labels(&facts.labels)) }
            dt { "Pool" } dd { (row.job.placement.pool) }
            dt { "Queued" } dd { (text::time(Some(facts.created_at))) " UTC" }
            @if let Some(position) = why.position {
                dt { "Place in the queue" }
                dd {
                    (position.in_key.place) " of " (position.in_key.of) " with these labels, "
                    (position.in_pool.place) " of " (position.in_pool.of) " for the pool"
                }
            }
            @if let Some(since) = why.reason.as_ref().map(|reason| reason.since) {
                dt { "Reason since" } dd { (text::time(Some(since))) " UTC" }
            }
            @if let Some(until) = why.reason.as_ref().and_then(|reason| reason.until) {
                dt { "Tried again" } dd { (text::time(Some(until))) " UTC" }
            }
            @if let Some(worker) = &why.worker { (worker_facts(visitor, worker)) }
            dt { "As of" } dd { (text::time(Some(why.as_of))) " UTC" }
        }
        p class="quiet" {
            a href=(visitor.address("/queue")) { "The whole queue" } " · "
            a href=(visitor.address(&format!("/why/{}.json", facts.id))) { "This as JSON" }
        }
    }
}

fn headline(row: &JobRow, why: &WhyView, explained: bool) -> Markup {
    let state = &row.job.state;
    html! {
        @match state.phase {
            JobPhase::Pending => {
                @match &why.reason {
                    Some(reason) => { "It is waiting. " (reason::words(reason)) "." }
                    None if explained => { "It is waiting, and its state is just changing. Reload this page in a moment." }
                    None => { "It is waiting. A process with --role all or --role scheduler can say why." }
                }
            }
            JobPhase::Running => {
                @if let Some(start) = &state.start {
                    "It has been running"
                    @if let Some(runner) = &start.runner { " on " (runner) }
                    " since " (text::time(Some(start.at))) " UTC"
                } @else {
                    "It is running"
                }
                "."
            }
            JobPhase::Completed => {
                "It has ended"
                @if let Some(end) = &state.end {
                    @if let Some(conclusion) = &end.conclusion { " as " (conclusion) }
                    " at " (text::time(Some(end.at))) " UTC"
                }
                "."
            }
            JobPhase::Failed => {
                "It was given up"
                @if let Some(loss) = &state.loss { ": " (loss) }
                "."
            }
        }
    }
}

fn worker_facts(visitor: &Visitor, worker: &WaitedFor) -> Markup {
    html! {
        dt { "Worker" } dd { (text::worker(visitor, &worker.pod_name)) " " (text::status(worker.status.as_str())) }
        dt { "Board" } dd { (text::or_nothing(worker.k8s_node.as_ref().map(AsRef::as_ref))) }
        dt { "Reserved" } dd { (text::time(Some(worker.created_at))) " UTC" }
        @if worker.running_at.is_some() { dt { "Pod running since" } dd { (text::time(worker.running_at)) " UTC" } }
        @if worker.online_at.is_some() { dt { "Runner online since" } dd { (text::time(worker.online_at)) " UTC" } }
    }
}
