//! Reads an account's installation and a repository, for users who ask whether everything is set up.
//!
//! Serving jobs needs nothing of it, and it is never called while a webhook waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::PortResult;
use crate::{
    entity::EntityKind,
    ids::{EntityId, InstallationId, Login, RepoName},
    observed::Observed,
};

/// One of our Apps, as users see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OurApp {
    /// The kind of account that it serves.
    pub kind: EntityKind,
    /// The page from which it can be installed; `None` while unknown.
    pub page: Option<String>,
}

/// The account that installed an App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its id, stable.
    pub id: EntityId,
    /// Its name now.
    pub login: Login,
    /// Organization or personal account; `None` for anything else, such as an enterprise.
    pub kind: Option<EntityKind>,
}

/// An installation of one of our Apps, as that App sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Its id.
    pub id: InstallationId,
    /// The kind of account that the App serves, whatever kind installed it.
    pub app: EntityKind,
    /// The account that installed it.
    pub account: Account,
    /// Since when it has been suspended.
    pub suspended_at: Option<Timestamp>,
    /// Its permissions: `actions` → `read`.
    pub permissions: BTreeMap<String, String>,
    /// The events that it receives.
    pub events: BTreeSet<String>,
    /// Whether all repositories were chosen, rather than some.
    pub all_repositories: bool,
    /// The page on which its owner changes it.
    pub settings: Option<String>,
    /// When its owner last changed it.
    pub changed_at: Option<Timestamp>,
}

/// A repository, as an installation of its account sees it. Public ones are seen whether or not they
/// were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RepositoryState {
    /// Whether only its members may see it.
    pub private: bool,
    /// Whether it is read-only: nothing runs in it.
    pub archived: bool,
}

/// Our runner group in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunnerGroup {
    /// Whether public repositories may use it.
    pub allows_public: bool,
    /// Whether this repository may use it.
    pub allows_repository: bool,
}

/// What GitHub says about a repository and about our Apps there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepositoryFacts {
    /// The repository in question.
    pub repo: RepoName,
    /// Our Apps.
    pub apps: Vec<OurApp>,
    /// Installations of our Apps on the repository's account; usually one.
    pub installations: Vec<Installed>,
    /// The installations for which the repository was chosen.
    pub chosen: BTreeSet<InstallationId>,
    /// The repository itself.
    pub repository: Observed<RepositoryState>,
    /// Whether the repository's settings allow GitHub Actions.
    pub actions_allowed: Observed<bool>,
    /// Our runner group; `Absent` where it does not exist yet.
    pub group: Observed<RunnerGroup>,
    /// GitHub refuses to register runners for the installation: when it is asked again, and its status.
    pub refused: Option<(Timestamp, u16)>,
}

/// Queries GitHub on behalf of users. Answers may be some time old; asking too often is
/// refused with [`super::PortErrorKind::RateLimited`].
#[async_trait]
pub trait Inspector: Send + Sync {
    /// What GitHub says about a repository and about our Apps there. A part that cannot be read is `Unknown`.
    ///
    /// # Errors
    /// When GitHub cannot be asked for what everything else depends on: the installations.
    async fn repository(&self, repo: &RepoName) -> PortResult<Arc<RepositoryFacts>>;

    /// The installation with this id, of any of our Apps; `None` when none of them knows it.
    ///
    /// # Errors
    /// When GitHub cannot be asked.
    async fn installation(&self, id: InstallationId) -> PortResult<Option<Arc<Installed>>>;

    /// Our Apps.
    async fn apps(&self) -> Vec<OurApp>;
}
