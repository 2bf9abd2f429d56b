//! `/queue`: who waits, grouped by what the same runners could serve, and why.

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{layout, reason, text, unrouted, visitor::Visitor};
use crate::{
    state::{AppState, PICTURE_MAX_AGE},
    views::{GroupView, QueueView, ShareView},
};

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
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
    let queue = QueueView::of(&picture, &unrouted, &state.policy(), visitor.reader, leading);
    if visitor.is_html() { visitor.live("Queue", &page(&visitor, &queue)) } else { visitor.json(&queue) }
}

fn page(visitor: &Visitor, queue: &QueueView) -> Markup {
    const COLUMNS: [&str; 7] = ["Labels", "Account", "Waiting", "Oldest", "Why they wait", "Running", "Pool"];
    let rows = html! { @for group in &queue.queue { (row(group, queue.as_of)) } };
    let caption = html! {
        (queue.jobs_pending) " waiting, grouped by what the same runners could serve, oldest first; as of "
        (text::time(Some(queue.as_of))) " UTC"
    };
    html! {
        @if queue.queue.is_empty() {
            p { "No job waits, as of " (text::time(Some(queue.as_of))) " UTC." }
        } @else {
            (layout::cards("Queue", &caption, &COLUMNS, &rows))
        }
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
