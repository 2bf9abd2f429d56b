//! `/worker/{name}`: one worker from its reservation to its end, with everything known of its failure.

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{
    failure::Diagnostics,
    ids::{IdError, JobId, NodeName, WorkerName},
    pod::{Pod, PodPhase},
    ports::{JobRow, PortResult, WorkerRow},
};
use serde::Serialize;

use super::{failure, layout, text, visitor::Visitor};
use crate::{
    answer::Fault,
    state::{AppState, PICTURE_MAX_AGE},
    views::{self, WorkerView},
};

#[derive(Debug, Serialize)]
struct OneWorkerJson {
    #[serde(flatten)]
    worker: WorkerView,
    /// What happened to it, the earliest first.
    timeline: Vec<Stage>,
    /// Its pod, where it still exists and this process sees the cluster.
    pod: Option<PodJson>,
    /// What the cluster says of the pod, while it waits; `null` also where it could not be asked.
    diagnostics: Option<Diagnostics>,
    as_of: Timestamp,
}

/// A step of a worker's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Stage {
    stage: &'static str,
    at: Timestamp,
    /// What else there is to say, as far as the reader may know it.
    detail: Option<String>,
}

#[derive(Debug, Serialize)]
struct PodJson {
    #[serde(flatten)]
    phase: PodPhase,
    created_at: Timestamp,
    k8s_node: Option<NodeName>,
    /// Whether it was asked to end.
    ending: bool,
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let name = match asked(&visitor.path) {
        Ok(name) => name,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let (row, job) = match state.read(read(&state, &name)).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            let fault = Fault::new(format!("no worker {name} is known"))
                .hint("/workers lists those of recent days; a worker has the name of its pod");
            return visitor.fault(StatusCode::NOT_FOUND, &fault);
        }
        Err(error) => return visitor.unreadable(&error),
    };
    let pod = match state.picture(PICTURE_MAX_AGE).await {
        Some(Ok(picture)) => picture.snapshot.pods.present().and_then(|pods| pods.get(&name).map(seen)),
        Some(Err(_)) | None => None,
    };
    let is_waiting = pod.as_ref().is_some_and(|pod| matches!(pod.phase, PodPhase::Pending { .. }));
    let diagnostics = if is_waiting { waits(&state, &visitor, &row).await } else { None };
    let job = job.filter(|job| views::knows_repository(visitor.reader, &job.job.facts));
    let shown = OneWorkerJson {
        worker: WorkerView::of(&row, visitor.reader),
        timeline: timeline(&row, job.as_ref(), pod.as_ref()),
        pod,
        diagnostics,
        as_of: state.0.platform.now(),
    };
    if !visitor.is_html() {
        return visitor.json(&shown);
    }
    let content = page(&visitor, &shown, job.as_ref());
    let title = format!("Worker {name}");
    if row.worker.status.is_terminal() {
        visitor.html(&title, &content)
    } else {
        visitor.live(&title, &content)
    }
}

/// Why its pod waits, as far as the cluster says and this reader may know.
async fn waits(state: &AppState, visitor: &Visitor, row: &WorkerRow) -> Option<Diagnostics> {
    let pods = state.0.pods.as_ref()?;
    let seen = pods.look(&row.worker.name, visitor.client, state.0.platform.now()).await?;
    Some(views::diagnostics(visitor.reader, &row.worker, &seen))
}

fn asked(path: &str) -> Result<WorkerName, Fault> {
    let last = path.rsplit('/').next().unwrap_or_default();
    WorkerName::new(last.strip_suffix(".json").unwrap_or(last)).map_err(|error: IdError| {
        Fault::new(error.to_string()).parameter("name").hint("write /worker/NAME, with the pod's name")
    })
}

async fn read(state: &AppState, name: &WorkerName) -> PortResult<Option<(WorkerRow, Option<JobRow>)>> {
    let Some(row) = state.0.reports.worker(name).await? else { return Ok(None) };
    let job = match row.worker.job {
        Some(job) => state.0.reports.job(job.id).await?,
        None => None,
    };
    Ok(Some((row, job)))
}

fn seen(pod: &Pod) -> PodJson {
    PodJson {
        phase: pod.phase.clone(),
        created_at: pod.created_at,
        k8s_node: pod.node.clone(),
        ending: pod.deleting || pod.killed,
    }
}

