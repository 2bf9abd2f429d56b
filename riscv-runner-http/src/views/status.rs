//! Leader, demand, supply and boards at a glance.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    controls::{ControlTarget, Controls, WrittenOrder},
    ids::{Epoch, PoolName, ReplicaName},
    policy::Policy,
    ports::UsageRow,
};
use serde::{Deserialize, Serialize};

use super::{PoolView, PoolsView, Reader, Totals};
use crate::picture::{BoardState, Picture};

/// The state at a glance: `/status.json`, the overview's JSON, `rrctl status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The time of these facts.
    pub now: Timestamp,
    /// The leader; `null` while there is none.
    pub leader: Option<LeaderView>,
    /// Demand and supply in all.
    pub totals: Totals,
    /// What operators hold back, as far as the reader may know it.
    pub controls: Vec<WrittenOrder>,
    /// The pools by name.
    pub pools: BTreeMap<PoolName, PoolView>,
    /// How many boards are in each state; `null` where they are not seen.
    pub boards: Option<BTreeMap<BoardState, usize>>,
}

/// The replica that leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderView {
    /// Its name.
    pub name: ReplicaName,
    /// The epoch of its leadership.
    pub epoch: Epoch,
    /// Until when it leads, unless it renews its lease.
    pub until: Timestamp,
}

impl StatusView {
    /// Everything, as this reader may see it; `leader` may be one whose lease has run out.
    #[must_use]
    pub fn of(
        usage: &[UsageRow],
        leader: Option<(ReplicaName, Epoch, Timestamp)>,
        policy: &Policy,
        controls: &Controls,
        picture: Option<&Picture>,
        reader: Reader,
        now: Timestamp,
    ) -> Self {
        let leader = leader.filter(|(_, _, until)| *until > now);
        Self {
            now,
            leader: leader.map(|(name, epoch, until)| LeaderView { name, epoch, until }),
            totals: Totals::of(usage),
            controls: concealed_orders(controls, reader),
            pools: PoolsView::of(usage, policy, controls, picture, now).pools,
            boards: picture.and_then(|picture| picture.boards.as_ref()).map(|boards| {
                let mut counts = BTreeMap::new();
                for board in boards {
                    *counts.entry(board.state).or_default() += 1;
                }
                counts
            }),
        }
    }

    /// When the oldest waiting job was created; `None` also where the queue is not seen.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.pools.values().filter_map(|pool| pool.oldest_created_at).min()
    }
}

/// What is in force. Whether a repository is private is not known here, so its name is for authenticated
/// readers.
pub(crate) fn concealed_orders(controls: &Controls, reader: Reader) -> Vec<WrittenOrder> {
    let written = controls.in_force().into_iter().map(|one| WrittenOrder::of(&one.order, &one.note));
    let is_shown = |one: &WrittenOrder| {
        reader == Reader::Authenticated || !matches!(one.target, ControlTarget::Repository(_))
    };
    written.filter(is_shown).collect()
}
