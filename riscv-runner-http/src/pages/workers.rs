//! `/workers`: the workers of a window, newest first, with what is known of each failure.

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{
    entity::EntityKind,
    failure::{FailureInfo, FailureReason},
    ids::{
        EntityId, ImageRef, InstallationId, JobId, Login, NodeName, PoolName, RepoName, RunnerId, WorkerName,
    },
    labels::LabelSet,
    ports::WorkerRow,
    scope::Target,
};
use serde::Serialize;

use super::{
    concealment, failure, layout,
    listing::Listing,
    text,
    visitor::{Reader, Visitor},
};
use crate::state::AppState;

/// A worker, with the names that the table's columns have.
#[derive(Debug, Serialize)]
pub(super) struct WorkerJson<'a> {
    pub(super) pod_name: &'a WorkerName,
    provider: &'static str,
    entity_id: EntityId,
    pub(super) entity_name: &'a Login,
    entity_type: EntityKind,
    installation_id: InstallationId,
    /// `null` for organizations, and where the reader may not know it.
    pub(super) repo_full_name: Option<&'a RepoName>,
    pub(super) job_labels: &'a LabelSet,
    pub(super) k8s_pool: &'a PoolName,
    pub(super) k8s_image: &'a ImageRef,
    pub(super) k8s_node: Option<&'a NodeName>,
    pub(super) status: &'static str,
    pub(super) failure_reason: Option<FailureReason>,
    pub(super) failure_info: Option<FailureInfo>,
    runner_id: Option<RunnerId>,
    pub(super) job_id: Option<JobId>,
    created_at: Timestamp,
    running_at: Option<Timestamp>,
    online_at: Option<Timestamp>,
    pub(super) completed_at: Option<Timestamp>,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct WorkersJson<'a> {
    total_count: u64,
    page: u32,
    per_page: u32,
    workers: Vec<WorkerJson<'a>>,
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let now = state.0.platform.now();
    let listing = match Listing::asked(&visitor.query, now) {
        Ok(listing) => listing,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let (rows, total) = match state.read(state.0.reports.workers(listing.window, listing.page)).await {
        Ok(page) => page,
        Err(error) => return visitor.unreadable(&error),
    };
    let workers: Vec<_> = rows.iter().map(|row| shown(row, visitor.reader)).collect();
    let response = if visitor.is_html() {
        visitor.html("Workers", &page(&visitor, &listing, &workers, total, now))
    } else {
        let Listing { page, .. } = &listing;
        visitor.json(&WorkersJson { total_count: total, page: page.page, per_page: page.per_page, workers })
    };
    listing.link(response, &visitor, total)
}

pub(super) fn shown(row: &WorkerRow, reader: Reader) -> WorkerJson<'_> {
    let worker = &row.worker;
    let repo = match &worker.scope.target {
        Target::Organization => None,
        Target::Repository { name, .. } => concealment::knows_target(reader, worker).then_some(name),
    };
    let failure = worker.failure.as_ref();
    WorkerJson {
        pod_name: &worker.name,
        provider: "github",
        entity_id: worker.scope.entity,
        entity_name: &worker.scope.login,
        entity_type: worker.scope.scope().kind(),
        installation_id: worker.scope.installation,
        repo_full_name: repo,
        job_labels: &worker.labels,
        k8s_pool: &worker.pool,
        k8s_image: &worker.image,
        k8s_node: worker.node.as_ref(),
        status: worker.status.as_str(),
        failure_reason: failure.map(|(reason, _)| *reason),
        failure_info: failure.map(|(_, info)| concealment::failure(reader, worker, info)),
        runner_id: worker.runner,
        job_id: worker.job.map(|job| job.id),
        created_at: worker.created_at,
        running_at: worker.running_at,
        online_at: worker.online_at,
        completed_at: worker.completed_at,
        updated_at: row.updated_at,
    }
}

fn page(
    visitor: &Visitor,
    listing: &Listing,
    workers: &[WorkerJson<'_>],
    total: u64,
    now: Timestamp,
) -> Markup {
    const COLUMNS: [&str; 10] = [
        "Worker",
        "Status",
        "Failure",
        "Account",
        "Labels",
        "Pool",
        "Board",
        "Job",
        "Reserved (UTC)",
        "Lived",
    ];
    let rows = html! { @for worker in workers { (row(visitor, worker, now)) } };
    html! {
        (layout::table("Workers", &listing.caption("worker", total), &COLUMNS, &rows))
        @if workers.is_empty() { p { "No workers on this page." } }
        (listing.navigation(visitor, total))
        (layout::concealed_note(visitor, "Logs, and repositories of personal accounts,"))
    }
}

fn row(visitor: &Visitor, worker: &WorkerJson<'_>, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { (text::worker(visitor, worker.pod_name)) }
            td { (text::status(worker.status)) }
            td {
                @match (worker.failure_reason, &worker.failure_info) {
                    (Some(reason), Some(info)) => { (failure::brief(reason, info)) }
                    _ => { (text::nothing()) }
                }
            }
            td {
                @match worker.repo_full_name {
                    Some(repo) => { (repo) }
                    None => { (worker.entity_name) }
                }
            }
            td { (text::labels(worker.job_labels)) }
            td { (worker.k8s_pool) }
            td { (text::or_nothing(worker.k8s_node.map(AsRef::as_ref))) }
            td {
                @match worker.job_id {
                    Some(job) => { a href=(visitor.address(&format!("/why/{job}"))) { (job) } }
                    None => { (text::nothing()) }
                }
            }
            td { (text::time(Some(worker.created_at))) }
            td class="age" { (text::span(worker.created_at, worker.completed_at.unwrap_or(now))) }
        }
    }
}
