//! A GitHub to look at: one account where all is well, one with a fault for each page, and one that does not
//! answer.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, InstallationId, Login, RepoName},
    observed::{Observed, Why},
    ports::{
        Account, Inspector, Installed, OurApp, PortError, PortErrorKind, PortResult, RepositoryFacts,
        RepositoryState, RunnerGroup,
    },
    preflight::required_permissions,
};

/// Looks at repositories of `acme` (in order), `numpy` (not chosen), `eve` (suspended); `down` does not answer,
/// and nobody else has installed anything. Installations: 1 is acme's, 2 is the wrong App, 3 is an enterprise's.
pub(crate) struct InventedGithub {
    pub(crate) now: Timestamp,
}

impl InventedGithub {
    fn installed(
        &self,
        id: i64,
        app: EntityKind,
        login: &str,
        kind: Option<EntityKind>,
    ) -> Option<Installed> {
        Some(Installed {
            id: InstallationId::new(id).ok()?,
            app,
            account: Account { id: EntityId::new(id * 10).ok()?, login: Login::new(login).ok()?, kind },
            suspended_at: (login == "eve").then_some(self.now),
            permissions: required_permissions(app).map(|(name, level)| (name.into(), level.into())).into(),
            events: BTreeSet::from(["workflow_job".to_owned()]),
            all_repositories: false,
            settings: Some(format!("https://github.com/organizations/{login}/settings/installations/{id}")),
            changed_at: Some(self.now),
        })
    }

    fn of_account(&self, login: &str) -> Option<Installed> {
        let organization = EntityKind::Organization;
        let id = match login {
            "acme" => 1,
            "numpy" => 4,
            "eve" => 5,
            _ => return None,
        };
        self.installed(id, organization, login, Some(organization))
    }
}

#[async_trait]
impl Inspector for InventedGithub {
    async fn repository(&self, repo: &RepoName) -> PortResult<Arc<RepositoryFacts>> {
        let owner = repo.owner();
        if owner == "down" {
            return Err(PortError::new(PortErrorKind::Transient, "read a repository", "it does not answer"));
        }
        let installed = self.of_account(owner);
        let is_chosen = owner != "numpy";
        let there = installed.is_some();
        Ok(Arc::new(RepositoryFacts {
            repo: repo.clone(),
            apps: self.apps().await,
            chosen: installed.iter().filter(|_| is_chosen).map(|installed| installed.id).collect(),
            installations: installed.into_iter().collect(),
            repository: if there {
                Observed::Present(RepositoryState { private: false, archived: false })
            } else {
                Observed::Unknown(Why::NotLooked)
            },
            actions_allowed: Observed::Unknown(Why::NotLooked),
            group: if there {
                Observed::Present(RunnerGroup { allows_public: true, allows_repository: true })
            } else {
                Observed::Unknown(Why::NotLooked)
            },
            refused: None,
        }))
    }

    async fn installation(&self, id: InstallationId) -> PortResult<Option<Arc<Installed>>> {
        let organization = EntityKind::Organization;
        let found = match id.get() {
            1 => self.of_account("acme"),
            2 => self.installed(2, EntityKind::User, "acme", Some(organization)),
            3 => self.installed(3, organization, "an-enterprise", None),
            9 => {
                return Err(PortError::new(PortErrorKind::Transient, "look", "it does not answer"));
            }
            _ => None,
        };
        Ok(found.map(Arc::new))
    }

    async fn apps(&self) -> Vec<OurApp> {
        let app = |kind, name| OurApp { kind, page: Some(format!("https://github.com/apps/{name}")) };
        vec![
            app(EntityKind::Organization, "risc-v-runners"),
            app(EntityKind::User, "risc-v-runners-personal"),
        ]
    }
}
