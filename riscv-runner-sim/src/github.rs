//! GitHub as it really is: accounts, installations, repositories, runs, jobs, registrations, and the
//! webhooks that it sends. Knows nothing of us but what was asked of it.

mod accounts;
mod forge;
mod jobs;
mod lies;
mod limits;
mod runners;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use riscv_runner_core::{
    ids::{EntityId, JobId, RepoId, RunId, RunnerId},
    scope::Scope,
};

pub use accounts::{Account, Repository, Standing};
pub(crate) use forge::JIT_PREFIX;
pub use forge::SimForge;
pub(crate) use jobs::chosen;
pub use jobs::{GithubJob, GithubState};
pub use lies::Lie;
pub use runners::Registration;
pub(crate) use webhooks::Attempt;

/// What GitHub holds.
#[derive(Debug, Default)]
pub(crate) struct Github {
    pub(crate) accounts: BTreeMap<EntityId, Account>,
    pub(crate) repositories: BTreeMap<RepoId, Repository>,
    pub(crate) jobs: BTreeMap<JobId, GithubJob>,
    pub(crate) runs: BTreeMap<RunId, Vec<JobId>>,
    pub(crate) queued: BTreeMap<Scope, BTreeSet<(Timestamp, JobId)>>,
    pub(crate) runners: BTreeMap<RunnerId, Registration>,
    pub(crate) attempts: Vec<Attempt>,
    /// Jobs of which the news of their end was lost.
    pub(crate) lost_ends: BTreeSet<JobId>,
    pub(crate) limits: limits::Limits,
    pub(crate) last_id: i64,
}

impl Github {
    /// The next number that GitHub assigns: one sequence for everything, as ids need no order.
    pub(crate) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }
}

/// Numbers that a simulated GitHub assigns are positive.
pub(crate) fn assigned<T: TryFrom<i64, Error: std::fmt::Debug>>(number: i64) -> T {
    T::try_from(number).expect("assigned numbers are positive")
}
