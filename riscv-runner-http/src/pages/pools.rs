//! `/pools`: demand, supply and slots of each pool, how long the oldest waits, and why.

use std::{cmp::Reverse, collections::BTreeMap};

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{controls::Note, ids::PoolName};

use super::{layout, text, visitor::Visitor};
use crate::{
    picture::SlotState,
    state::{AppState, PICTURE_MAX_AGE},
    views::{PoolView, PoolsView},
};

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let usage = match state.read(state.0.reports.usage()).await {
        Ok(usage) => usage,
        Err(error) => return visitor.unreadable(&error),
    };
    let picture = match state.picture(PICTURE_MAX_AGE).await.transpose() {
        Ok(picture) => picture,
        Err(error) => return visitor.unreadable(&error),
    };
    let now = state.0.platform.now();
    let pools = PoolsView::of(&usage, &state.policy(), &state.controls(), picture.as_deref(), now);
    if !visitor.is_html() {
        return visitor.json(&pools);
    }
    let table = table(&pools.pools, picture.is_some(), now);
    visitor.live("Pools", &html! { (table) p class="quiet" { "As of " (text::time(Some(now))) " UTC" } })
}

/// As HTML; without `seen` there are no ages, reasons and slots.
pub(super) fn table(pools: &BTreeMap<PoolName, PoolView>, seen: bool, now: Timestamp) -> Markup {
    const COUNTED: [&str; 6] =
        ["Pool", "Jobs waiting", "Jobs running", "Workers starting", "Workers running", "Note"];
    const SEEN: [&str; 10] = [
        "Pool",
        "Jobs waiting",
        "Oldest",
        "Why they wait",
        "Jobs running",
        "Workers starting",
        "Workers running",
        "Boards",
        "Slots free",
        "Note",
    ];
    let rows = html! { @for (name, pool) in pools { (row(name, pool, seen, now)) } };
    let columns: &[&str] = if seen { &SEEN } else { &COUNTED };
    layout::cards("Pools", &html! { "Demand and supply by pool" }, columns, &rows)
}

fn row(name: &PoolName, pool: &PoolView, seen: bool, now: Timestamp) -> Markup {
    let totals = pool.totals;
    html! {
        tr {
            th scope="row" { (name) }
            td data-name="Jobs waiting" class="number" { (totals.jobs_pending) }
            @if seen {
                td data-name="Oldest" class="age" { (text::or_nothing(pool.oldest_created_at.map(|at| text::span(at, now)).as_deref())) }
                td data-name="Why they wait" { (reasons(pool)) }
            }
            td data-name="Jobs running" class="number" { (totals.jobs_running) }
            td data-name="Workers starting" class="number" { (totals.workers_pending) }
            td data-name="Workers running" class="number" { (totals.workers_running) }
            @if seen {
                td data-name="Boards" class="number" { (count(pool.boards)) }
                td data-name="Slots free" class="number" { (free(pool)) }
            }
            td data-name="Note" { (note(pool)) }
        }
    }
}

fn reasons(pool: &PoolView) -> Markup {
    let mut reasons: Vec<_> = pool.reasons.iter().flatten().collect();
    reasons.sort_by_key(|(name, count)| (Reverse(**count), *name));
    html! {
        @if reasons.is_empty() { (text::nothing()) }
        ul class="reasons short" { @for (name, count) in reasons { li { (count) " × " (text::words(name)) } } }
    }
}

fn free(pool: &PoolView) -> Markup {
    html! {
        @match (pool.slots_that_are(SlotState::Free), pool.usable_slots()) {
            (Some(free), Some(usable)) => { (free) " of " (usable) }
            (None, _) | (_, None) => { (text::nothing()) }
        }
    }
}

fn count(boards: Option<usize>) -> Markup {
    html! {
        @match boards {
            Some(boards) => { (boards) }
            None => { (text::nothing()) }
        }
    }
}

fn note(pool: &PoolView) -> Markup {
    html! {
        @match (&pool.drained, pool.max_workers) {
            (Some(note), _) => { "drained: " (held(note)) }
            (None, Some(cap)) => { "at most " (cap) @if cap == 1 { " worker" } @else { " workers" } }
            (None, None) => { (text::nothing()) }
        }
    }
}

/// An operator's words.
pub(super) fn held(note: &Note) -> Markup {
    html! { bdi { (note.reason) } " (" bdi { (note.actor) } ", " (text::time(Some(note.since))) " UTC)" }
}
