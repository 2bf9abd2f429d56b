//! `/controls`: what operators hold back, and, for readers with the token, who ordered what.

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::controls::WrittenOrder;
use serde::Serialize;

use super::{layout, text, visitor::Visitor};
use crate::{
    state::AppState,
    views::{self, Reader},
};

/// How many of the last orders are shown.
const AUDIT_ROWS: u32 = 100;

#[derive(Debug, Serialize)]
struct ControlsJson {
    in_force: Vec<WrittenOrder>,
    /// The last orders, newest first; absent for anonymous readers.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<Vec<WrittenOrder>>,
    as_of: Timestamp,
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let audit = match (&state.0.operators, visitor.reader) {
        (Some(operators), Reader::Authenticated) => {
            match state.read(operators.store.control_audit(AUDIT_ROWS)).await {
                Ok(rows) => Some(rows.iter().map(|row| WrittenOrder::of(&row.order, &row.note)).collect()),
                Err(error) => return visitor.unreadable(&error),
            }
        }
        (Some(_), Reader::Anonymous) | (None, _) => None,
    };
    let answer = ControlsJson {
        in_force: views::concealed_orders(&state.controls(), visitor.reader),
        audit,
        as_of: state.0.platform.now(),
    };
    if visitor.is_html() { visitor.html("Controls", &page(&visitor, &answer)) } else { visitor.json(&answer) }
}

fn page(visitor: &Visitor, answer: &ControlsJson) -> Markup {
    html! {
        h2 { "In force" }
        @if answer.in_force.is_empty() {
            p { "Nothing is held back." }
        } @else {
            (table("In force", &answer.in_force))
        }
        @if let Some(audit) = &answer.audit {
            h2 { "Last orders" }
            @if audit.is_empty() { p { "No orders have been given." } } @else { (table("Last orders", audit)) }
        }
        (layout::concealed_note(visitor, "Paused repositories and the last orders"))
    }
}

fn table(name: &str, orders: &[WrittenOrder]) -> Markup {
    const COLUMNS: [&str; 5] = ["Order", "Target", "Reason", "By", "When (UTC)"];
    let rows = html! {
        @for order in orders {
            tr {
                td { (words(order)) }
                td { bdi { (order.target) } }
                td { bdi { (order.reason) } }
                td { bdi { (order.actor) } }
                td { (text::time(Some(order.since))) }
            }
        }
    };
    let caption = html! { (orders.len()) @if orders.len() == 1 { " order" } @else { " orders" } };
    layout::table(name, &caption, &COLUMNS, &rows)
}

fn words(order: &WrittenOrder) -> String {
    let verb = text::words(order.verb.as_str());
    match (order.max_workers, order.force) {
        (Some(cap), _) => format!("{verb} to {cap}"),
        (None, Some(true)) => format!("{verb} by force"),
        (None, Some(false) | None) => verb,
    }
}
