//! `/why/{job_id}`: the one reason for which a job waits, or what became of it.

use std::time::Duration;

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{
    ids::{JobId, NodeName, PoolName, WorkerName},
    job::{Job, JobPhase},
    ports::JobRow,
    worker::Worker,
};
use serde::Serialize;

use super::{
    concealment,
    jobs::{self, JobJson},
    reason::{self, ReasonJson},
    text,
    visitor::Visitor,
};
use crate::{
    answer::Fault,
    picture::{Picture, Position},
    state::{AppState, PICTURE_MAX_AGE},
};

/// A job that has just been stored is not in the picture of a second ago.
const NEWER_PICTURE: Duration = Duration::from_millis(100);

#[derive(Debug, Serialize)]
struct WhyJson<'a> {
    #[serde(flatten)]
    job: JobJson<'a>,
    /// The unit in which it is compared with workers.
    pool_key: String,
    /// Why it waits; `null` for a job that does not.
    reason: Option<ReasonJson>,
    /// Its place in the queue; `null` for a job that does not wait.
    position: Option<Position>,
    /// The worker that has it or that is to serve it, while it lives.
    worker: Option<WorkerJson>,
    /// Whether this process leads: only the leader knows all of GitHub's limits.
    leading: bool,
    /// When the reason held.
    as_of: Timestamp,
}

#[derive(Debug, Serialize)]
struct WorkerJson {
    pod_name: WorkerName,
    status: &'static str,
    k8s_pool: PoolName,
    k8s_node: Option<NodeName>,
    created_at: Timestamp,
    running_at: Option<Timestamp>,
    online_at: Option<Timestamp>,
}

/// What the picture says of one job.
#[derive(Default)]
struct Standing {
    reason: Option<ReasonJson>,
    position: Option<Position>,
    worker: Option<WorkerJson>,
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let id = match asked(&visitor.path) {
        Ok(id) => id,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let row = match state.read(state.0.reports.job(id)).await {
        Ok(row) => row.filter(|row| concealment::knows_repository(visitor.reader, &row.job.facts)),
        Err(error) => return visitor.unreadable(&error),
    };
    let Some(row) = row else {
        let fault = Fault::new(format!("no job {id} is known"))
            .hint("GitHub's job id, not the run's; jobs of private repositories are shown after signing in");
        return visitor.fault(StatusCode::NOT_FOUND, &fault);
    };
    match standing(&state, &row.job).await {
        Ok((standing, as_of)) => answer(&state, &visitor, &row, standing, as_of),
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

async fn standing(
    state: &AppState,
    job: &Job,
) -> Result<(Standing, Timestamp), std::sync::Arc<riscv_runner_core::ports::PortError>> {
    if !job.state.phase.is_demand() {
        return Ok((Standing::default(), state.0.platform.now()));
    }
    for max_age in [PICTURE_MAX_AGE, NEWER_PICTURE] {
        let Some(picture) = state.picture(max_age).await else { break };
        let picture = picture?;
        let standing = Standing::of(&picture, job);
        let settled = standing.reason.is_some() || job.state.phase != JobPhase::Pending;
        if settled || max_age == NEWER_PICTURE {
            return Ok((standing, picture.snapshot.now));
        }
    }
    Ok((Standing::default(), state.0.platform.now()))
}

impl Standing {
    fn of(picture: &Picture, job: &Job) -> Self {
        let workers = &picture.snapshot.workers;
        if job.state.phase == JobPhase::Running {
            let runner = job.state.start.as_ref().and_then(|start| start.runner.as_ref());
            let worker = runner.and_then(|runner| WorkerName::new(runner.as_str()).ok());
            let worker = worker.and_then(|name| workers.get(&name)).map(|worker| told(picture, worker));
            return Self { worker, ..Self::default() };
        }
        let reason = picture.reason(&job.facts);
        let worker =
            reason.as_ref().and_then(|(reason, _)| reason::worker(reason)).and_then(|name| workers.get(name));
        Self {
            worker: worker.map(|worker| told(picture, worker)),
            position: picture.position(&job.facts),
            reason: reason.as_ref().map(|(reason, since)| ReasonJson::whole(reason, *since)),
        }
    }
}

fn told(picture: &Picture, worker: &Worker) -> WorkerJson {
    let bound_to = || picture.snapshot.pod(&worker.name).present().and_then(|pod| pod.node.clone());
    WorkerJson {
        pod_name: worker.name.clone(),
        status: worker.status.as_str(),
        k8s_pool: worker.pool.clone(),
        k8s_node: worker.node.clone().or_else(bound_to),
        created_at: worker.created_at,
        running_at: worker.running_at,
        online_at: worker.online_at,
    }
}

fn answer(
    state: &AppState,
    visitor: &Visitor,
    row: &JobRow,
    standing: Standing,
    as_of: Timestamp,
) -> Response {
    let why = WhyJson {
        job: jobs::shown(row, visitor.reader, &state.policy().name_prefix),
        pool_key: row.job.facts.key().to_string(),
        reason: standing.reason,
        position: standing.position,
        worker: standing.worker,
        leading: state.0.readiness.is_leading(),
        as_of,
    };
    if !visitor.is_html() {
        return visitor.json(&why);
    }
    let title = format!("Job {}", row.job.facts.id);
    let explained = state.0.snapshots.is_some();
    let content = page(visitor, row, &why, explained);
    if row.job.state.phase.is_demand() {
        visitor.live(&title, &content)
    } else {
        visitor.html(&title, &content)
    }
}

fn page(visitor: &Visitor, row: &JobRow, why: &WhyJson<'_>, explained: bool) -> Markup {
    let facts = &row.job.facts;
    html! {
        p role="status" class={ "notice " (why.job.status) } { (headline(row, why, explained)) }
        dl class="facts" {
            dt { "Status" } dd { (text::status(why.job.status)) @if why.job.attempt > 1 { " (attempt " (why.job.attempt) ")" } }
            dt { "Job" } dd { (text::outside_link(why.job.html_url, why.job.job_name.unwrap_or("on GitHub"))) }
            dt { "Repository" } dd { (text::or_nothing(why.job.repo_full_name.map(AsRef::as_ref))) }
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
                dt { "Reason holds since" } dd { (text::time(Some(since))) " UTC" }
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

fn headline(row: &JobRow, why: &WhyJson<'_>, explained: bool) -> Markup {
    let state = &row.job.state;
    html! {
        @match state.phase {
            JobPhase::Pending => {
                @match &why.reason {
                    Some(reason) => { "It waits. " (reason.words()) "." }
                    None if explained => { "It waits, and its state is just changing. Look again in a moment." }
                    None => { "It waits. Why, is shown by a process with the role all or scheduler." }
                }
            }
            JobPhase::Running => {
                "It runs"
                @if let Some(start) = &state.start {
                    @if let Some(runner) = &start.runner { " on " (runner) }
                    " since " (text::time(Some(start.at))) " UTC"
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

fn worker_facts(visitor: &Visitor, worker: &WorkerJson) -> Markup {
    html! {
        dt { "Worker" } dd { (text::worker(visitor, &worker.pod_name)) " " (text::status(worker.status)) }
        dt { "Board" } dd { (text::or_nothing(worker.k8s_node.as_ref().map(AsRef::as_ref))) }
        dt { "Reserved" } dd { (text::time(Some(worker.created_at))) " UTC" }
        @if worker.running_at.is_some() { dt { "Pod runs since" } dd { (text::time(worker.running_at)) " UTC" } }
        @if worker.online_at.is_some() { dt { "Runner online since" } dd { (text::time(worker.online_at)) " UTC" } }
    }
}
