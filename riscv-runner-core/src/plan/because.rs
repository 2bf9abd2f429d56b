//! Why a step is taken, with the evidence.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{controls::Note, health::Illness, scope::PoolKey};

/// Why a step is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Because {
    /// Demand of the key exceeds its supply.
    DemandExceedsSupply {
        /// The key.
        key: PoolKey,
        /// Jobs waiting or running.
        demand: u32,
        /// Workers that can serve them, those planned before included.
        supply: u32,
    },
    /// A rule keeps idle runners for the key.
    KeptWarm {
        /// The key.
        key: PoolKey,
        /// How many idle runners the key should have.
        wished: u32,
    },
    /// The pod's phase requires it.
    PodPhase {
        /// The phase.
        phase: String,
    },
    /// No pod, though the worker was reserved this long ago.
    NoPod {
        /// How long ago.
        reserved_for: Duration,
    },
    /// A health rule found an illness.
    Ill(Illness),
    /// An operator revoked the worker.
    Revoked {
        /// The order: by whom, when and why.
        note: Note,
    },
    /// The job that the worker ran is over.
    JobOver,
    /// The registration was missing in this many consecutive polls.
    RegistrationMissing {
        /// How many consecutive listings missed it.
        looks: u32,
    },
    /// A pod of ours has no row.
    NoRow,
    /// The worker's row is terminal.
    WorkerEnded,
    /// A registration or secret belongs to no live worker.
    NoLiveWorker,
    /// The runner has started, so it has read its secret.
    RunnerStarted,
    /// GitHub accepted the runner in an image that was set aside as outdated.
    RunnerAccepted,
    /// The pod ended longer ago than ended pods are kept.
    GraceOver {
        /// When it ended.
        ended_at: Timestamp,
    },
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DemandExceedsSupply { key, demand, supply } => {
                write!(f, "{key}: demand {demand} exceeds supply {supply}")
            }
            Self::KeptWarm { key, wished } => write!(f, "{key}: {wished} idle runners are kept"),
            Self::PodPhase { phase } => write!(f, "the pod is {phase}"),
            Self::NoPod { reserved_for } => {
                write!(f, "no pod {} s after it was reserved", reserved_for.as_secs())
            }
            Self::Ill(illness) => illness.fmt(f),
            Self::Revoked { note } => {
                write!(f, "revoked by {} at {}: {}", note.actor, note.since, note.reason)
            }
            Self::JobOver => f.write_str("its job is over"),
            Self::RegistrationMissing { looks } => {
                write!(f, "its registration was missing in {looks} looks in a row")
            }
            Self::NoRow => f.write_str("the pod has no row"),
            Self::WorkerEnded => f.write_str("its worker has ended"),
            Self::NoLiveWorker => f.write_str("no live worker needs it"),
            Self::RunnerStarted => f.write_str("the runner has started"),
            Self::RunnerAccepted => f.write_str("GitHub accepts the runner of its image"),
            Self::GraceOver { ended_at } => write!(f, "the pod ended at {ended_at}"),
        }
    }
}
