//! A GitHub with which calls go wrong.

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{InstallationId, RunnerId},
    ports::{
        ActiveRun, Deletion, Forge, HookDelivery, JobRef, JobReport, JobSighting, LeaderProof, MintError,
        MintRequest, Minted, PortResult, RepoRef, RunRef,
    },
    runner::Runner,
    scope::ScopeRef,
    snapshot::InstallationHealth,
};

use super::Faulty;

#[async_trait]
impl<T: Forge + ?Sized> Forge for Faulty<T> {
    async fn mint(&self, proof: &LeaderProof, request: &MintRequest) -> Result<Minted, MintError> {
        let minted = async { Ok(self.inner.mint(proof, request).await) };
        self.call("register a runner", minted).await.unwrap_or_else(|error| Err(MintError::Unclear(error)))
    }

    async fn runners(&self, scope: &ScopeRef) -> PortResult<Vec<Runner>> {
        self.call("list runners", self.inner.runners(scope)).await
    }

    async fn delete_runner(
        &self,
        proof: &LeaderProof,
        scope: &ScopeRef,
        runner: RunnerId,
    ) -> PortResult<Deletion> {
        self.call("delete a runner", self.inner.delete_runner(proof, scope, runner)).await
    }

    async fn job(&self, job: &JobRef) -> PortResult<JobSighting> {
        self.call("look up a job", self.inner.job(job)).await
    }

    async fn run_jobs(&self, run: &RunRef) -> PortResult<Vec<JobReport>> {
        self.call("list the jobs of a run", self.inner.run_jobs(run)).await
    }

    async fn run_conclusion(&self, run: &RunRef) -> PortResult<Option<String>> {
        self.call("look up a run", self.inner.run_conclusion(run)).await
    }

    async fn active_runs(&self, repo: &RepoRef) -> PortResult<Vec<ActiveRun>> {
        self.call("list runs", self.inner.active_runs(repo)).await
    }

    async fn hook_deliveries(&self, app: EntityKind, since: Timestamp) -> PortResult<Vec<HookDelivery>> {
        self.call("list deliveries", self.inner.hook_deliveries(app, since)).await
    }

    async fn redeliver(&self, proof: &LeaderProof, app: EntityKind, delivery: i64) -> PortResult<()> {
        self.call("redeliver", self.inner.redeliver(proof, app, delivery)).await
    }

    fn returned(&self, installation: InstallationId, returned_at: Timestamp) {
        self.inner.returned(installation, returned_at);
    }

    fn health(&self, installation: InstallationId) -> InstallationHealth {
        self.inner.health(installation)
    }
}
