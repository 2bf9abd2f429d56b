//! `/workers`: the workers of a window, newest first, with what is known of each failure.

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{ports::Total, worker::WorkerStatus};

use super::{failure, layout, listing::Listing, text, visitor::Visitor};
use crate::{
    state::AppState,
    views::{WorkerView, WorkersView},
};

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let now = state.0.platform.now();
    let asked = Listing::asked(&visitor.query, now).and_then(|mut listing| {
        let known = WorkerStatus::ALL.map(|status| (status.as_str(), status));
        let filter = listing.paging.filter(&visitor.query, "status", &known)?;
        Ok((listing, filter))
    });
    let (listing, filter) = match asked {
        Ok(asked) => asked,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let read = state.0.reports.workers(listing.window, &filter, listing.paging.page);
    let (rows, total) = match state.read_in_turn(visitor.client, read).await {
        Ok(page) => page,
        Err(error) => return visitor.unreadable(&error),
    };
    let workers = WorkersView::of(&rows, total, listing.paging.page, visitor.reader, now);
    let response = if visitor.is_html() {
        let statuses = WorkerStatus::ALL.map(WorkerStatus::as_str);
        let form = listing.filter_form(&visitor, statuses, state.policy().pools.keys());
        let page = page(&visitor, &listing, &workers.workers, total, now);
        visitor.html("Workers", &html! { (form) (page) })
    } else {
        visitor.json(&workers)
    };
    listing.paging.link(response, &visitor, total)
}

fn page(
    visitor: &Visitor,
    listing: &Listing,
    workers: &[WorkerView],
    total: Total,
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
        (layout::cards("Workers", &listing.caption("worker", total), &COLUMNS, &rows))
        @if workers.is_empty() { p { "No workers on this page." } }
        (listing.paging.navigation(visitor, total))
        (layout::concealed_note(visitor, "Repositories of personal accounts"))
    }
}

fn row(visitor: &Visitor, worker: &WorkerView, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { (text::worker(visitor, &worker.pod_name)) }
            td data-name="Status" { (text::status(worker.status.as_str())) }
            td data-name="Failure" {
                @match (worker.failure_reason, &worker.failure_info) {
                    (Some(reason), Some(info)) => { (failure::brief(reason, info)) }
                    _ => { (text::nothing()) }
                }
            }
            td data-name="Account" {
                @match &worker.repo_full_name {
                    Some(repo) => { (repo) }
                    None => { (worker.entity_name) }
                }
            }
            td data-name="Labels" { (text::labels(&worker.job_labels)) }
            td data-name="Pool" { (worker.k8s_pool) }
            td data-name="Board" { (text::or_nothing(worker.k8s_node.as_ref().map(AsRef::as_ref))) }
            td data-name="Job" {
                @match worker.job_id {
                    Some(job) => { a href=(visitor.address(&format!("/why/{job}"))) { (job) } }
                    None => { (text::nothing()) }
                }
            }
            td data-name="Reserved (UTC)" { (text::time(Some(worker.created_at))) }
            td data-name="Lived" class="age" { (text::span(worker.created_at, worker.completed_at.unwrap_or(now))) }
        }
    }
}
