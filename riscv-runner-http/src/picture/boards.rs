//! What the boards do: each machine with its state and whom it serves, and the slots of each pool.

use std::collections::BTreeMap;

use alphanumeric_sort::compare_str;
use jiff::Timestamp;
use riscv_runner_core::{
    controls::{Controls, Note},
    ids::{JobId, NodeName, PoolName, WorkerName},
    plan::capacity::Capacity,
    pod::{BOARD_LABEL, Node},
    policy::Policy,
    quarantine::{Admission, Quarantine},
    snapshot::Snapshot,
    worker::WorkerStatus,
};
use serde::{Deserialize, Serialize};

/// What a board does, or why it takes no worker: the first state that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoardState {
    /// The cluster has lost contact with it.
    Unreachable,
    /// It is not `Ready`.
    NotReady,
    /// It offers no slot.
    NoSlot,
    /// Its workers kept failing.
    Quarantined,
    /// An operator has drained it.
    Drained,
    /// It is marked unschedulable in the cluster.
    Cordoned,
    /// A worker occupies it.
    Busy,
    /// It waits for a worker.
    Free,
}

impl BoardState {
    /// Every state, as a reader wants them: at work first, then what is wrong.
    pub const ALL: [Self; 8] = [
        Self::Busy,
        Self::Free,
        Self::Drained,
        Self::Cordoned,
        Self::Quarantined,
        Self::NotReady,
        Self::Unreachable,
        Self::NoSlot,
    ];

    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NotReady => "not_ready",
            Self::NoSlot => "no_slot",
            Self::Quarantined => "quarantined",
            Self::Drained => "drained",
            Self::Cordoned => "cordoned",
            Self::Busy => "busy",
            Self::Free => "free",
        }
    }

    /// The name shown to users.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotReady => "not ready",
            Self::NoSlot => "no slot",
            Self::Unreachable
            | Self::Quarantined
            | Self::Drained
            | Self::Cordoned
            | Self::Busy
            | Self::Free => self.as_str(),
        }
    }
}

/// The state of a slot, in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// A worker could be placed.
    Free,
    /// A worker occupies it, or will.
    Active,
    /// Its board's workers kept failing.
    Quarantined,
    /// An operator has drained its board or its pool.
    Drained,
    /// Its board is marked unschedulable.
    Cordoned,
    /// Its board is not `Ready`.
    NotReady,
    /// The cluster has lost contact with its board.
    Unreachable,
}

impl SlotState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Free,
        Self::Active,
        Self::Quarantined,
        Self::Drained,
        Self::Cordoned,
        Self::NotReady,
        Self::Unreachable,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Active => "active",
            Self::Quarantined => "quarantined",
            Self::Drained => "drained",
            Self::Cordoned => "cordoned",
            Self::NotReady => "not_ready",
            Self::Unreachable => "unreachable",
        }
    }

    /// Of a board that takes no worker; the others' slots are counted by the planner.
    const fn withheld(state: BoardState) -> Option<Self> {
        match state {
            BoardState::Unreachable => Some(Self::Unreachable),
            BoardState::NotReady => Some(Self::NotReady),
            BoardState::Quarantined => Some(Self::Quarantined),
            BoardState::Drained => Some(Self::Drained),
            BoardState::Cordoned => Some(Self::Cordoned),
            BoardState::NoSlot | BoardState::Busy | BoardState::Free => None,
        }
    }
}

/// A machine.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    /// The node as the cluster shows it.
    pub(crate) node: Node,
    /// Its state.
    pub(crate) state: BoardState,
    /// The configured pools that select it.
    pub(crate) pools: Vec<PoolName>,
    /// The order by which an operator drained it.
    pub(crate) drained: Option<Note>,
    /// The failures counted against it.
    pub(crate) quarantine: Option<Quarantine>,
    /// The workers on it.
    pub(crate) occupants: Vec<Occupant>,
}

