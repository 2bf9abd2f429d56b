//! Accounts, their installation of our App, and their repositories.

use std::time::Duration;

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{DeliveryContent, InstallationChange},
    entity::{Entity, EntityKind},
    ids::{AppId, EntityId, InstallationId, Login, RepoId, RepoName},
    scope::Scope,
};

use super::assigned;
use crate::{
    faults::FaultKind,
    truth::{Event, Truth},
};

/// How long an App stays uninstalled before its owner installs it again.
const AWAY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));

/// An account that has installed our App.
#[derive(Debug, Clone)]
pub struct Account {
    /// The account.
    pub entity: Entity,
    /// Its installation; a new one after every reinstall.
    pub installation: InstallationId,
    /// Whether the installation can be used.
    pub standing: Standing,
}

/// Whether an installation can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Active,
    /// The owner suspended it: tokens are refused with 403.
    Suspended,
    /// It is uninstalled: tokens are refused with 404.
    Gone,
}

/// A repository of an account.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Its id.
    pub id: RepoId,
    /// Its name.
    pub name: RepoName,
    /// Whose it is.
    pub entity: EntityId,
    /// Whether it is private.
    pub private: bool,
}

/// The App that serves accounts of this kind.
pub(crate) fn app_of(kind: EntityKind) -> AppId {
    match kind {
        EntityKind::Organization => assigned(1),
        EntityKind::User => assigned(2),
    }
}

impl Truth {
    /// Adds an account with its installation.
    pub(crate) fn add_account(&mut self, kind: EntityKind) -> EntityId {
        let id = assigned(self.github.next_id());
        let kind_name = match kind {
            EntityKind::Organization => "org",
            EntityKind::User => "user",
        };
        let login = Login::new(format!("{kind_name}-{id}")).expect("a login of letters and digits");
        let installation = assigned(self.github.next_id());
        let account =
            Account { entity: Entity { id, kind, login }, installation, standing: Standing::Active };
        self.github.accounts.insert(id, account);
        id
    }

    /// Adds a repository to an account.
    pub(crate) fn add_repository(&mut self, entity: EntityId) -> RepoId {
        let id = assigned(self.github.next_id());
        let owner =
            self.github.accounts.get(&entity).map_or("nobody", |account| account.entity.login.as_str());
        let name = RepoName::new(format!("{owner}/repo-{id}")).expect("a name of letters and digits");
        self.github.repositories.insert(id, Repository { id, name, entity, private: false });
        id
    }

    /// Where runners for a repository are registered.
    pub(crate) fn scope_of(&self, repo: RepoId) -> Option<Scope> {
        let repository = self.github.repositories.get(&repo)?;
        let account = self.github.accounts.get(&repository.entity)?;
        Some(Scope::of(account.entity.kind, account.entity.id, repo))
    }

    /// The account of an installation; `None` for one that GitHub does not know (any more).
    pub(crate) fn account_of(&self, installation: InstallationId) -> Option<&Account> {
        let mut accounts = self.github.accounts.values();
        accounts.find(|account| account.installation == installation && account.standing != Standing::Gone)
    }

    /// The owner uninstalls the App, and installs it again later under a new id; or does the latter.
    pub(crate) fn reinstall(&mut self, entity: EntityId) {
        let next = assigned(self.github.next_id());
        let Some(account) = self.github.accounts.get_mut(&entity) else { return };
        let change = match account.standing {
            Standing::Active => {
                account.standing = Standing::Gone;
                InstallationChange::Gone
            }
            Standing::Gone | Standing::Suspended => {
                account.standing = Standing::Active;
                account.installation = next;
                InstallationChange::Returned
            }
        };
        self.trace.line(format_args!("installation of {entity} {change:?}"));
        self.announce(entity, None, "installation", DeliveryContent::Installation(change));
        if change == InstallationChange::Gone {
            self.faults.count(FaultKind::Uninstalled);
            self.uninstalled(entity);
            self.within(AWAY.0, AWAY.1, Event::Reinstall(entity));
        } else {
            self.requeue_dispatch(entity);
        }
    }

    /// The owner suspends the App for some time; nothing happens to one that is not installed.
    pub(crate) fn suspend(&mut self, entity: EntityId, suspended: bool) {
        let Some(account) = self.github.accounts.get_mut(&entity) else { return };
        let (before, after, change) = if suspended {
            (Standing::Active, Standing::Suspended, InstallationChange::Suspended)
        } else {
            (Standing::Suspended, Standing::Active, InstallationChange::Returned)
        };
        if account.standing != before {
            return;
        }
        account.standing = after;
        self.trace.line(format_args!("installation of {entity} {change:?}"));
        self.announce(entity, None, "installation", DeliveryContent::Installation(change));
        if suspended {
            self.faults.count(FaultKind::Suspended);
            self.within(AWAY.0, AWAY.1, Event::Suspend(entity, false));
        } else {
            self.requeue_dispatch(entity);
        }
    }

    /// GitHub refuses an account's requests until then.
    pub(crate) fn limit(&mut self, entity: EntityId, until: Timestamp) {
        if let Some(account) = self.github.accounts.get(&entity) {
            self.github.limits.close(account.installation, until);
        }
    }
}
