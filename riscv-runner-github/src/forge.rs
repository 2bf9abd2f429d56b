//! GitHub behind the engine's port. Each method is one operation of its subject's file; nothing is
//! decided here.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use riscv_runner_core::{
    entity::{Entity, EntityKind},
    ids::{InstallationId, Login, RunnerId},
    ports::{
        ActiveRun, Deletion, Forge, HookDelivery, JobRef, JobReport, JobSighting, LeaderProof, MintError,
        MintRequest, Minted, Platform, PortResult, RepoRef, RunRef,
    },
    runner::Runner,
    scope::ScopeRef,
    snapshot::InstallationHealth,
};

use crate::{
    api::Api,
    apps::{self, AppDescription, InstallationDescription},
    client::Client,
    config::{ConfigError, GithubConfig},
    deliveries, jobs,
    observer::GithubObserver,
    runners::{self, Naming, Runners},
    tokens::Tokens,
};

/// GitHub's REST API as the engine's [`Forge`].
pub struct GithubForge {
    pub(crate) api: Api,
    pub(crate) runners: Runners,
    pub(crate) naming: Naming,
}

impl GithubForge {
    /// Prepares the connection; nothing is sent yet.
    ///
    /// # Errors
    /// An address or a private key that cannot be used; the key's error names its App.
    pub fn new(
        config: &GithubConfig,
        platform: Arc<dyn Platform>,
        observer: Arc<dyn GithubObserver>,
    ) -> Result<Self, ConfigError> {
        let tokens = Tokens::new(&config.apps)?;
        let client = Client::new(config, platform, observer)?;
        let naming = Naming {
            group: config.runner_group.clone(),
            prefix: config.name_prefix.clone(),
            work_folder: config.work_folder.clone(),
        };
        Ok(Self { api: Api { client, tokens }, runners: Runners::default(), naming })
    }

    /// The least that any App or installation has left of its hourly budget of requests; `None` before the
    /// first answer.
    #[must_use]
    pub fn budget_remaining_min(&self) -> Option<u64> {
        self.api.client.limits().remaining_min(self.api.client.now())
    }

    /// How far GitHub's clock is ahead of ours, from its last answer; `None` before the first one.
    #[must_use]
    pub fn clock_ahead(&self) -> Option<SignedDuration> {
        self.api.client.clock_ahead()
    }

    /// How the App of this kind describes itself.
    ///
    /// # Errors
    /// When GitHub cannot be asked, or refuses the App's key.
    pub async fn app(&self, kind: EntityKind) -> PortResult<AppDescription> {
        apps::app(&self.api, kind).await.map_err(|error| error.into_port("look up an App"))
    }

    /// One installation of the App of this kind; `None` when GitHub does not know it.
    ///
    /// # Errors
    /// When GitHub cannot be asked, or refuses the App's key.
    pub async fn installation(
        &self,
        kind: EntityKind,
        installation: InstallationId,
    ) -> PortResult<Option<InstallationDescription>> {
        let found = apps::installation(&self.api, kind, installation).await;
        found.map_err(|error| error.into_port("look up an installation"))
    }

    /// The account of this login, where one of our Apps is installed; `None` elsewhere.
    ///
    /// # Errors
    /// When GitHub cannot be asked, or refuses an App's key.
    pub async fn account(&self, login: &Login) -> PortResult<Option<Entity>> {
        apps::account(&self.api, login).await.map_err(|error| error.into_port("look up an account"))
    }

    /// Requests another attempt of a delivery, for an operator: it needs no lease, because a delivery that
    /// comes twice changes nothing.
    ///
    /// # Errors
    /// When GitHub cannot be asked, or does not accept the request.
    pub async fn deliver_again(&self, app: EntityKind, attempt: i64) -> PortResult<()> {
        let asked = deliveries::redeliver(&self.api, app, attempt).await;
        asked.map_err(|error| error.into_port("redeliver a webhook"))
    }
}

#[async_trait]
impl Forge for GithubForge {
    async fn mint(&self, proof: &LeaderProof, request: &MintRequest) -> Result<Minted, MintError> {
        self.runners.mint(&self.api, &self.naming, proof, request).await
    }

    async fn runners(&self, scope: &ScopeRef) -> PortResult<Vec<Runner>> {
        let listed = self.runners.list(&self.api, &self.naming, scope).await;
        listed.map_err(|error| error.into_port("list runners"))
    }

    async fn delete_runner(
        &self,
        proof: &LeaderProof,
        scope: &ScopeRef,
        runner: RunnerId,
    ) -> PortResult<Deletion> {
        const OPERATION: &str = "delete a runner";
        proof.guard(self.api.client.now(), OPERATION)?;
        runners::delete(&self.api, scope, runner).await.map_err(|error| error.into_port(OPERATION))
    }

    async fn job(&self, job: &JobRef) -> PortResult<JobSighting> {
        jobs::job(&self.api, job).await.map_err(|error| error.into_port("look up a job"))
    }

    async fn run_jobs(&self, run: &RunRef) -> PortResult<Vec<JobReport>> {
        jobs::run_jobs(&self.api, run).await.map_err(|error| error.into_port("list the jobs of a run"))
    }

    async fn run_conclusion(&self, run: &RunRef) -> PortResult<Option<String>> {
        jobs::run_conclusion(&self.api, run).await.map_err(|error| error.into_port("look up a run"))
    }

    async fn active_runs(&self, repo: &RepoRef) -> PortResult<Vec<ActiveRun>> {
        jobs::active_runs(&self.api, repo).await.map_err(|error| error.into_port("list runs"))
    }

    async fn hook_deliveries(&self, app: EntityKind, since: Timestamp) -> PortResult<Vec<HookDelivery>> {
        let listed = deliveries::list(&self.api, app, since).await;
        listed.map_err(|error| error.into_port("list webhook deliveries"))
    }

    async fn redeliver(&self, proof: &LeaderProof, app: EntityKind, delivery: i64) -> PortResult<()> {
        const OPERATION: &str = "redeliver a webhook";
        proof.guard(self.api.client.now(), OPERATION)?;
        deliveries::redeliver(&self.api, app, delivery).await.map_err(|error| error.into_port(OPERATION))
    }

    fn returned(&self, installation: InstallationId, returned_at: Timestamp) {
        self.api.tokens.returned(installation, returned_at);
    }

    fn health(&self, installation: InstallationId) -> InstallationHealth {
        let now = self.api.client.now();
        let failing = self.api.tokens.failing(installation);
        let limits = self.api.client.limits();
        InstallationHealth {
            rate_limited_until: limits
                .limited_until(installation, now)
                .max(self.api.tokens.limited_until(installation, now)),
            auth_failing_since: failing.map(|failing| failing.since),
            auth_retry_at: failing.and_then(|failing| failing.retry_at),
            gone_since: failing.and_then(|failing| failing.gone_since),
            mints_left: Some(limits.mints_left(installation, now)),
            minting_refused: self.runners.refusal_of(installation, now),
        }
    }
}
