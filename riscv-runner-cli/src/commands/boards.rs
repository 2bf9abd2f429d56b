//! `rrctl boards`: the machines, whether they take workers, and what runs on them.

use jiff::Timestamp;
use riscv_runner_core::{ports::RowFilter, quarantine::Admission};
use riscv_runner_http::views::{BoardState, BoardView, BoardsView, Occupant};

use super::narrowing::{Narrowing, Place};
use crate::{
    args::{self, Format},
    config::{self, Need, Sources},
    failure::Failure,
    moment,
    printer::{Column, Printer, Tone, Value},
    whole,
};

/// Runs `rrctl boards`.
pub(crate) async fn run(asked: &args::Boards, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let reading = &asked.reading;
    let narrowing = Narrowing { pool: asked.pool.clone(), entity: None };
    let boards: BoardsView = match reading.remote.connect_as_anybody(sources)? {
        Some(server) => {
            let mut query = narrowing.query();
            query.extend(asked.state.map(|state| ("state", state.as_str().to_owned())));
            let boards: BoardsView = whole::read(&server, &query).await?;
            if boards.boards.is_empty() && boards.observed {
                narrowing.explain_empty(Place::Server(&server), printer).await?;
            }
            boards
        }
        None => {
            let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
            let filter = RowFilter { status: asked.state, pool: narrowing.pool.clone(), entity: None };
            let boards = BoardsView::of(&moment::look(&config).await?, &filter);
            if boards.boards.is_empty() && boards.observed {
                narrowing.explain_empty(Place::Configuration(&config), printer).await?;
            }
            boards
        }
    };
    if !boards.observed && reading.output.format == Format::Table {
        let hint = match reading.remote.server {
            Some(_) => "the server cannot observe it: its log and /ready say since when",
            None => "`kubectl get nodes` with the same kubeconfig shows why",
        };
        return Err(Failure::failed("the cluster cannot be observed").hint(hint));
    }
    printer.data(reading.output.format, &boards, || {
        let header = [
            Column::always("node"),
            Column::rank(2, "board"),
            Column::rank(3, "pools"),
            Column::rank(1, "slots"),
            Column::always("state"),
            Column::always("worker"),
            Column::rank(4, "job"),
            Column::detail("because"),
        ];
        printer.table(&header, boards.boards.iter().map(|board| cells(board, boards.as_of)))
    })
}

fn cells(board: &BoardView, now: Timestamp) -> Vec<Value> {
    let tone = match board.state {
        BoardState::Busy => Tone::Good,
        BoardState::Free => Tone::Plain,
        BoardState::Cordoned | BoardState::Drained => Tone::Waiting,
        BoardState::Unreachable | BoardState::NotReady | BoardState::NoSlot | BoardState::Quarantined => {
            Tone::Bad
        }
    };
    let joined = |texts: Vec<String>| Value::or_dash((!texts.is_empty()).then(|| texts.join(", ")));
    let of_workers =
        |text: fn(&Occupant) -> Option<String>| joined(board.workers.iter().filter_map(text).collect());
    vec![
        board.k8s_node.as_str().into(),
        Value::or_dash(board.board.as_ref()),
        joined(board.pools.iter().map(ToString::to_string).collect()),
        Value::number(&board.slots),
        Value::toned(board.state.words(), tone),
        of_workers(|worker| Some(worker.pod_name.to_string())),
        of_workers(|worker| worker.job_id.map(|job| job.to_string())),
        Value::or_dash(because(board, now)),
    ]
}

/// What else to say about the state.
fn because(board: &BoardView, now: Timestamp) -> Option<String> {
    if let Some(since) = board.unreachable_since {
        return Some(format!("since {since}"));
    }
    if let Some(note) = &board.drained {
        return Some(note.reason.clone());
    }
    match board.quarantine?.admission(now) {
        Admission::Closed(until) => Some(format!("until {until}")),
        Admission::Canary => Some("one worker at a time".to_owned()),
        Admission::Open => None,
    }
}
