//! What a leader remembers between cycles. Losing it costs time, never correctness.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::{
    ids::{InstallationId, JobId, RepoId},
    polling::Asked,
    scope::Scope,
    snapshot::SightingsByWorker,
};

/// What a leader remembers.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

/// The contents of [`Memory`].
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// What looks at registrations showed.
    pub(super) sightings: SightingsByWorker,
    /// When each scope was last listed.
    pub(super) listed: BTreeMap<Scope, Timestamp>,
    /// When each job was last asked about.
    pub(super) asked: BTreeMap<JobId, Asked>,
    /// When each repository's runs were last listed, and by which installation.
    pub(super) runs_listed: BTreeMap<RepoId, (Timestamp, InstallationId)>,
    /// Up to when GitHub's delivery log was read.
    pub(super) deliveries_read: Option<Timestamp>,
}

impl Memory {
    /// The memory, for a moment: never held across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Every change is a whole assignment, so a panic elsewhere leaves nothing half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything: a new term judges by its own looks.
    pub(super) fn forget(&self) {
        *self.lock() = Remembered::default();
    }
}
