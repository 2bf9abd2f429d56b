//! Installations as their Apps see them, and what their owners may change about them.

use std::collections::{BTreeMap, BTreeSet};

use riscv_runner_core::entity::EntityKind;
use serde_json::{Value, json};

use super::{
    GithubDouble, Shared, locked,
    reply::Reply,
    world::{Installation, World},
};

/// What an App of this kind is usually allowed.
pub(super) fn usual_permissions(kind: EntityKind) -> BTreeMap<String, String> {
    let runners = match kind {
        EntityKind::Organization => "organization_self_hosted_runners",
        EntityKind::User => "administration",
    };
    [("actions", "read"), ("metadata", "read"), (runners, "write")]
        .map(|(name, level)| (name.to_owned(), level.to_owned()))
        .into()
}

impl Installation {
    fn is_on(&self, login: &str) -> bool {
        self.account.eq_ignore_ascii_case(login)
    }

    /// Whether a repository of its account, `owner/name`, was chosen.
    pub(super) fn has(&self, full_name: &str) -> bool {
        self.chosen.as_ref().is_none_or(|chosen| chosen.contains(&full_name.to_lowercase()))
    }
}

/// `GET /app/installations/{id}`.
pub(super) fn by_id(shared: &Shared, app: i64, id: i64) -> Reply {
    found(shared, |known, _, installation| known == id && installation.app == app)
}

/// `GET /orgs/{org}/installation` and `GET /users/{username}/installation`.
pub(super) fn of_account(shared: &Shared, app: i64, kind: EntityKind, login: &str) -> Reply {
    found(shared, |_, world, installation| {
        installation.app == app
            && installation.is_on(login)
            && world.account(login).is_some_and(|account| account.kind == kind)
    })
}

/// `GET /repos/{owner}/{repo}/installation`.
pub(super) fn of_repository(shared: &Shared, app: i64, full_name: &str) -> Reply {
    let owner = full_name.split('/').next().unwrap_or_default();
    found(shared, |_, world, installation| {
        installation.app == app
            && installation.is_on(owner)
            && world.repo(full_name).is_some()
            && installation.has(full_name)
    })
}

fn found(shared: &Shared, is_it: impl Fn(i64, &World, &Installation) -> bool) -> Reply {
    let world = locked(&shared.world);
    let mut all = world.installations.iter();
    match all.find(|(id, installation)| is_it(**id, &world, installation)) {
        Some((id, installation)) => {
            describe(&world, *id, installation).map_or_else(Reply::not_found, |body| Reply::json(200, body))
        }
        None => Reply::not_found(),
    }
}

fn describe(world: &World, id: i64, installation: &Installation) -> Option<Value> {
    let account = world.account(&installation.account)?;
    let kind = installation.account_type.as_deref().unwrap_or(account.kind.as_str());
    Some(json!({
        "id": id,
        "app_id": installation.app,
        "account": { "id": account.id, "login": account.login, "type": kind },
        "target_type": kind,
        "repository_selection": if installation.chosen.is_some() { "selected" } else { "all" },
        "permissions": installation.permissions,
        "events": installation.events,
        "html_url": format!("https://github.com/settings/installations/{id}"),
        "created_at": installation.changed_at.to_string(),
        "updated_at": installation.changed_at.to_string(),
        "suspended_at": installation.suspended_at.map(|at| at.to_string()),
    }))
}

/// `GET /repos/{owner}/{repo}`, of an installation on the owner's account: public repositories are seen
/// by everybody, private ones where they were chosen.
pub(super) fn repository(shared: &Shared, full_name: &str, installation: i64) -> Reply {
    let world = locked(&shared.world);
    let seen = |repo: &&super::world::Repo| {
        !repo.private || world.installations.get(&installation).is_some_and(|known| known.has(full_name))
    };
    match world.repo(full_name).filter(seen) {
        Some(repo) => {
            let (owner, name) = repo.full_name.split_once('/').unwrap_or_default();
            let body = json!({
                "id": repo.id,
                "name": name,
                "full_name": repo.full_name,
                "private": repo.private,
                "visibility": if repo.private { "private" } else { "public" },
                "archived": repo.archived,
                "owner": { "login": owner },
            });
            Reply::json(200, body)
        }
        None => Reply::not_found(),
    }
}

/// `GET /repos/{owner}/{repo}/actions/permissions`: for Apps that may administrate the repository.
pub(super) fn actions(shared: &Shared, full_name: &str, installation: i64) -> Reply {
    let world = locked(&shared.world);
    let Some(known) = world.installations.get(&installation) else { return Reply::not_found() };
    if !known.permissions.contains_key("administration") {
        return Reply::message(403, "Resource not accessible by integration");
    }
    match world.repo(full_name).filter(|_| known.has(full_name)) {
        Some(repo) => Reply::json(200, json!({ "enabled": !repo.actions_off, "allowed_actions": "all" })),
        None => Reply::not_found(),
    }
}

impl GithubDouble {
    /// Its owner chooses these repositories, `owner/name`, and no others.
    pub fn choose(&self, installation: i64, repositories: &[&str]) {
        let chosen: BTreeSet<_> = repositories.iter().map(|name| name.to_lowercase()).collect();
        self.change_installation(installation, |known| known.chosen = Some(chosen));
    }

    /// Its owner allows this, and nothing else.
    pub fn set_permissions(&self, installation: i64, permissions: &[(&str, &str)]) {
        let permissions = permissions.iter().map(|(name, level)| ((*name).into(), (*level).into()));
        self.change_installation(installation, |known| known.permissions = permissions.collect());
    }

    /// The events that it is sent.
    pub fn set_events(&self, installation: i64, events: &[&str]) {
        self.change_installation(installation, |known| {
            known.events = events.iter().map(|name| (*name).to_owned()).collect();
        });
    }

    /// Its account is called something else than an organization or a user: `Enterprise`.
    pub fn set_account_type(&self, installation: i64, kind: &str) {
        self.change_installation(installation, |known| known.account_type = Some(kind.to_owned()));
    }

    /// Archives a repository.
    pub fn archive(&self, full_name: &str) {
        if let Some(repo) = self.world().repos.get_mut(&full_name.to_lowercase()) {
            repo.archived = true;
        }
    }

    /// Turns GitHub Actions off in a repository.
    pub fn turn_actions_off(&self, full_name: &str) {
        if let Some(repo) = self.world().repos.get_mut(&full_name.to_lowercase()) {
            repo.actions_off = true;
        }
    }

    fn change_installation(&self, id: i64, change: impl FnOnce(&mut Installation)) {
        let now = self.shared.now();
        if let Some(installation) = self.world().installations.get_mut(&id) {
            change(installation);
            installation.changed_at = now;
        }
    }
}
