//! Reading installations and repositories on behalf of users.
//!
//! Anyone may ask, so answers are cached for a while, and few questions a minute go to GitHub: they are
//! charged to the Apps' budgets, which tokens are minted from.

mod kept;
mod look;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use riscv_runner_core::{
    allowance::Allowance,
    entity::EntityKind,
    ids::{InstallationId, RepoName},
    ports::{Inspector, Installed, OurApp, PortError, PortErrorKind, PortResult, RepositoryFacts},
};

use self::kept::Kept;
use crate::forge::GithubForge;

/// How long an answer is cached: a user who fixes a problem wants to see the result soon.
const KEPT: Duration = Duration::from_secs(60);
/// How long a failure is cached.
const FAILURE_KEPT: Duration = Duration::from_secs(5);
/// How long the pages of our Apps are cached.
const APPS_KEPT: Duration = Duration::from_secs(3600);
/// Questions that may go to GitHub at once; each is at most ten requests.
const BURST: u32 = 20;
/// A further one is allowed this often: in an hour, a fifth of what an App may ask.
const ONE_PER: Duration = Duration::from_secs(6);
/// More answers than are asked for within the time that they are kept.
const MAX_KEPT: usize = 1000;

/// [`GithubForge`] as the [`Inspector`] for users' questions.
pub struct GithubInspector {
    forge: Arc<GithubForge>,
    allowance: Mutex<Allowance>,
    repositories: Kept<String, RepositoryFacts>,
    installations: Kept<InstallationId, Option<Arc<Installed>>>,
    apps: Kept<EntityKind, OurApp>,
}

impl GithubInspector {
    /// Uses the same connection and the same tokens as the engine.
    #[must_use]
    pub fn new(forge: Arc<GithubForge>) -> Self {
        Self {
            forge,
            allowance: Mutex::new(Allowance::new(BURST, ONE_PER)),
            repositories: Kept::new(MAX_KEPT),
            installations: Kept::new(MAX_KEPT),
            apps: Kept::new(MAX_KEPT),
        }
    }

    fn admit(&self, operation: &'static str) -> PortResult<()> {
        let now = self.forge.api.client.now();
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        allowance.take(now).map_err(|until| {
            PortError::new(PortErrorKind::RateLimited { until }, operation, "too many questions at once")
        })
    }

    async fn our_app(&self, kind: EntityKind) -> Arc<OurApp> {
        let read = async {
            let page = match crate::apps::app(&self.forge.api, kind).await {
                Ok(described) => described.html_url,
                Err(error) => return Err(error.into_port("look up an App")),
            };
            Ok(Arc::new(OurApp { kind, page }))
        };
        let kept = self.apps.get(kind, self.forge.api.client.platform.as_ref(), APPS_KEPT, read).await;
        kept.unwrap_or_else(|_| Arc::new(OurApp { kind, page: None }))
    }
}

#[async_trait]
impl Inspector for GithubInspector {
    async fn repository(&self, repo: &RepoName) -> PortResult<Arc<RepositoryFacts>> {
        const OPERATION: &str = "read a repository";
        let look = async {
            self.admit(OPERATION)?;
            let apps = self.apps().await;
            let looked = Box::pin(look::repository(&self.forge, repo, apps)).await;
            looked.map(Arc::new).map_err(|error| error.into_port(OPERATION))
        };
        let platform = self.forge.api.client.platform.as_ref();
        self.repositories.get(repo.as_str().to_lowercase(), platform, KEPT, look).await
    }

    async fn installation(&self, id: InstallationId) -> PortResult<Option<Arc<Installed>>> {
        const OPERATION: &str = "read an installation";
        let look = async {
            self.admit(OPERATION)?;
            let looked = Box::pin(look::installation(&self.forge.api, id)).await;
            looked.map(|found| Arc::new(found.map(Arc::new))).map_err(|error| error.into_port(OPERATION))
        };
        let platform = self.forge.api.client.platform.as_ref();
        let kept = self.installations.get(id, platform, KEPT, look).await?;
        Ok((*kept).clone())
    }

    async fn apps(&self) -> Vec<OurApp> {
        let kinds = self.forge.api.tokens.kinds();
        let apps = futures::future::join_all(kinds.into_iter().map(|kind| self.our_app(kind))).await;
        apps.into_iter().map(|app| (*app).clone()).collect()
    }
}