/// A worker on a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupant {
    /// The worker, which is also the pod.
    pub pod_name: WorkerName,
    /// The status of its row; `None` for a pod that has no row.
    pub status: Option<WorkerStatus>,
    /// The job that names it.
    pub job_id: Option<JobId>,
    /// When its container started.
    pub running_at: Option<Timestamp>,
}

impl Board {
    /// The kind of board, as the node's label has it.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.node.labels.get(BOARD_LABEL).map(String::as_str)
    }

    /// Until when it is set aside.
    pub(crate) fn set_aside_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.quarantine?.admission(now) {
            Admission::Closed(until) => Some(until),
            Admission::Open | Admission::Canary => None,
        }
    }
}

/// Every machine by name; `None` while nodes or pods cannot be observed.
pub(super) fn boards(snapshot: &Snapshot, policy: &Policy) -> Option<Vec<Board>> {
    let (nodes, pods) = (snapshot.nodes.present()?, snapshot.pods.present()?);
    let mut on_board: BTreeMap<&NodeName, Vec<Occupant>> = BTreeMap::new();
    for pod in pods.values().filter(|pod| pod.holds_slot()) {
        let Some(node) = &pod.node else { continue };
        let worker = snapshot.workers.get(&pod.name).or_else(|| snapshot.ended.get(&pod.name));
        on_board.entry(node).or_default().push(Occupant {
            pod_name: pod.name.clone(),
            status: worker.map(|worker| worker.status),
            job_id: worker.and_then(|worker| worker.job).map(|job| job.id),
            running_at: worker.and_then(|worker| worker.running_at),
        });
    }
    let board = |node: &Node| {
        let mut board = Board {
            node: node.clone(),
            state: BoardState::Free,
            pools: policy
                .pools
                .iter()
                .filter(|(_, pool)| node.matches(&pool.node_selector))
                .map(|(name, _)| name.clone())
                .collect(),
            drained: snapshot.controls.drained_nodes.get(&node.name).cloned(),
            quarantine: snapshot.quarantines.get(&node.name).copied(),
            occupants: on_board.remove(&node.name).unwrap_or_default(),
        };
        board.state = state(&board, snapshot.now);
        board
    };
    let mut boards: Vec<_> = nodes.values().map(board).collect();
    // As people number machines: the tenth comes after the ninth.
    boards.sort_by(|a, b| compare_str(&a.node.name, &b.node.name));
    Some(boards)
}

fn state(board: &Board, now: Timestamp) -> BoardState {
    let node = &board.node;
    if node.unreachable_since.is_some() {
        BoardState::Unreachable
    } else if !node.ready {
        BoardState::NotReady
    } else if node.slots == 0 {
        BoardState::NoSlot
    } else if board.set_aside_until(now).is_some() {
        BoardState::Quarantined
    } else if board.drained.is_some() {
        BoardState::Drained
    } else if node.cordoned {
        BoardState::Cordoned
    } else if board.occupants.is_empty() {
        BoardState::Free
    } else {
        BoardState::Busy
    }
}

/// The slots of each pool by what they do. Those that are free on the boards of a drained pool are drained
/// with it; another pool that shares the boards may use them.
pub(super) fn slots(
    boards: &[Board],
    capacity: &Capacity,
    controls: &Controls,
) -> BTreeMap<PoolName, BTreeMap<SlotState, u32>> {
    let count = |(pool, free): (PoolName, u32)| {
        let unused =
            if controls.drained_pools.contains_key(&pool) { SlotState::Drained } else { SlotState::Free };
        let active = capacity.slots(&pool).map_or(0, |slots| slots.active);
        let mut counts: BTreeMap<_, _> = SlotState::ALL.into_iter().map(|state| (state, 0)).collect();
        counts.insert(unused, free);
        counts.insert(SlotState::Active, active);
        for board in boards.iter().filter(|board| board.pools.contains(&pool)) {
            if let Some(state) = SlotState::withheld(board.state) {
                *counts.entry(state).or_default() += board.node.slots;
            }
        }
        (pool, counts)
    };
    capacity.free().into_iter().map(count).collect()
}
