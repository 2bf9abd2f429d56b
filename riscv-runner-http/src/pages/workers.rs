//! `/workers`: the workers of a window, newest first, with what is known of each failure.

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};

use super::{failure, layout, listing::Listing, text, visitor::Visitor};
use crate::{
    state::AppState,
    views::{WorkerView, WorkersView},
};

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
    let workers = WorkersView::of(&rows, total, listing.page, visitor.reader);
    let response = if visitor.is_html() {
        visitor.html("Workers", &page(&visitor, &listing, &workers.workers, total, now))
    } else {
        visitor.json(&workers)
    };
    listing.link(response, &visitor, total)
}

fn page(visitor: &Visitor, listing: &Listing, workers: &[WorkerView], total: u64, now: Timestamp) -> Markup {
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

fn row(visitor: &Visitor, worker: &WorkerView, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { (text::worker(visitor, &worker.pod_name)) }
            td { (text::status(worker.status.as_str())) }
            td {
                @match (worker.failure_reason, &worker.failure_info) {
                    (Some(reason), Some(info)) => { (failure::brief(reason, info)) }
                    _ => { (text::nothing()) }
                }
            }
            td {
                @match &worker.repo_full_name {
                    Some(repo) => { (repo) }
                    None => { (worker.entity_name) }
                }
            }
            td { (text::labels(&worker.job_labels)) }
            td { (worker.k8s_pool) }
            td { (text::or_nothing(worker.k8s_node.as_ref().map(AsRef::as_ref))) }
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