/// What happened, in the order in which it happened.
fn timeline(row: &WorkerRow, job: Option<&JobRow>, pod: Option<&PodJson>) -> Vec<Stage> {
    let worker = &row.worker;
    let state = job.map(|job| &job.job.state);
    let start = state.and_then(|state| state.start.as_ref());
    let end = state.and_then(|state| state.end.as_ref());
    let name = |job: &JobRow| job.job.facts.name.clone();
    let failure = worker.failure.as_ref().map(|(reason, _)| text::words(reason.as_str()));
    let ended = if worker.failure.is_some() { "failed" } else { "completed" };
    let node = worker.node.as_ref().map(|node| format!("on {node}"));
    let pool = Some(format!("for pool {}", worker.pool));
    let stages = [
        ("reserved", Some(worker.created_at), pool),
        ("pod_created", pod.map(|pod| pod.created_at), None),
        ("running", worker.running_at, node),
        ("online", worker.online_at, worker.runner.map(|id| format!("GitHub's runner {id}"))),
        ("job_started", start.map(|start| start.at), job.and_then(name)),
        ("job_ended", end.map(|end| end.at), end.and_then(|end| end.conclusion.clone())),
        ("registration_gone", worker.gone_at, None),
        (ended, worker.completed_at, failure),
    ];
    let known = stages.into_iter().filter_map(|(stage, at, detail)| Some(Stage { stage, at: at?, detail }));
    let mut known: Vec<_> = known.collect();
    // The clocks of GitHub, the cluster and ours differ by a little; equal times keep the usual order.
    known.sort_by_key(|stage| stage.at);
    known
}

fn page(visitor: &Visitor, shown: &OneWorkerJson, job: Option<&JobRow>) -> Markup {
    let worker = &shown.worker;
    html! {
        dl class="facts" {
            dt { "Status" } dd { (text::status(worker.status.as_str())) }
            dt { "Account" } dd { (worker.repo_full_name.as_ref().map_or(worker.entity_name.as_str(), |repo| repo.as_str())) }
            dt { "Labels" } dd { (text::labels(&worker.job_labels)) }
            dt { "Pool" } dd { (worker.k8s_pool) }
            dt { "Image" } dd { (worker.k8s_image) }
            dt { "Board" } dd { (text::or_nothing(worker.k8s_node.as_ref().map(AsRef::as_ref))) }
            dt { "Job" } dd { (job_link(visitor, worker.job_id, job)) }
            @if let Some(pod) = &shown.pod { dt { "Pod now" } dd { (pod_now(pod)) } }
            dt { "As of" } dd { (text::time(Some(shown.as_of))) " UTC" }
        }
        h2 { "What happened" }
        (stages(&shown.timeline, worker.completed_at.is_none().then_some(shown.as_of)))
        @if let Some(seen) = &shown.diagnostics {
            h2 { "Why its pod waits" }
            (failure::so_far(seen))
            @if seen.events.is_empty() { p class="quiet" { "No events are shown." } }
        }
        @if let (Some(reason), Some(info)) = (worker.failure_reason, &worker.failure_info) {
            h2 { "Why it failed" }
            (failure::whole(reason, info))
        }
        p class="quiet" {
            a href=(visitor.address("/workers")) { "All workers" } " · "
            a href=(visitor.address(&format!("/worker/{}.json", worker.pod_name))) { "This as JSON" }
        }
        (layout::concealed_note(visitor, "Logs, and what belongs to private repositories,"))
    }
}

fn job_link(visitor: &Visitor, id: Option<JobId>, job: Option<&JobRow>) -> Markup {
    html! {
        @match (id, job) {
            (Some(id), Some(job)) => {
                a href=(visitor.address(&format!("/why/{id}"))) { (id) }
                @if let Some(name) = &job.job.facts.name { " " bdi { (name) } }
                span class="quiet" { " of " (job.job.facts.repo) ", " (job.job.state.phase) }
            }
            (Some(id), None) => { (id) }
            (None, _) => { "not known" }
        }
    }
}

fn pod_now(pod: &PodJson) -> Markup {
    html! {
        @match &pod.phase {
            PodPhase::Pending { reason } => {
                "pending"
                @if let Some(reason) = reason { ": " (reason) }
            }
            PodPhase::Running { since } => { "running since " (text::time(Some(*since))) " UTC" }
            PodPhase::Succeeded { at } => { "succeeded at " (text::time(Some(*at))) " UTC" }
            PodPhase::Failed { at, exit_code, reason } => {
                "failed at " (text::time(Some(*at))) " UTC"
                @if let Some(code) = exit_code { ", exit code " (code) }
                @if let Some(reason) = reason { ", " (reason) }
            }
            PodPhase::Unknown => { "unknown: its kubelet does not answer" }
        }
        @if pod.ending { ", asked to end" }
    }
}

/// The steps with the time that passed between them.
fn stages(stages: &[Stage], now: Option<Timestamp>) -> Markup {
    let next = |n: usize| stages.get(n + 1).map(|stage| stage.at).or(now);
    html! {
        ol class="timeline" {
            @for (n, stage) in stages.iter().enumerate() {
                li class=(stage.stage) {
                    strong { (capital(&text::words(stage.stage))) }
                    @if let Some(detail) = &stage.detail { ": " bdi { (detail) } }
                    div class="quiet" {
                        (text::time(Some(stage.at))) " UTC"
                        @if let Some(next) = next(n) { ", for " (text::span(stage.at, next)) }
                    }
                }
            }
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
