//! `/boards`: every machine, what it does, and whom it serves.

use super::{layout, paging::Paging, text, visitor::Visitor};
use crate::{
    picture::{Board, BoardState, Occupant},
    state::{AppState, PICTURE_MAX_AGE},
    views::{self, BoardsView, Part},
};
use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::ids::PoolName;

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let known = BoardState::ALL.map(|state| (state.as_str(), state));
    let asked = Paging::asked_now(&visitor.query, state.0.platform.now()).and_then(|mut paging| {
        let filter = paging.filter(&visitor.query, "state", &known)?;
        Ok((paging, filter))
    });
    let (paging, filter) = match asked {
        Ok(asked) => asked,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let picture = match state.picture(PICTURE_MAX_AGE).await {
        Some(Ok(picture)) => picture,
        Some(Err(error)) => return visitor.unreadable(&error),
        None => return visitor.not_seen_here(),
    };
    let found = views::shown_boards(&picture, &filter);
    let (part, rows) = Part::cut(found.clone(), Some(paging.page));
    let response = if visitor.is_html() {
        let policy = state.policy();
        let pools: Vec<_> = policy.pools.keys().map(PoolName::as_str).collect();
        let content = match &picture.boards {
            Some(all) => html! {
                (paging.choices(&visitor, "state", &states(all)))
                (paging.choices(&visitor, "pool", &pools))
                (page(&visitor, &found, &rows, picture.snapshot.now))
                (paging.navigation(&visitor, part.total_count))
            },
            None => unobserved(),
        };
        visitor.live("Boards", &content)
    } else {
        visitor.json(&BoardsView::made(&picture, part, &rows))
    };
    paging.link(response, &visitor, part.total_count)
}

/// The states in which there are boards.
fn states(boards: &[Board]) -> Vec<&'static str> {
    let is_there = |state: &BoardState| boards.iter().any(|board| board.state == *state);
    BoardState::ALL.into_iter().filter(is_there).map(BoardState::as_str).collect()
}

/// The cluster is out of sight.
pub(super) fn unobserved() -> Markup {
    html! { p role="status" class="notice" { "The cluster cannot be observed now, so the state of the boards is unknown." } }
}

/// All boards that were found, and those of them on this page.
fn page(visitor: &Visitor, found: &[&Board], rows: &[&Board], now: Timestamp) -> Markup {
    const COLUMNS: [&str; 7] = ["Node", "Board", "State", "Slots", "Pools", "Worker", "Job"];
    let rows = html! { @for board in rows { (row(visitor, board, now)) } };
    let caption = html! {
        (found.len()) @if found.len() == 1 { " board" } @else { " boards" } ": " (tally(found))
        "; as of " (text::time(Some(now))) " UTC"
    };
    html! {
        @if found.is_empty() {
            p { "The cluster has no such node that offers a runner's slot." }
        } @else {
            (layout::cards("Boards", &caption, &COLUMNS, &rows))
        }
    }
}

/// How many boards are in each state.
fn tally(boards: &[&Board]) -> String {
    let count = |state: BoardState| {
        let count = boards.iter().filter(|board| board.state == state).count();
        (count > 0).then(|| format!("{count} {}", state.words()))
    };
    BoardState::ALL.into_iter().filter_map(count).collect::<Vec<_>>().join(", ")
}

fn row(visitor: &Visitor, board: &Board, now: Timestamp) -> Markup {
    let node = &board.node;
    html! {
        tr {
            th scope="row" { (node.name) }
            td data-name="Board" { (text::or_nothing(board.kind())) }
            td data-name="State" { (state(board.state)) (because(board, now)) }
            td data-name="Slots" class="number" { (node.slots) }
            td data-name="Pools" {
                @if board.pools.is_empty() { "none selects it" }
                @for (n, pool) in board.pools.iter().enumerate() { @if n > 0 { ", " } (pool) }
            }
            td data-name="Worker" { (each(&board.occupants, |worker| html! { (text::worker(visitor, &worker.pod_name)) })) }
            td data-name="Job" {
                (each(&board.occupants, |worker| html! {
                    @match worker.job_id {
                        Some(job) => { a href=(visitor.address(&format!("/why/{job}"))) { (job) } }
                        None => { (text::nothing()) }
                    }
                }))
            }
        }
    }
}

fn each(workers: &[Occupant], cell: impl Fn(&Occupant) -> Markup) -> Markup {
    html! {
        @if workers.is_empty() { (text::nothing()) }
        @for worker in workers { div { (cell(worker)) } }
    }
}

fn state(state: BoardState) -> Markup {
    html! { span class={ "status " (state.as_str()) } { (state.words()) } }
}

/// What else is to be said of the state.
fn because(board: &Board, now: Timestamp) -> Markup {
    html! {
        @if let Some(since) = board.node.unreachable_since { " since " (text::time(Some(since))) }
        @if let Some(until) = board.set_aside_until(now) { " until " (text::time(Some(until))) }
        @if let Some(note) = &board.drained { ": " bdi { (note.reason) } " (" bdi { (note.actor) } ")" }
    }
}

/// Every board as a tile, by kind.
pub(super) fn grid(visitor: &Visitor, boards: &[Board]) -> Markup {
    let mut kinds: Vec<_> = boards.iter().map(Board::kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    html! {
        @if boards.is_empty() { p { "The cluster has no node that offers a runner's slot." } }
        @for kind in kinds {
            @let of_kind: Vec<&Board> = boards.iter().filter(|board| board.kind() == kind).collect();
            h3 { (kind.unwrap_or("No board label")) " " span class="quiet" { (tally(&of_kind)) } }
            ul class="boards" {
                @for board in &of_kind { (tile(visitor, board)) }
            }
        }
    }
}

fn tile(visitor: &Visitor, board: &Board) -> Markup {
    let job = board.occupants.iter().find_map(|worker| worker.job_id);
    html! {
        li class=(board.state.as_str()) {
            span class="node" { (board.node.name) }
            @match job {
                Some(job) => { a href=(visitor.address(&format!("/why/{job}"))) { (board.state.words()) } }
                None => { span { (board.state.words()) } }
            }
        }
    }
}
