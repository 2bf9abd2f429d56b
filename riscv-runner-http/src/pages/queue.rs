//! `/queue`: who waits, grouped by what the same runners could serve, and why.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, Login, PoolName, RepoName},
    labels::LabelSet,
    scope::Target,
};
use serde::Serialize;

use super::{
    layout,
    reason::ReasonJson,
    text,
    unrouted::{self, UnroutedJson},
    visitor::{Reader, Visitor},
};
use crate::{
    picture::{BoardState, KeyQueue, Picture, Verdict},
    state::{AppState, PICTURE_MAX_AGE},
};

#[derive(Debug, Serialize)]
struct QueueJson<'a> {
    /// Jobs that wait, over all groups.
    jobs_pending: u64,
    /// The group with the oldest job first.
    queue: Vec<GroupJson<'a>>,
    /// Jobs whose labels no rule knows, the likely typos first.
    unrouted: Vec<UnroutedJson>,
    /// Whether this process leads: only the leader knows all of GitHub's limits.
    leading: bool,
    as_of: Timestamp,
}

/// Jobs that the same runners could serve.
#[derive(Debug, Serialize)]
struct GroupJson<'a> {
    entity_id: EntityId,
    entity_name: Option<&'a Login>,
    entity_type: EntityKind,
    /// `null` for organizations, and where the reader may not know it.
    repo_full_name: Option<&'a RepoName>,
    job_labels: &'a LabelSet,
    jobs_pending: u32,
    jobs_running: u32,
    oldest_created_at: Option<Timestamp>,
    pools: Vec<PoolJson<'a>>,
    verdicts: Vec<VerdictJson>,
}

#[derive(Debug, Serialize)]
struct PoolJson<'a> {
    k8s_pool: &'a PoolName,
    jobs_pending: u32,
    /// Boards that the pool selects; `null` while the cluster cannot be observed.
    boards: Option<usize>,
    /// Of these, the ones that take workers.
    boards_usable: Option<usize>,
}

#[derive(Debug, Serialize)]
struct VerdictJson {
    /// How many jobs it holds.
    jobs: u32,
    /// That of the oldest of them.
    #[serde(flatten)]
    reason: ReasonJson,
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let picture = match state.picture(PICTURE_MAX_AGE).await {
        Some(Ok(picture)) => picture,
        Some(Err(error)) => return visitor.unreadable(&error),
        None => return visitor.not_seen_here(),
    };
    let unrouted = match state.unrouted().await {
        Ok(rows) => unrouted::shown(&state.policy(), &rows, visitor.reader),
        Err(error) => return visitor.unreadable(&error),
    };
    let queue = QueueJson {
        jobs_pending: picture.keys.iter().map(|key| u64::from(key.pending)).sum(),
        queue: picture.keys.iter().map(|key| group(&picture, key, visitor.reader)).collect(),
        unrouted,
        leading: state.0.readiness.is_leading(),
        as_of: picture.snapshot.now,
    };
    if visitor.is_html() { visitor.live("Queue", &page(&visitor, &queue)) } else { visitor.json(&queue) }
}

fn group<'a>(picture: &Picture, queue: &'a KeyQueue, reader: Reader) -> GroupJson<'a> {
    let repo = queue.scope.as_ref().and_then(|scope| match &scope.target {
        Target::Repository { name, .. } => Some(name),
        Target::Organization => None,
    });
    let verdict = |verdict: &Verdict| VerdictJson {
        jobs: verdict.jobs,
        reason: ReasonJson::shown(&verdict.reason, verdict.since, reader),
    };
    GroupJson {
        entity_id: queue.key.scope.entity(),
        entity_name: queue.scope.as_ref().map(|scope| &scope.login),
        entity_type: queue.key.scope.kind(),
        repo_full_name: repo.filter(|_| reader == Reader::Authenticated),
        job_labels: &queue.key.labels,
        jobs_pending: queue.pending,
        jobs_running: queue.running,
        oldest_created_at: queue.oldest,
        pools: pools(picture, &queue.pools),
        verdicts: queue.verdicts.iter().map(verdict).collect(),
    }
}

fn pools<'a>(picture: &Picture, pools: &'a BTreeMap<PoolName, u32>) -> Vec<PoolJson<'a>> {
    let pool = |(pool, pending): (&'a PoolName, &u32)| {
        let of_pool = || {
            let boards = picture.boards.as_ref()?.iter();
            Some(boards.filter(|board| board.pools.contains(pool)))
        };
        let usable = |state| matches!(state, BoardState::Free | BoardState::Busy);
        PoolJson {
            k8s_pool: pool,
            jobs_pending: *pending,
            boards: of_pool().map(Iterator::count),
            boards_usable: of_pool().map(|boards| boards.filter(|board| usable(board.state)).count()),
        }
    };
    pools.iter().map(pool).collect()
}

fn page(visitor: &Visitor, queue: &QueueJson<'_>) -> Markup {
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
            (layout::table("Queue", &caption, &COLUMNS, &rows))
        }
        (unrouted::section(&queue.unrouted, queue.as_of))
        (layout::concealed_note(visitor, "Repositories of personal accounts"))
    }
}

fn row(group: &GroupJson<'_>, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { (text::labels(group.job_labels)) }
            td {
                @match (group.repo_full_name, group.entity_name) {
                    (Some(repo), _) => { (repo) }
                    (None, Some(login)) => { (login) }
                    (None, None) => { (group.entity_id) }
                }
            }
            td class="number" { (group.jobs_pending) }
            td class="age" {
                @match group.oldest_created_at {
                    Some(oldest) => { (text::span(oldest, now)) }
                    None => { (text::nothing()) }
                }
            }
            td {
                ul class="reasons" {
                    @for verdict in &group.verdicts { li { (verdict.jobs) " × " (verdict.reason.words()) } }
                }
            }
            td class="number" { (group.jobs_running) }
            td { @for pool in &group.pools { div { (pool_cell(pool, group.pools.len())) } } }
        }
    }
}

fn pool_cell(pool: &PoolJson<'_>, pools: usize) -> Markup {
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
