//! `/usage`: active demand and supply by account, pool and labels.

use axum::{extract::State, response::Response};
use maud::{Markup, html};
use riscv_runner_core::ports::UsageRow;

use super::{layout, text, visitor::Visitor};
use crate::{
    state::AppState,
    views::{Totals, UsageView},
};

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let usage = match state.read(state.0.reports.usage()).await {
        Ok(usage) => UsageView::of(usage),
        Err(error) => return visitor.unreadable(&error),
    };
    if visitor.is_html() {
        visitor.html("Usage", &page(&usage.usage, usage.totals))
    } else {
        visitor.json(&usage)
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
