//! The laws: what must hold whatever fails. They judge by the truth, never by what the engine believes.

mod at_rest;
mod every_step;
mod orders;

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

pub use at_rest::{RestState, at_rest};
pub use every_step::Ledger;
pub(crate) use every_step::{capacity_holds, slots_hold, spares_busy_runners};
pub(crate) use orders::{board_rests, reservation_obeys};

/// A law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// No node carries more live pods than it has slots.
    SlotsHold,
    /// No pool has more live pods than its machines have slots.
    CapacityHolds,
    /// No account has more live workers than its cap.
    EntityCapHolds,
    /// No pool has more live workers than its cap.
    PoolCapHolds,
    /// A reservation never makes a key's live, unspent workers more than its demand and warm runners.
    SupplyWithinDemand,
    /// A pod whose runner executes a job is neither killed nor deleted.
    BusyRunnerSpared,
    /// A job's rank never descends.
    JobRankAscends,
    /// A worker's status never descends.
    WorkerStatusAscends,
    /// Once a later epoch has written, no earlier one writes.
    OneEpochWrites,
    /// No worker that is reserved after a board was drained is placed on it.
    DrainedBoardsRest,
    /// Nothing is reserved for what an operator holds back.
    OrdersObeyed,
    /// Every failed worker has a reason.
    FailuresExplained,
    /// No process panics.
    NobodyPanics,
    /// Time goes on.
    TimeGoesOn,
    /// At rest: the world comes to rest at all.
    ComesToRest,
    /// At rest: nothing is planned.
    PlanIsEmpty,
    /// At rest: every job is over on GitHub, and the store knows.
    EveryJobServed,
    /// At rest: no job was begun again after it had been completed.
    ServedOnce,
    /// At rest: no pod is left.
    NoPodLeft,
    /// At rest: no secret is left.
    NoSecretLeft,
    /// At rest: no registration is left.
    NoRegistrationLeft,
    /// At rest: no worker's row is live.
    NoWorkerLeft,
}

impl Law {
    /// Every law.
    pub const ALL: [Self; 22] = [
        Self::SlotsHold,
        Self::CapacityHolds,
        Self::EntityCapHolds,
        Self::PoolCapHolds,
        Self::SupplyWithinDemand,
        Self::BusyRunnerSpared,
        Self::JobRankAscends,
        Self::WorkerStatusAscends,
        Self::OneEpochWrites,
        Self::DrainedBoardsRest,
        Self::OrdersObeyed,
        Self::FailuresExplained,
        Self::NobodyPanics,
        Self::TimeGoesOn,
        Self::ComesToRest,
        Self::PlanIsEmpty,
        Self::EveryJobServed,
        Self::ServedOnce,
        Self::NoPodLeft,
        Self::NoSecretLeft,
        Self::NoRegistrationLeft,
        Self::NoWorkerLeft,
    ];

    /// Whether it judges a world at rest, rather than every step.
    #[must_use]
    pub const fn is_of_rest(self) -> bool {
        match self {
            Self::ComesToRest
            | Self::PlanIsEmpty
            | Self::EveryJobServed
            | Self::ServedOnce
            | Self::NoPodLeft
            | Self::NoSecretLeft
            | Self::NoRegistrationLeft
            | Self::NoWorkerLeft => true,
            Self::SlotsHold
            | Self::CapacityHolds
            | Self::EntityCapHolds
            | Self::PoolCapHolds
            | Self::SupplyWithinDemand
            | Self::BusyRunnerSpared
            | Self::JobRankAscends
            | Self::WorkerStatusAscends
            | Self::OneEpochWrites
            | Self::DrainedBoardsRest
            | Self::OrdersObeyed
            | Self::FailuresExplained
            | Self::NobodyPanics
            | Self::TimeGoesOn => false,
        }
    }
}

/// A broken law.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// How.
    pub detail: String,
    /// When, in virtual time.
    pub at: Timestamp,
}

impl Violation {
    pub(crate) fn new(law: Law, at: Timestamp, detail: impl Into<String>) -> Self {
        Self { law, detail: detail.into(), at }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}: {}", self.law, self.at, self.detail)
    }
}
