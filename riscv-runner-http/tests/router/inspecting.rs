//! A GitHub of the tests' own behind the inspector's port, and a router in front of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{body::Body, extract::ConnectInfo};
use http::Request;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, InstallationId, Login, RepoName},
    observed::{Observed, Why},
    ports::{
        Account, Inspector, Installed, OurApp, PortError, PortErrorKind, PortResult, RepositoryFacts,
        RepositoryState, RunnerGroup,
    },
    preflight,
};
use riscv_runner_http::{AppStateBuilder, IntakeLimits, Role};
use riscv_runner_sim::clock::SimClock;

use crate::serving::{Answer, Serving};

/// What GitHub says, and what it was asked.
#[derive(Default)]
pub(crate) struct Github {
    pub(crate) repositories: Mutex<BTreeMap<String, RepositoryFacts>>,
    pub(crate) installations: Mutex<BTreeMap<i64, Installed>>,
    pub(crate) failure: Mutex<Option<PortErrorKind>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Github {
    fn ask(&self, what: &dyn ToString) -> PortResult<()> {
        self.asked.lock().unwrap().push(what.to_string());
        match *self.failure.lock().unwrap() {
            Some(kind) => Err(PortError::new(kind, "look", "a secret detail")),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Inspector for Github {
    async fn repository(&self, repo: &RepoName) -> PortResult<Arc<RepositoryFacts>> {
        self.ask(repo)?;
        let known = self.repositories.lock().unwrap().get(repo.as_str()).cloned();
        Ok(Arc::new(known.unwrap_or_else(|| nothing(repo.as_str()))))
    }

    async fn installation(&self, id: InstallationId) -> PortResult<Option<Arc<Installed>>> {
        self.ask(&id)?;
        Ok(self.installations.lock().unwrap().get(&id.get()).cloned().map(Arc::new))
    }

    async fn apps(&self) -> Vec<OurApp> {
        let page = |name: &str| Some(format!("https://github.com/apps/{name}"));
        vec![
            OurApp { kind: EntityKind::Organization, page: page("for-organizations") },
            OurApp { kind: EntityKind::User, page: page("for-people") },
        ]
    }
}

/// A router with a GitHub to ask.
pub(crate) struct Inspecting {
    pub(crate) serving: Serving,
    pub(crate) github: Arc<Github>,
}

impl Inspecting {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(AppStateBuilder) -> AppStateBuilder) -> Self {
        let github = Arc::new(Github::default());
        let inspector = Arc::clone(&github);
        let serving = Serving::with(Role::All, IntakeLimits::default(), |builder| {
            settings(builder.inspector(inspector))
        });
        Self { serving, github }
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.serving.get(uri).await
    }

    /// Reads a page from this address.
    pub(crate) async fn get_from(&self, address: &str, uri: &str) -> Answer {
        let mut request = Request::get(uri).body(Body::empty()).unwrap();
        let address: std::net::SocketAddr = format!("{address}:4711").parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(address));
        self.serving.send(request).await
    }

    pub(crate) fn set_repository(&self, facts: RepositoryFacts) {
        self.github.repositories.lock().unwrap().insert(facts.repo.to_string(), facts);
    }

    pub(crate) fn set_installation(&self, installed: Installed) {
        self.github.installations.lock().unwrap().insert(installed.id.get(), installed);
    }

    pub(crate) fn pass(&self, time: Duration) {
        let clock = &self.serving.clock;
        clock.advance_to(clock.at(time));
    }

    pub(crate) fn fail(&self, kind: PortErrorKind) {
        *self.github.failure.lock().unwrap() = Some(kind);
    }

    pub(crate) fn asked(&self) -> usize {
        self.github.asked.lock().unwrap().len()
    }
}

/// An installation of just now.
pub(crate) fn installed(
    clock: &SimClock,
    id: i64,
    app: EntityKind,
    account: Option<EntityKind>,
) -> Installed {
    let permissions = preflight::required_permissions(app).map(|(name, level)| (name.into(), level.into()));
    Installed {
        id: InstallationId::new(id).unwrap(),
        app,
        account: Account {
            id: EntityId::new(id * 10).unwrap(),
            login: Login::new("acme").unwrap(),
            kind: account,
        },
        suspended_at: None,
        permissions: permissions.into(),
        events: ["workflow_job".to_owned()].into(),
        all_repositories: false,
        settings: Some(format!("https://github.com/organizations/acme/settings/installations/{id}")),
        changed_at: Some(clock.now()),
    }
}

/// A repository of an account without any installation.
pub(crate) fn nothing(name: &str) -> RepositoryFacts {
    RepositoryFacts {
        repo: RepoName::new(name).unwrap(),
        apps: Vec::new(),
        installations: Vec::new(),
        chosen: BTreeSet::new(),
        repository: Observed::Unknown(Why::NotLooked),
        actions_allowed: Observed::Unknown(Why::NotLooked),
        group: Observed::Unknown(Why::NotLooked),
        refused: None,
    }
}

/// A repository of an organization with everything in order.
pub(crate) fn in_order(clock: &SimClock, name: &str, private: bool) -> RepositoryFacts {
    let installed = installed(clock, 7, EntityKind::Organization, Some(EntityKind::Organization));
    RepositoryFacts {
        chosen: BTreeSet::from([installed.id]),
        installations: vec![installed],
        repository: Observed::Present(RepositoryState { private, archived: false }),
        group: Observed::Present(RunnerGroup { allows_public: true, allows_repository: true }),
        ..nothing(name)
    }
}
