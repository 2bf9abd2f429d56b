//! What a leader remembers between cycles. Losing it costs time, never correctness.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::told::Told;
use crate::{
    controls::Controls,
    ids::{DeliveryGuid, InstallationId, JobId, PoolName, RepoId, RunId, WorkerName},
    polling::{ActiveRuns, Asked, Looked, Rounds, RunsLooked},
    routing::KeptWarm,
    scope::{Scope, ScopeRef},
    snapshot::SightingsByWorker,
    why::HeldSince,
};

/// What a leader remembers.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

/// The contents of [`Memory`].
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// Scopes that had workers, until a look shows that no registration is left there.
    pub(super) owed: BTreeMap<Scope, ScopeRef>,
    /// For whom idle runners are kept: the last of them may end without a job that tells of its organization.
    pub(super) warm: KeptWarm,
    /// What polls of each scope's registrations showed.
    pub(super) looked: BTreeMap<Scope, Looked>,
    /// How far doubtful jobs have been looked through.
    pub(super) rounds: Rounds,
    /// When each job was last asked about.
    pub(super) asked: BTreeMap<JobId, Asked>,
    /// When each repository's runs were last listed, and by which installation.
    pub(super) runs_listed: BTreeMap<RepoId, (Timestamp, InstallationId)>,
    /// When each run was looked into, and through which installation.
    pub(super) runs_looked: RunsLooked,
    /// When each run was last listed as active.
    pub(super) runs_active: ActiveRuns,
    /// Runs of which a job waits or runs here.
    pub(super) runs_heard: BTreeSet<RunId>,
    /// When something that holds a job back ends by itself.
    pub(super) next_look: Option<Timestamp>,
    /// Since when jobs have been held for reasons that leave no other trace.
    pub(super) held_since: HeldSince,
    /// The free slots when the cluster was last looked at.
    pub(super) free: BTreeMap<PoolName, u32>,
    /// Why jobs are held, as far as it has been logged.
    pub(super) told: Told,
    /// What operators held back when the store was last read.
    pub(super) controls: Controls,
    /// Workers that are being made.
    pub(super) in_flight: BTreeSet<WorkerName>,
    /// Deliveries that were given up, for as long as GitHub's log shows them.
    pub(super) given_up: BTreeSet<DeliveryGuid>,
}

/// A worker is being made for as long as this lives, however its making ends.
pub(super) struct InFlight<'a> {
    memory: &'a Memory,
    worker: WorkerName,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.memory.lock().in_flight.remove(&self.worker);
    }
}

impl Memory {
    /// The memory, for a moment: never held across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Every change is a whole assignment, so a panic elsewhere leaves nothing half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that a worker is being made.
    pub(super) fn making(&self, worker: &WorkerName) -> InFlight<'_> {
        self.lock().in_flight.insert(worker.clone());
        InFlight { memory: self, worker: worker.clone() }
    }

    /// Forgets observations: a new leadership period relies on its own. Work in flight is still ours.
    pub(super) fn forget(&self) {
        let mut memory = self.lock();
        let in_flight = std::mem::take(&mut memory.in_flight);
        *memory = Remembered { in_flight, ..Remembered::default() };
    }

    /// What the polls of all scopes showed of each worker.
    pub(super) fn sightings(&self) -> SightingsByWorker {
        let memory = self.lock();
        memory.looked.values().flat_map(|looked| looked.sightings.clone()).collect()
    }
}
