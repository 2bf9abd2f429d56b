//! The boards: what each does, and which jobs it serves.

use jiff::Timestamp;
use riscv_runner_core::{
    controls::Note,
    ids::{NodeName, PoolName},
    ports::RowFilter,
    quarantine::Quarantine,
};
use serde::{Deserialize, Serialize};

use super::Part;
use crate::picture::{Board, BoardState, Occupant, Picture};

/// Every machine: `/boards.json`, `rrctl boards`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardsView {
    /// Whether nodes and pods could be observed; if not, `boards` is empty.
    pub observed: bool,
    /// The part of the list that this view holds.
    #[serde(flatten)]
    pub part: Part,
    /// The machines by name.
    pub boards: Vec<BoardView>,
    /// The time of these facts.
    pub as_of: Timestamp,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardView {
    /// The node.
    pub k8s_node: NodeName,
    /// The kind of board, as the node's label has it.
    pub board: Option<String>,
    /// Its state: what it does, or why it takes no worker.
    pub state: BoardState,
    /// The configured pools that select it.
    pub pools: Vec<PoolName>,
    /// How many workers it can hold.
    pub slots: u32,
    /// Whether the cluster calls it `Ready`.
    pub ready: bool,
    /// Whether it is marked unschedulable.
    pub cordoned: bool,
    /// Since when the cluster has lost contact with it.
    pub unreachable_since: Option<Timestamp>,
    /// The order by which an operator drained it.
    pub drained: Option<Note>,
    /// The failures counted against it.
    pub quarantine: Option<Quarantine>,
    /// The workers on it.
    pub workers: Vec<Occupant>,
}

impl BoardsView {
    /// The requested machines of a picture.
    #[must_use]
    pub fn of(picture: &Picture, filter: &RowFilter<BoardState>) -> Self {
        let (part, boards) = Part::cut(shown(picture, filter), None);
        Self::made(picture, part, &boards)
    }

    pub(crate) fn made(picture: &Picture, part: Part, boards: &[&Board]) -> Self {
        Self {
            observed: picture.boards.is_some(),
            part,
            boards: boards.iter().map(|board| BoardView::of(board)).collect(),
            as_of: picture.snapshot.now,
        }
    }
}

/// The machines in this state and of this pool.
pub(crate) fn shown<'a>(picture: &'a Picture, filter: &RowFilter<BoardState>) -> Vec<&'a Board> {
    let is_shown = |board: &&Board| {
        filter.status.is_none_or(|state| board.state == state)
            && filter.pool.as_ref().is_none_or(|pool| board.pools.contains(pool))
    };
    picture.boards.iter().flatten().filter(is_shown).collect()
}

impl BoardView {
    fn of(board: &Board) -> Self {
        let node = &board.node;
        Self {
            k8s_node: node.name.clone(),
            board: board.kind().map(str::to_owned),
            state: board.state,
            pools: board.pools.clone(),
            slots: node.slots,
            ready: node.ready,
            cordoned: node.cordoned,
            unreachable_since: node.unreachable_since,
            drained: board.drained.clone(),
            quarantine: board.quarantine,
            workers: board.occupants.clone(),
        }
    }
}
