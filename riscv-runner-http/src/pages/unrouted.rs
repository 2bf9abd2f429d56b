//! The part of `/queue` about labels that match no rule.

use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::unrouted::Cause;

use super::{layout, text};
use crate::views::UnroutedView;

/// As HTML; nothing when there are none.
pub(super) fn section(rows: &[UnroutedView], now: Timestamp) -> Markup {
    const COLUMNS: [&str; 6] = ["Labels", "Account", "Jobs", "Latest", "Boards", "Likely cause"];
    let caption = html! {
        "Jobs of the last 24 hours that ask for labels that match no rule, and that no other runner took; \
         no board will serve them"
    };
    let body = html! { @for row in rows { (table_row(row, now)) } };
    html! {
        @if !rows.is_empty() {
            h2 id="unrouted" { "Labels that match no rule" }
            (layout::cards("Labels that match no rule", &caption, &COLUMNS, &body))
        }
    }
}

fn table_row(row: &UnroutedView, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { (text::labels(&row.job_labels)) }
            td data-name="Account" {
                @match &row.repo_full_name {
                    Some(repo) => { (repo) }
                    None => { (row.entity_name) }
                }
            }
            td data-name="Jobs" class="number" { (row.jobs) }
            td data-name="Latest" class="age" { (text::span(row.last_queued_at, now)) " ago" }
            td data-name="Boards" class="number" { "0" }
            td data-name="Likely cause" { (cause(&row.cause)) }
        }
    }
}

fn cause(cause: &Cause) -> Markup {
    html! {
        @match cause {
            Cause::NearlyKnown { written, known } => {
                strong { "a typo?" } " " code { bdi { (written) } } " is almost " code { bdi { (known) } }
            }
            Cause::ForOthers => { "a rule has these labels, for other accounts or repositories" }
            Cause::Unknown => span class="quiet" { "most likely for other runners" }
        }
    }
}
