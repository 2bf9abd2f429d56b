//! `/controls`: what operators hold back, and, for readers with the token, who ordered what.

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::controls::{ControlTarget, WrittenCap, WrittenOrder};
use serde::Serialize;

use super::{
    layout, text,
    visitor::{Reader, Visitor},
};
use crate::state::AppState;

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
    let controls = state.controls();
    let written = controls.in_force().into_iter().map(|one| WrittenOrder::of(&one.order, &one.note));
    let in_force: Vec<_> = written.filter(|one| is_shown(visitor.reader, one)).collect();
    let audit = match (&state.0.operators, visitor.reader) {
        (Some(operators), Reader::Authenticated) => {
            match state.read(operators.store.control_audit(AUDIT_ROWS)).await {
                Ok(rows) => Some(rows.iter().map(|row| WrittenOrder::of(&row.order, &row.note)).collect()),
                Err(error) => return visitor.unreadable(&error),
            }
        }
        (Some(_), Reader::Anonymous) | (None, _) => None,
    };
    let answer = ControlsJson { in_force, audit, as_of: state.0.platform.now() };
    if visitor.is_html() { visitor.html("Controls", &page(&visitor, &answer)) } else { visitor.json(&answer) }
}

/// Whether a repository is private is not known here, so its name is for authenticated readers.
fn is_shown(reader: Reader, one: &WrittenOrder) -> bool {
    reader == Reader::Authenticated || !matches!(one.target, ControlTarget::Repository(_))
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
            @if audit.is_empty() { p { "No order was ever given." } } @else { (table("Last orders", audit)) }
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
        (Some(WrittenCap::Number(n)), _) => format!("{verb} to {n}"),
        (Some(WrittenCap::Word(word)), _) => format!("{verb} to {word}"),
        (None, Some(true)) => format!("{verb} by force"),
        (None, Some(false) | None) => verb,
    }
}
