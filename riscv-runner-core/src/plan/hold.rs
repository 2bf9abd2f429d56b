//! Why a waiting job is not served now: exactly one reason for each.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    controls::{ControlTarget, Note},
    ids::{ImageRef, JobId, NodeName, PoolName},
    scope::PoolKey,
    snapshot::PendingJob,
};

/// The most drained boards that a verdict names: each key has one, and the full list of boards is elsewhere.
pub const MOST_NAMED: usize = 8;
/// How many a sentence names.
const MOST_SAID: usize = 2;

/// A board that an operator drains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainedBoard {
    /// The node.
    pub board: NodeName,
    /// The order: by whom, when and why.
    pub note: Note,
}

fn is_none_drained(boards: &Arc<Vec<DrainedBoard>>) -> bool {
    boards.is_empty()
}

/// Why a waiting job is not served now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hold", rename_all = "snake_case")]
pub enum Hold {
    /// A worker for it is on its way, or is waiting for GitHub to hand it the job.
    DemandMet,
    /// An operator has paused it.
    Paused {
        /// What is paused.
        target: ControlTarget,
        /// The order: by whom, when and why.
        note: Note,
    },
    /// The account has as many workers as it may have, across all its pools.
    EntityAtCap {
        /// How many workers it has.
        current: u32,
        /// How many workers it may have.
        max: u32,
        /// Who set that limit, when, and why; `None` where the configuration sets it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Note>,
    },
    /// The pool has as many workers as it may have.
    PoolAtCap {
        /// The pool.
        pool: PoolName,
        /// How many workers it has.
        current: u32,
        /// How many workers it may have.
        max: u32,
    },
    /// Every slot is taken.
    NoCapacity {
        /// The pool.
        pool: PoolName,
        /// Slots of boards that accept workers.
        total: u32,
        /// How many of these are taken.
        active: u32,
        /// Boards set aside because their workers keep failing.
        #[serde(default)]
        quarantined: u32,
        /// Boards of the pool that operators have drained.
        #[serde(default)]
        drained: u32,
        /// The first of these by name, with who drained them: at most [`MOST_NAMED`].
        #[serde(default, skip_serializing_if = "is_none_drained")]
        drained_boards: Arc<Vec<DrainedBoard>>,
    },
    /// Boards of the pool are set aside because their workers keep failing, and there are no others to wait
    /// for.
    BoardQuarantined {
        /// The pool.
        pool: PoolName,
        /// Boards set aside.
        boards: u32,
        /// When the first of them is tried again.
        until: Timestamp,
    },
    /// The cluster cannot be observed, so free slots are unknown.
    CapacityUnknown,
    /// Workers of the key keep failing.
    BackingOff {
        /// When the key is tried again.
        until: Timestamp,
        /// Consecutive failures.
        failures: u32,
    },
    /// GitHub's limits forbid registering a runner for the installation.
    RateLimited {
        /// When the limit is lifted.
        until: Timestamp,
    },
    /// The App cannot authenticate for the installation.
    AuthFailing {
        /// Since when it has been unable to.
        since: Timestamp,
    },
    /// GitHub refuses to register runners for the installation.
    MintingRefused {
        /// The HTTP status.
        status: u16,
        /// When it is asked again.
        until: Timestamp,
    },
    /// GitHub refuses the runner in the image as outdated.
    ImageRefused {
        /// The image.
        image: ImageRef,
        /// When GitHub last refused it.
        since: Timestamp,
        /// When one worker tries it again; `None` while one does.
        until: Option<Timestamp>,
    },
    /// The pool is not in the configuration.
    UnknownPool {
        /// The pool.
        pool: PoolName,
    },
}

impl Hold {
    /// The verdict's name in answers and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DemandMet => "demand_met",
            Self::Paused { .. } => "paused",
            Self::EntityAtCap { .. } => "entity_at_cap",
            Self::PoolAtCap { .. } => "pool_at_cap",
            Self::NoCapacity { .. } => "no_capacity",
            Self::BoardQuarantined { .. } => "board_quarantined",
            Self::CapacityUnknown => "capacity_unknown",
            Self::BackingOff { .. } => "backing_off",
            Self::RateLimited { .. } => "rate_limited",
            Self::AuthFailing { .. } => "auth_failing",
            Self::MintingRefused { .. } => "minting_refused",
            Self::ImageRefused { .. } => "image_refused",
            Self::UnknownPool { .. } => "unknown_pool",
        }
    }
}

