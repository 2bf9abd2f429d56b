//! `/usage`: active demand and supply by account, pool and labels.

use axum::{extract::State, response::Response};
use maud::{Markup, html};
use riscv_runner_core::{job::JobPhase, ports::UsageRow, worker::WorkerStatus};
use serde::Serialize;

use super::{layout, text, visitor::Visitor};
use crate::state::AppState;

/// What waits and what lives, over some rows of the usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Totals {
    pub(super) jobs_pending: u64,
    pub(super) jobs_running: u64,
    pub(super) workers_pending: u64,
    pub(super) workers_running: u64,
}

impl Totals {
    pub(super) fn of<'a>(rows: impl IntoIterator<Item = &'a UsageRow>) -> Self {
        rows.into_iter().fold(Self::default(), |sum, row| {
            let jobs = |phase| row.jobs.get(&phase).copied().unwrap_or(0);
            let workers = |status| row.workers.get(&status).copied().unwrap_or(0);
            Self {
                jobs_pending: sum.jobs_pending + jobs(JobPhase::Pending),
                jobs_running: sum.jobs_running + jobs(JobPhase::Running),
                workers_pending: sum.workers_pending + workers(WorkerStatus::Pending),
                workers_running: sum.workers_running + workers(WorkerStatus::Running),
            }
        })
    }
}

#[derive(Debug, Serialize)]
struct UsageJson<'a> {
    totals: Totals,
    usage: &'a [UsageRow],
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let usage = match state.read(state.0.reports.usage()).await {
        Ok(usage) => usage,
        Err(error) => return visitor.unreadable(&error),
    };
    let totals = Totals::of(&usage);
    if visitor.is_html() {
        visitor.html("Usage", &page(&usage, totals))
    } else {
        visitor.json(&UsageJson { totals, usage: &usage })
    }
}

fn page(usage: &[UsageRow], totals: Totals) -> Markup {
    const COLUMNS: [&str; 7] =
        ["Account", "Pool", "Labels", "Jobs waiting", "Jobs running", "Workers starting", "Workers running"];
    let rows = html! {
        @for row in usage {
            tr {
                th scope="row" { (row.entity_name) }
                td { (row.k8s_pool) }
                td { (text::labels(&row.job_labels)) }
                (counts(Totals::of([row])))
            }
        }
        @if !usage.is_empty() {
            tr class="total" { th scope="row" colspan="3" { "Total" } (counts(totals)) }
        }
    };
    let caption = html! { "Jobs that wait or run and live workers, by account, pool and labels" };
    html! {
        (layout::table("Usage", &caption, &COLUMNS, &rows))
        @if usage.is_empty() { p { "Nothing waits and nothing runs." } }
    }
}

fn counts(totals: Totals) -> Markup {
    let Totals { jobs_pending, jobs_running, workers_pending, workers_running } = totals;
    html! {
        @for count in [jobs_pending, jobs_running, workers_pending, workers_running] {
            td class="number" { (count) }
        }
    }
}
