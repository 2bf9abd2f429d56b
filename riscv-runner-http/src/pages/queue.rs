//! `/queue`: who waits, grouped by what the same runners could serve, and why.

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::ids::PoolName;

use super::{layout, paging::Paging, reason, text, unrouted, visitor::Visitor};
use crate::{
    state::{AppState, PICTURE_MAX_AGE},
    views::{GroupView, QueueView, ShareView, Shown},
};

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let asked = Paging::asked_now(&visitor.query, state.0.platform.now()).and_then(|mut paging| {
        let filter = paging.filter(&visitor.query, "status", &[])?;
        Ok((paging, filter))
    });
    let (paging, filter) = match asked {
        Ok(asked) => asked,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let picture = match state.picture(PICTURE_MAX_AGE).await {
        Some(Ok(picture)) => picture,
        Some(Err(error)) => return visitor.unreadable(&error),
        None => return visitor.not_seen_here(),
    };
    let unrouted = match state.unrouted().await {
        Ok(rows) => rows,
        Err(error) => return visitor.unreadable(&error),
    };
    let leading = state.0.readiness.is_leading();
    let (policy, shown) =
        (state.policy(), Shown { filter: &filter, page: Some(paging.page), reader: visitor.reader });
    let queue = QueueView::shown(&picture, &unrouted, &policy, leading, &shown);
    let response = if visitor.is_html() {
        let pools: Vec<_> = policy.pools.keys().map(PoolName::as_str).collect();
        let content = html! { (paging.choices(&visitor, "pool", &pools)) (page(&visitor, &queue, &paging)) };
        visitor.live("Queue", &content)
    } else {
        visitor.json(&queue)
    };
    paging.link(response, &visitor, queue.part.total_count)
}

fn page(visitor: &Visitor, queue: &QueueView, paging: &Paging) -> Markup {
    const COLUMNS: [&str; 7] = ["Labels", "Account", "Waiting", "Oldest", "Why they wait", "Running", "Pool"];
    let rows = html! { @for group in &queue.queue { (row(group, queue.as_of)) } };
    let caption = html! {
        (queue.jobs_pending) " waiting, grouped by what the same runners could serve, oldest first; as of "
        (text::time(Some(queue.as_of))) " UTC"
    };
    html! {
        @if queue.part.total_count == 0 {
            p { "No job waits, as of " (text::time(Some(queue.as_of))) " UTC." }
        } @else {
            (layout::cards("Queue", &caption, &COLUMNS, &rows))
        }
        (paging.navigation(visitor, queue.part.total_count))
        (unrouted::section(&queue.unrouted, queue.as_of))
        (layout::concealed_note(visitor, "Repositories of personal accounts"))
    }
}

fn row(group: &GroupView, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { (text::labels(&group.job_labels)) }
            td data-name="Account" {
                @match (&group.repo_full_name, &group.entity_name) {
                    (Some(repo), _) => { (repo) }
                    (None, Some(login)) => { (login) }
                    (None, None) => { (group.entity_id) }
                }
            }
            td data-name="Waiting" class="number" { (group.jobs_pending) }
            td data-name="Oldest" class="age" {
                @match group.oldest_created_at {
                    Some(oldest) => { (text::span(oldest, now)) }
                    None => { (text::nothing()) }
                }
            }
            td data-name="Why they wait" {
                ul class="reasons" {
                    @for verdict in &group.verdicts { li { (verdict.jobs) " × " (reason::words(&verdict.reason)) } }
                }
            }
            td data-name="Running" class="number" { (group.jobs_running) }
            td data-name="Pool" { @for pool in &group.pools { div { (pool_cell(pool, group.pools.len())) } } }
        }
    }
}

fn pool_cell(pool: &ShareView, pools: usize) -> Markup {
    html! {
        (pool.k8s_pool)
        @if pools > 1 { " (" (pool.jobs_pending) " waiting)" }
        @if let (Some(boards), Some(usable)) = (pool.boards, pool.boards_usable) {
            span class="quiet" {
                ", " (boards) @if boards == 1 { " board" } @else { " boards" }
                @if usable < boards { ", " (usable) " usable" }
            }
        }
    }
}
