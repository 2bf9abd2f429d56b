//! The part of `/queue` about labels that no rule knows.

use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, Login, RepoName},
    labels::LabelSet,
    policy::Policy,
    ports::UnroutedRow,
    unrouted::{self, Cause, Unrouted},
};
use serde::Serialize;

use super::{layout, text, visitor::Reader};

/// More label sets than these are for other people's runners, most likely.
const MOST_SETS: usize = 100;

/// Jobs whose labels no rule knows.
#[derive(Debug, Serialize)]
pub(super) struct UnroutedJson {
    entity_id: EntityId,
    entity_name: Login,
    entity_type: EntityKind,
    /// Of the latest job; `null` where the reader may not know it.
    repo_full_name: Option<RepoName>,
    job_labels: LabelSet,
    jobs: u64,
    /// How many boards serve them: none.
    boards: u32,
    #[serde(flatten)]
    cause: Cause,
    first_queued_at: Timestamp,
    last_queued_at: Timestamp,
}

/// What is worth a look first, and no more than fits a page.
pub(super) fn shown(policy: &Policy, rows: &[UnroutedRow], reader: Reader) -> Vec<UnroutedJson> {
    let judged = unrouted::judge(policy, rows.to_vec()).into_iter().take(MOST_SETS);
    judged.map(|unrouted| told(unrouted, reader)).collect()
}

fn told(Unrouted { row, cause }: Unrouted, reader: Reader) -> UnroutedJson {
    UnroutedJson {
        entity_id: row.entity_id,
        entity_name: row.entity_name,
        entity_type: row.entity_type,
        // The log does not say which repositories are private.
        repo_full_name: (reader == Reader::Authenticated).then_some(row.repo_full_name),
        job_labels: row.job_labels,
        jobs: row.jobs,
        boards: 0,
        cause,
        first_queued_at: row.first_queued_at,
        last_queued_at: row.last_queued_at,
    }
}

/// For people; nothing when there are none.
pub(super) fn section(rows: &[UnroutedJson], now: Timestamp) -> Markup {
    const COLUMNS: [&str; 6] = ["Labels", "Account", "Jobs", "Latest", "Boards", "What it may be"];
    let caption = html! {
        "Jobs of the last 24 hours that ask for labels which no rule knows, and that no other runner took; \
         no board will serve them"
    };
    let body = html! { @for row in rows { (table_row(row, now)) } };
    html! {
        @if !rows.is_empty() {
            h2 id="unrouted" { "Labels that no rule knows" }
            (layout::table("Labels that no rule knows", &caption, &COLUMNS, &body))
        }
    }
}

fn table_row(row: &UnroutedJson, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { (text::labels(&row.job_labels)) }
            td {
                @match &row.repo_full_name {
                    Some(repo) => { (repo) }
                    None => { (row.entity_name) }
                }
            }
            td class="number" { (row.jobs) }
            td class="age" { (text::span(row.last_queued_at, now)) " ago" }
            td class="number" { "0" }
            td { (cause(&row.cause)) }
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
            Cause::Unknown => span class="quiet" { "for somebody else's runners, most likely" }
        }
    }
}