impl Hold {
    /// When it ends by itself, where that is known; the scheduler should run again then.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::BoardQuarantined { until, .. }
            | Self::BackingOff { until, .. }
            | Self::RateLimited { until }
            | Self::MintingRefused { until, .. } => Some(*until),
            Self::ImageRefused { until, .. } => *until,
            Self::DemandMet
            | Self::Paused { .. }
            | Self::EntityAtCap { .. }
            | Self::PoolAtCap { .. }
            | Self::NoCapacity { .. }
            | Self::CapacityUnknown
            | Self::AuthFailing { .. }
            | Self::UnknownPool { .. } => None,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DemandMet => f.write_str("a worker for it is on its way"),
            Self::Paused { target, note } => {
                write!(f, "{} by {} at {:.0}: {}", word(target), note.actor, note.since, note.reason)
            }
            Self::EntityAtCap { current, max, note } => {
                write!(f, "the account has {current} of {max} workers")?;
                note.as_ref().map_or(Ok(()), |Note { reason, actor, since }| {
                    write!(f, ", which is the limit set by {actor} at {since:.0}: {reason}")
                })
            }
            Self::PoolAtCap { pool, current, max } => write!(f, "pool {pool} has {current} of {max} workers"),
            Self::NoCapacity { pool, total, active, quarantined, drained, drained_boards } => {
                if *total == 0 {
                    write!(f, "pool {pool} has no board that can take a job")?;
                } else {
                    write!(f, "pool {pool} has no free slot: {active} of {total} are taken")?;
                }
                match quarantined {
                    0 => {}
                    1 => f.write_str(", 1 board is set aside after failures")?,
                    n => write!(f, ", {n} boards are set aside after failures")?,
                }
                say_drained(f, *drained, drained_boards)
            }
            Self::BoardQuarantined { pool, boards, until } => {
                let are = if *boards == 1 { "is" } else { "are" };
                write!(
                    f,
                    "pool {pool} has no free slot, and {boards} of its boards {are} set aside until {until:.0}"
                )
            }
            Self::CapacityUnknown => f.write_str("the cluster cannot be observed"),
            Self::BackingOff { until, failures } => {
                write!(f, "{failures} workers failed in a row; trying again at {until:.0}")
            }
            Self::RateLimited { until } => write!(f, "GitHub's limits forbid it until {until:.0}"),
            Self::AuthFailing { since } => {
                write!(f, "the App has been unable to authenticate since {since:.0}")
            }
            Self::MintingRefused { status, until } => {
                write!(
                    f,
                    "GitHub refuses to register runners with status {status}; trying again at {until:.0}"
                )
            }
            Self::ImageRefused { image, since, until } => {
                write!(f, "GitHub refused the runner in {image} as outdated at {since:.0}; ")?;
                match until {
                    Some(until) => write!(f, "one worker tries it again at {until:.0}"),
                    None => f.write_str("one worker tries it again now"),
                }
            }
            Self::UnknownPool { pool } => write!(f, "pool {pool} is not in the configuration"),
        }
    }
}

fn say_drained(f: &mut fmt::Formatter<'_>, drained: u32, boards: &[DrainedBoard]) -> fmt::Result {
    match drained {
        0 => return Ok(()),
        1 => f.write_str(", and an operator drains 1 board")?,
        n => write!(f, ", and operators drain {n} boards")?,
    }
    for (n, DrainedBoard { board, note }) in boards.iter().take(MOST_SAID).enumerate() {
        let Note { reason, actor, since } = note;
        let before = if n == 0 { ": " } else { "; " };
        write!(f, "{before}{board} by {actor} at {since:.0}: {reason}")?;
    }
    let (said, drained) = (boards.len().min(MOST_SAID), drained as usize);
    if said > 0 && drained > said { write!(f, "; and {} more", drained - said) } else { Ok(()) }
}

const fn word(target: &ControlTarget) -> &'static str {
    match target {
        ControlTarget::Pool(_) | ControlTarget::Board(_) => "drained",
        ControlTarget::Everything
        | ControlTarget::Entity(_)
        | ControlTarget::Repository(_)
        | ControlTarget::Worker(_) => "paused",
    }
}

/// Waiting jobs of one key with the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldGroup {
    /// Their key.
    pub key: PoolKey,
    /// The reason.
    pub hold: Hold,
    /// The jobs, oldest first.
    pub jobs: Vec<JobId>,
}

/// Every waiting job that was read and is not served by a step, with its reason. Grouped, because a
/// million jobs share a handful of reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holds(Vec<HoldGroup>);

impl Holds {
    /// Adds jobs of a key with their reason; returns how many they are.
    pub(crate) fn push(&mut self, key: &PoolKey, hold: Hold, jobs: &[PendingJob]) -> usize {
        let ids = jobs.iter().map(|job| job.id);
        match self.0.last_mut().filter(|last| last.key == *key && last.hold == hold) {
            Some(last) => last.jobs.extend(ids),
            None if jobs.is_empty() => {}
            None => self.0.push(HoldGroup { key: key.clone(), hold, jobs: ids.collect() }),
        }
        jobs.len()
    }

    /// The groups, in the order in which they were decided.
    #[must_use]
    pub fn groups(&self) -> &[HoldGroup] {
        &self.0
    }

    /// Every job with its reason.
    pub fn iter(&self) -> impl Iterator<Item = (JobId, &Hold)> {
        self.0.iter().flat_map(|group| group.jobs.iter().map(move |job| (*job, &group.hold)))
    }

    /// Why this job is held; `None` if it is not.
    #[must_use]
    pub fn of(&self, job: JobId) -> Option<&Hold> {
        self.iter().find_map(|(id, hold)| (id == job).then_some(hold))
    }

    /// When the first of the reasons ends by itself.
    #[must_use]
    pub fn next_look(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(|group| group.hold.until()).min()
    }

    /// How many jobs are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|group| group.jobs.len()).sum()
    }

    /// Whether no job is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
