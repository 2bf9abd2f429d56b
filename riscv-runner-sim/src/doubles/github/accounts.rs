//! Accounts, repositories and installations: what GitHub's users do to them.

use riscv_runner_core::entity::EntityKind;

use super::{
    GithubDouble,
    installations::usual_permissions,
    world::{Account, Granted, Group, Installation, Repo},
};

impl GithubDouble {
    /// Makes an account; its id.
    pub fn add_account(&self, login: &str, kind: EntityKind) -> i64 {
        let mut world = self.world();
        let id = world.next_id();
        let account = Account { id, login: login.into(), kind, custom_groups: true, runners_disabled: false };
        world.accounts.insert(login.to_lowercase(), account);
        if kind == EntityKind::Organization {
            let default = Group {
                id: 1,
                name: "Default".into(),
                visibility: "all".into(),
                public: false,
                repositories: None,
            };
            world.groups.insert(login.to_lowercase(), vec![default]);
        }
        id
    }

    /// Makes a repository of an account, `owner/name`; its id.
    pub fn add_repo(&self, full_name: &str, private: bool) -> i64 {
        let mut world = self.world();
        let id = world.next_id();
        let owner = full_name.split('/').next().unwrap_or_default().into();
        let repo = Repo {
            id,
            full_name: full_name.into(),
            owner,
            private,
            archived: false,
            actions_off: false,
            runners_disabled: false,
        };
        world.repos.insert(full_name.to_lowercase(), repo);
        id
    }

    /// Lets an App have these permissions and events alone.
    pub fn grant_app(&self, app: i64, permissions: &[(&str, &str)], events: &[&str]) {
        let permissions = permissions.iter().map(|(name, level)| ((*name).into(), (*level).into()));
        let events = events.iter().map(|event| (*event).into());
        if let Some(app) = self.world().apps.get_mut(&app) {
            app.granted = Some(Granted { permissions: permissions.collect(), events: events.collect() });
        }
    }

    /// Installs an App on an account; the installation's id.
    pub fn install(&self, app: i64, login: &str) -> i64 {
        let now = self.shared.now();
        let mut world = self.world();
        let id = world.next_id();
        let kind = world.apps.get(&app).map_or(EntityKind::User, |app| app.kind);
        let installation = Installation {
            app,
            account: login.into(),
            account_type: None,
            suspended_at: None,
            chosen: None,
            permissions: usual_permissions(kind),
            events: ["workflow_job".to_owned()].into(),
            changed_at: now,
        };
        world.installations.insert(id, installation);
        id
    }

    /// Uninstalls; the installation's tokens end with it.
    pub fn uninstall(&self, installation: i64) {
        let mut world = self.world();
        world.installations.remove(&installation);
        world.tokens.retain(|_, token| token.installation != installation);
    }

    /// Suspends an installation, or ends its suspension.
    pub fn set_suspended(&self, installation: i64, suspended: bool) {
        let now = self.shared.now();
        if let Some(installation) = self.world().installations.get_mut(&installation) {
            installation.suspended_at = suspended.then_some(now);
        }
    }

    /// Whether the organization's plan has runner groups of its own.
    pub fn set_custom_groups(&self, login: &str, allowed: bool) {
        if let Some(account) = self.world().accounts.get_mut(&login.to_lowercase()) {
            account.custom_groups = allowed;
        }
    }

    /// Makes a runner group; its id.
    pub fn add_group(&self, login: &str, name: &str) -> i64 {
        let mut world = self.world();
        let id = world.next_id();
        let group =
            Group { id, name: name.into(), visibility: "all".into(), public: true, repositories: None };
        world.groups.entry(login.to_lowercase()).or_default().push(group);
        id
    }

    /// Says who may use a runner group: public repositories or not, and all repositories or these.
    pub fn restrict_group(&self, login: &str, id: i64, public: bool, repositories: Option<&[&str]>) {
        let named = repositories.map(|names| names.iter().map(|name| name.to_lowercase()).collect());
        let mut world = self.world();
        let groups = world.groups.get_mut(&login.to_lowercase());
        if let Some(group) = groups.into_iter().flatten().find(|group| group.id == id) {
            group.visibility = if named.is_some() { "selected" } else { "all" }.into();
            (group.public, group.repositories) = (public, named);
        }
    }

    /// Deletes a runner group.
    pub fn remove_group(&self, login: &str, id: i64) {
        if let Some(groups) = self.world().groups.get_mut(&login.to_lowercase()) {
            groups.retain(|group| group.id != id);
        }
    }

    /// The names of an organization's runner groups.
    #[must_use]
    pub fn groups(&self, login: &str) -> Vec<String> {
        let world = self.world();
        let groups = world.groups.get(&login.to_lowercase());
        groups.into_iter().flatten().map(|group| group.name.clone()).collect()
    }

    /// Disables or enables self-hosted runners for an organization (`login`) or a repository
    /// (`owner/name`).
    pub fn set_runners_disabled(&self, name: &str, disabled: bool) {
        let mut world = self.world();
        let key = name.to_lowercase();
        if let Some(repo) = world.repos.get_mut(&key) {
            repo.runners_disabled = disabled;
        }
        if let Some(account) = world.accounts.get_mut(&key) {
            account.runners_disabled = disabled;
        }
    }

    /// Makes every token of every installation invalid at once.
    pub fn revoke_tokens(&self) {
        self.world().tokens.clear();
    }

    /// How much of its hour an installation has left from now on.
    pub fn set_remaining(&self, installation: i64, remaining: u64) {
        let now = self.shared.now();
        self.world().budgets.set(installation, remaining, now);
    }
}
