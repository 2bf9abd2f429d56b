//! A forge of the host's own. A host that means GitHub takes `riscv_runner_github::GithubForge`; this one registers
//! runners in a list.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{InstallationId, RunnerId},
    ports::{
        ActiveRun, Deletion, Forge, HookDelivery, JobRef, JobReport, JobSighting, LeaderProof, MintError,
        MintRequest, Minted, PortError, PortErrorKind, PortResult, RepoRef, RunRef,
    },
    runner::Runner,
    scope::ScopeRef,
    snapshot::InstallationHealth,
};

/// Numbers registrations, and knows nothing else.
#[derive(Default)]
pub(crate) struct OwnGithub {
    last: AtomicI64,
}

fn unknown<T>(operation: &'static str) -> PortResult<T> {
    Err(PortError::new(PortErrorKind::Transient, operation, "this forge does not tell"))
}

#[async_trait]
impl Forge for OwnGithub {
    async fn mint(&self, _: &LeaderProof, request: &MintRequest) -> Result<Minted, MintError> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let bug = |error: &dyn std::fmt::Display| {
            MintError::Unclear(PortError::new(PortErrorKind::Bug, "register a runner", error.to_string()))
        };
        let runner = RunnerId::new(number).map_err(|error| bug(&error))?;
        Ok(Minted { runner, jit: format!("configuration of {}", request.name).into() })
    }

    async fn runners(&self, _: &ScopeRef) -> PortResult<Vec<Runner>> {
        unknown("list runners")
    }

    async fn delete_runner(&self, _: &LeaderProof, _: &ScopeRef, _: RunnerId) -> PortResult<Deletion> {
        Ok(Deletion::Deleted)
    }

    async fn job(&self, _: &JobRef) -> PortResult<JobSighting> {
        unknown("look a job up")
    }

    async fn run_jobs(&self, _: &RunRef) -> PortResult<Vec<JobReport>> {
        unknown("list a run's jobs")
    }

    async fn run_conclusion(&self, _: &RunRef) -> PortResult<Option<String>> {
        unknown("look a run up")
    }

    async fn active_runs(&self, _: &RepoRef) -> PortResult<Vec<ActiveRun>> {
        unknown("list runs")
    }

    async fn hook_deliveries(&self, _: EntityKind, _: Timestamp) -> PortResult<Vec<HookDelivery>> {
        Ok(Vec::new())
    }

    async fn redeliver(&self, _: &LeaderProof, _: EntityKind, _: i64) -> PortResult<()> {
        unknown("deliver again")
    }

    fn returned(&self, _: InstallationId, _: Timestamp) {}

    fn health(&self, _: InstallationId) -> InstallationHealth {
        InstallationHealth::default()
    }
}
