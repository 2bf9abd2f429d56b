//! The store in memory: the whole `Store` port with the semantics that its documentation promises.
//!
//! Outlives the simulated processes that write to it; keeps nothing on disk.

mod controls;
mod deliveries;
mod events;
mod lease;
mod reports;
mod retention;
mod rows;
mod scheduling;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use riscv_runner_core::{
    controls::Controls,
    delivery::{LogEntry, Outcome},
    engine::wake::Wake,
    ids::{EntityId, Epoch, JobId, PoolName, WorkerName},
    job::JobPhase,
    ports::{JobRow, LeaderProof, Platform, PortError, PortErrorKind, PortResult, Reservation, WorkerRow},
    scope::PoolKey,
    worker::WorkerStatus,
};

use crate::clock::lock;
use rows::Rows;
pub(crate) use scheduling::failures_by_reason;

/// A row of the log of deliveries.
#[derive(Debug, Clone)]
pub struct LogRow {
    /// Its number, ascending.
    pub id: u64,
    /// What was delivered.
    pub entry: LogEntry,
    /// What became of it.
    pub outcome: Outcome,
}

/// Something that was written; what the laws look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A job's row is new or changed.
    Job {
        /// The job.
        id: JobId,
        /// Its rank on the ladder, as [`riscv_runner_core::job::JobState::rank`] has it.
        rank: (bool, u32, JobPhase),
    },
    /// A worker's row is new or changed.
    Worker {
        /// The worker.
        name: WorkerName,
        /// Its status now.
        status: WorkerStatus,
        /// Whether it failed without a reason.
        unexplained: bool,
    },
    /// A reservation was accepted; the counts are taken right after it, over all rows.
    Reserved(Box<Occupancy>),
    /// A write of a leader was accepted.
    Written {
        /// The leader's term.
        epoch: Epoch,
    },
}

/// How full everything is that a reservation counts against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupancy {
    /// What was asked for.
    pub reservation: Reservation,
    /// Live workers of the account.
    pub entity_live: u32,
    /// Live workers of the pool.
    pub pool_live: u32,
    /// Live, unspent workers of the key.
    pub supply: u32,
    /// Jobs of the key that are demand.
    pub demand: u32,
}

/// The store.
pub struct MemoryStore {
    rows: Mutex<Rows>,
    platform: Arc<dyn Platform>,
    wakes: Mutex<Vec<Wake>>,
    changed: AtomicBool,
}

impl MemoryStore {
    /// An empty store whose own clock is `platform`'s.
    #[must_use]
    pub fn new(platform: Arc<dyn Platform>) -> Self {
        Self {
            rows: Mutex::new(Rows::default()),
            platform,
            wakes: Mutex::default(),
            changed: AtomicBool::new(false),
        }
    }

    /// Wakes `wake` whenever demand may have changed, as PostgreSQL's `NOTIFY` does.
    pub fn notify(&self, wake: Wake) {
        lock(&self.wakes).push(wake);
    }

    /// Forgets everybody who was to be woken: their process is gone.
    pub fn forget_listeners(&self) {
        lock(&self.wakes).clear();
    }

    /// Replaces what operators hold back.
    pub fn set_controls(&self, controls: Controls) {
        self.write(|rows| rows.standing.controls = controls);
    }

    /// What operators hold back.
    #[must_use]
    pub fn controls(&self) -> Controls {
        self.read(|rows| rows.standing.controls.clone())
    }

    /// Every job's row, by id.
    #[must_use]
    pub fn all_jobs(&self) -> Vec<JobRow> {
        self.read(|rows| rows.jobs.values().cloned().collect())
    }

    /// Every worker's row, by name, with the job that names it.
    #[must_use]
    pub fn all_workers(&self) -> Vec<WorkerRow> {
        self.read(|rows| rows.workers.keys().filter_map(|name| rows.worker(name)).collect())
    }

    /// The log of deliveries, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<LogRow> {
        self.read(|rows| rows.log.clone())
    }

    /// What was written since the last call; empty unless [`Self::record_changes`] was called.
    #[must_use]
    pub fn take_changes(&self) -> Vec<Change> {
        if self.changed.swap(false, Ordering::Relaxed) {
            self.write(|rows| rows.changes.as_mut().map(std::mem::take).unwrap_or_default())
        } else {
            Vec::new()
        }
    }

    /// Begins to remember changes for [`Self::take_changes`].
    pub fn record_changes(&self) {
        self.write(|rows| rows.changes = Some(Vec::new()));
    }

    fn read<R>(&self, look: impl FnOnce(&Rows) -> R) -> R {
        look(&lock(&self.rows))
    }

    fn write<R>(&self, change: impl FnOnce(&mut Rows) -> R) -> R {
        change(&mut lock(&self.rows))
    }

    /// A write of a leader: refused once a later epoch exists.
    fn fenced<R>(
        &self,
        proof: &LeaderProof,
        operation: &'static str,
        change: impl FnOnce(&mut Rows, Timestamp) -> R,
    ) -> PortResult<R> {
        let now = self.platform.now();
        let result = self.write(|rows| {
            if rows.lease.newest_epoch().is_some_and(|newest| proof.epoch() < newest) {
                return Err(PortError::new(
                    PortErrorKind::NotLeader,
                    operation,
                    format!("epoch {} has been succeeded by a later one", proof.epoch()),
                ));
            }
            rows.note(Change::Written { epoch: proof.epoch() });
            Ok(change(rows, now))
        });
        self.changed.store(true, Ordering::Relaxed);
        result
    }

    fn wake(&self) {
        for wake in lock(&self.wakes).iter() {
            wake.wake();
        }
    }
}

/// Live workers counted by what limits them.
#[derive(Debug, Default)]
struct LiveCounts {
    by_entity: BTreeMap<EntityId, u32>,
    by_pool: BTreeMap<PoolName, u32>,
    unspent_by_key: BTreeMap<PoolKey, u32>,
}
