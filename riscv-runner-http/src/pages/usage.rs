//! `/usage`: active demand and supply by account, pool and labels.

use axum::{extract::State, response::Response};
use http::StatusCode;
use maud::{Markup, html};
use riscv_runner_core::ids::PoolName;

use super::{layout, paging::Paging, text, visitor::Visitor};
use crate::{
    state::AppState,
    views::{Totals, UsageView},
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
    let usage = match state.read(state.0.reports.usage()).await {
        Ok(usage) => UsageView::shown(usage, &filter, Some(paging.page)),
        Err(error) => return visitor.unreadable(&error),
    };
    let total = usage.part.total_count;
    let response = if visitor.is_html() {
        let policy = state.policy();
        let pools: Vec<_> = policy.pools.keys().map(PoolName::as_str).collect();
        let content = html! {
            (paging.choices(&visitor, "pool", &pools))
            (page(&usage))
            (paging.navigation(&visitor, total))
        };
        visitor.html("Usage", &content)
    } else {
        visitor.json(&usage)
    };
    paging.link(response, &visitor, total)
}

fn page(UsageView { usage, totals, part }: &UsageView) -> Markup {
    const COLUMNS: [&str; 7] =
        ["Account", "Pool", "Labels", "Jobs waiting", "Jobs running", "Workers starting", "Workers running"];
    let rows = html! {
        @for row in usage {
            tr {
                th scope="row" { (row.entity_name) }
                td data-name="Pool" { (row.k8s_pool) }
                td data-name="Labels" { (text::labels(&row.job_labels)) }
                (counts(Totals::of([row])))
            }
        }
        @if !usage.is_empty() {
            tr class="total" { th scope="row" colspan="3" { "Total" } (counts(*totals)) }
        }
    };
    let caption = html! { "Jobs that wait or run and live workers, by account, pool and labels" };
    html! {
        (layout::cards("Usage", &caption, &COLUMNS, &rows))
        @if part.total_count == 0 { p { "Nothing waits and nothing runs." } }
    }
}

fn counts(totals: Totals) -> Markup {
    let Totals { jobs_pending, jobs_running, workers_pending, workers_running } = totals;
    html! {
        td data-name="Jobs waiting" class="number" { (jobs_pending) }
        td data-name="Jobs running" class="number" { (jobs_running) }
        td data-name="Workers starting" class="number" { (workers_pending) }
        td data-name="Workers running" class="number" { (workers_running) }
    }
}
