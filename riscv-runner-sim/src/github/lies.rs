//! What GitHub's listings say when they are wrong, as its users have seen them be.
//!
//! Only listings lie: deleting a busy runner is refused whatever they said.

use riscv_runner_core::{
    ids::RunnerId,
    runner::{Group, Runner},
    scope::Scope,
};

use super::Registration;
use crate::{faults::FaultKind, truth::Truth};

/// What every listing says wrongly about a runner while it has its present job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// `busy: false` while it executes.
    Idle,
    /// `offline` while it works.
    Offline,
}

impl Truth {
    /// Whether the listings will lie about a runner that takes a job now.
    pub(crate) fn choose_lie(&mut self) -> Option<Lie> {
        let rates = self.profile.github.clone();
        let idle = self.mischief(rates.idle_while_busy, FaultKind::IdleWhileBusy);
        let offline = self.mischief(rates.offline_while_busy, FaultKind::OfflineWhileBusy);
        match (idle, offline) {
            (true, _) => Some(Lie::Idle),
            (false, true) => Some(Lie::Offline),
            (false, false) => None,
        }
    }

    /// The registrations of a scope as a listing shows them.
    pub(crate) fn listing(&mut self, scope: Scope) -> Vec<Runner> {
        if self.mischief(self.profile.github.empty_listing, FaultKind::EmptyListing) {
            return Vec::new();
        }
        let here = self.github.runners.values().filter(|runner| runner.scope == scope);
        here.map(shown).collect()
    }

    /// A registration as the truth has it, for tests and pages.
    pub(crate) fn registration(&self, runner: RunnerId) -> Option<&Registration> {
        self.github.runners.get(&runner)
    }
}

fn shown(runner: &Registration) -> Runner {
    let (online, busy) = match runner.lie.filter(|_| runner.busy.is_some()) {
        Some(Lie::Idle) => (runner.online, false),
        Some(Lie::Offline) => (false, true),
        None => (runner.online, runner.busy.is_some()),
    };
    Runner { id: runner.id, name: runner.name.clone(), online, busy, group: Group::Ours }
}
