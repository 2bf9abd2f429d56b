//! The questions to GitHub. For a repository they are the same whether or not it is there, so that
//! the time of an answer does not tell a private one from none.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reqwest::Method;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, InstallationId, Login, RepoName},
    observed::{Observed, Why},
    ports::{Account, Installed, OurApp, RepositoryFacts, RepositoryState, RunnerGroup},
};
use serde::Deserialize;

use crate::{
    api::{Api, Ask, Name, Reading},
    client::{ApiError, Endpoint, Priority},
    forge::GithubForge,
};

#[derive(Deserialize)]
struct Found {
    id: InstallationId,
    account: FoundAccount,
    suspended_at: Option<Timestamp>,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    #[serde(default)]
    events: BTreeSet<String>,
    repository_selection: Option<String>,
    html_url: Option<String>,
    updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct FoundAccount {
    id: EntityId,
    /// Enterprises have a slug instead.
    login: Option<Login>,
    slug: Option<Login>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct FoundRepository {
    private: bool,
    #[serde(default)]
    archived: bool,
}

#[derive(Deserialize)]
struct FoundActions {
    enabled: bool,
}

#[derive(Deserialize)]
struct Groups {
    runner_groups: Vec<FoundGroup>,
}

#[derive(Deserialize)]
struct FoundGroup {
    name: String,
    #[serde(default)]
    allows_public_repositories: bool,
}

/// One installation, of whichever App knows it.
pub(super) async fn installation(api: &Api, id: InstallationId) -> Result<Option<Installed>, ApiError> {
    let text = id.to_string();
    for app in api.tokens.kinds() {
        let found = one(api, app, Endpoint::Installation, &["app", "installations", &text]).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// A repository, and our Apps there.
pub(super) async fn repository(
    forge: &GithubForge,
    repo: &RepoName,
    apps: Vec<OurApp>,
) -> Result<RepositoryFacts, ApiError> {
    let api = &forge.api;
    let (mut installations, mut chosen) = (Vec::<Installed>::new(), BTreeSet::new());
    for app in api.tokens.kinds() {
        let of_repository = ["repos", repo.owner(), repo.name(), "installation"];
        let of_organization = ["orgs", repo.owner(), "installation"];
        let of_user = ["users", repo.owner(), "installation"];
        let (of_repository, of_organization, of_user) = futures::try_join!(
            one(api, app, Endpoint::RepositoryInstallation, &of_repository),
            one(api, app, Endpoint::OrganizationInstallation, &of_organization),
            one(api, app, Endpoint::UserInstallation, &of_user),
        )?;
        chosen.extend(of_repository.as_ref().map(|installed| installed.id));
        for found in [of_repository, of_organization, of_user].into_iter().flatten() {
            if installations.iter().all(|known| known.id != found.id) {
                installations.push(found);
            }
        }
    }
    let mut facts = RepositoryFacts {
        repo: repo.clone(),
        apps,
        installations,
        chosen,
        repository: Observed::Unknown(Why::NotLooked),
        actions_allowed: Observed::Unknown(Why::NotLooked),
        group: Observed::Unknown(Why::NotLooked),
        refused: None,
    };
    let active = facts
        .installations
        .iter()
        .find(|installed| installed.suspended_at.is_none() && installed.account.kind == Some(installed.app));
    if let Some(installed) = active.cloned() {
        inside(forge, &installed, &mut facts).await;
    }
    Ok(facts)
}

/// What the installation itself may see. A part that GitHub does not show is left unknown.
async fn inside(forge: &GithubForge, installed: &Installed, facts: &mut RepositoryFacts) {
    let api = &forge.api;
    let name = Name::Installation(installed.app, installed.id);
    let repo = facts.repo.clone();
    let (repository, actions, group) = futures::join!(
        state(api, name, &repo),
        actions(api, name, &repo, installed),
        group(api, name, &repo, installed, &forge.naming.group),
    );
    (facts.repository, facts.actions_allowed, facts.group) = (repository, actions, group);
    facts.refused = forge.runners.refusal_of(installed.id, api.client.now());
}

async fn state(api: &Api, name: Name, repo: &RepoName) -> Observed<RepositoryState> {
    let segments = ["repos", repo.owner(), repo.name()];
    let ask = Ask::get(name, Priority::Reconcile, Endpoint::Repository, &segments);
    let read = api.read::<FoundRepository>(&ask).await;
    observed(read).map(|found| RepositoryState { private: found.private, archived: found.archived })
}

/// Only an App that may administrate repositories is told.
async fn actions(api: &Api, name: Name, repo: &RepoName, installed: &Installed) -> Observed<bool> {
    if !installed.permissions.contains_key("administration") {
        return Observed::Unknown(Why::NotLooked);
    }
    let segments = ["repos", repo.owner(), repo.name(), "actions", "permissions"];
    let ask = Ask::get(name, Priority::Reconcile, Endpoint::RepositoryActions, &segments);
    observed(api.read::<FoundActions>(&ask).await).map(|found| found.enabled)
}

async fn group(
    api: &Api,
    name: Name,
    repo: &RepoName,
    installed: &Installed,
    group: &str,
) -> Observed<RunnerGroup> {
    if installed.app != EntityKind::Organization {
        return Observed::Unknown(Why::NotLooked);
    }
    let visible = [("visible_to_repository", repo.name())];
    let (all, usable) =
        futures::join!(find_group(api, name, repo, group, &[]), find_group(api, name, repo, group, &visible));
    match (all, usable) {
        (Ok(None), _) => Observed::Absent,
        (Ok(Some(found)), Ok(usable)) => Observed::Present(RunnerGroup {
            allows_public: found.allows_public_repositories,
            allows_repository: usable.is_some(),
        }),
        (Err(error), _) | (_, Err(error)) => Observed::Unknown(why(&error)),
    }
}

async fn find_group(
    api: &Api,
    name: Name,
    repo: &RepoName,
    group: &str,
    query: &[(&str, &str)],
) -> Result<Option<FoundGroup>, ApiError> {
    let segments = ["orgs", repo.owner(), "actions", "runner-groups"];
    let ask = Ask {
        name,
        priority: Priority::Reconcile,
        method: Method::GET,
        endpoint: Endpoint::RunnerGroups,
        segments: &segments,
        query,
        body: None,
    };
    let mut found = None;
    api.list(&ask, |page: Groups| {
        found = page.runner_groups.into_iter().find(|known| known.name == group);
        if found.is_some() { Reading::Enough } else { Reading::On }
    })
    .await?;
    Ok(found)
}

async fn one(
    api: &Api,
    app: EntityKind,
    endpoint: Endpoint,
    segments: &[&str],
) -> Result<Option<Installed>, ApiError> {
    let ask = Ask::get(Name::App(app), Priority::Reconcile, endpoint, segments);
    match api.read::<Found>(&ask).await {
        Ok(found) => found.into_installed(app).map(Some),
        Err(error) if error.is_status(404) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Found {
    fn into_installed(self, app: EntityKind) -> Result<Installed, ApiError> {
        let Some(login) = self.account.login.or(self.account.slug) else {
            let problem = "neither login nor slug".to_owned();
            return Err(ApiError::Answer { path: "account".to_owned(), problem });
        };
        let kind = self.account.kind.as_deref().and_then(EntityKind::parse);
        Ok(Installed {
            id: self.id,
            app,
            account: Account { id: self.account.id, login, kind },
            suspended_at: self.suspended_at,
            permissions: self.permissions,
            events: self.events,
            all_repositories: self.repository_selection.as_deref() == Some("all"),
            settings: self.html_url,
            changed_at: self.updated_at,
        })
    }
}

fn observed<T>(read: Result<T, ApiError>) -> Observed<T> {
    match read {
        Ok(found) => Observed::Present(found),
        Err(error) if error.is_status(404) => Observed::Absent,
        Err(error) => {
            tracing::debug!(%error, "a part of a repository could not be read");
            Observed::Unknown(why(&error))
        }
    }
}

const fn why(error: &ApiError) -> Why {
    match error {
        ApiError::Limited { .. } | ApiError::BudgetSpent { .. } => Why::RateLimited,
        ApiError::NotSent(_)
        | ApiError::Lost(_)
        | ApiError::Status { .. }
        | ApiError::Answer { .. }
        | ApiError::Elsewhere(_)
        | ApiError::InstallationGone { .. }
        | ApiError::Auth { .. }
        | ApiError::NoApp(_)
        | ApiError::Signing(_) => Why::Failed,
    }
}
