//! Where a runner can be registered, and the unit in which demand and supply are compared.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    entity::EntityKind,
    ids::{EntityId, InstallationId, Login, RepoId, RepoName},
    labels::LabelSet,
};

/// Where a runner is registered.
///
/// A runner of a personal account belongs to one repository and never serves another, so the
/// repository is part of the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// The whole organization, through a runner group.
    Organization(EntityId),
    /// One repository of a personal account.
    Repository(EntityId, RepoId),
}

impl Scope {
    /// The scope of a job of `repo` that belongs to an account of this kind.
    #[must_use]
    pub const fn of(kind: EntityKind, entity: EntityId, repo: RepoId) -> Self {
        match kind {
            EntityKind::Organization => Self::Organization(entity),
            EntityKind::User => Self::Repository(entity, repo),
        }
    }

    /// The account that the scope belongs to.
    #[must_use]
    pub const fn entity(self) -> EntityId {
        match self {
            Self::Organization(entity) | Self::Repository(entity, _) => entity,
        }
    }

    /// The kind of the account that the scope belongs to.
    #[must_use]
    pub const fn kind(self) -> EntityKind {
        match self {
            Self::Organization(_) => EntityKind::Organization,
            Self::Repository(..) => EntityKind::User,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization(entity) => write!(f, "org:{entity}"),
            Self::Repository(entity, repo) => write!(f, "repo:{entity}/{repo}"),
        }
    }
}

/// `(scope, label set)`: GitHub hands any queued job of the scope whose labels fit to any idle
/// runner, so jobs and workers are counted against each other per key and never paired.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PoolKey {
    /// Where the runner must be registered.
    pub scope: Scope,
    /// The labels it must carry.
    pub labels: LabelSet,
}

impl fmt::Display for PoolKey {
    /// The canonical text, used as the key in the store: `org:1|a,b` or `repo:1/2|a,b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.scope, self.labels.key())
    }
}

/// A scope with everything needed to address it on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScopeRef {
    /// The installation to act through.
    pub installation: InstallationId,
    /// The account, stable.
    pub entity: EntityId,
    /// The account's login when we last saw it; addresses an organization.
    pub login: Login,
    /// What is addressed below the account.
    pub target: Target,
}

/// What a [`ScopeRef`] addresses below its account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// The organization itself, through our runner group.
    Organization,
    /// One repository of a personal account.
    Repository {
        /// The repository, stable.
        id: RepoId,
        /// Its `owner/name` when we last saw it.
        name: RepoName,
    },
}

impl ScopeRef {
    /// The scope addressed.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        match self.target {
            Target::Organization => Scope::Organization(self.entity),
            Target::Repository { id, .. } => Scope::Repository(self.entity, id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_of_one_person_are_different_scopes() {
        let entity = EntityId::new(1).unwrap();
        let (a, b) = (RepoId::new(2).unwrap(), RepoId::new(3).unwrap());
        assert_ne!(Scope::of(EntityKind::User, entity, a), Scope::of(EntityKind::User, entity, b));
        assert_eq!(
            Scope::of(EntityKind::Organization, entity, a),
            Scope::of(EntityKind::Organization, entity, b)
        );
    }

    #[test]
    fn the_key_is_readable() {
        let labels = LabelSet::new(["B", "a"]).unwrap();
        let key =
            PoolKey { scope: Scope::Repository(EntityId::new(7).unwrap(), RepoId::new(9).unwrap()), labels };
        assert_eq!(key.to_string(), "repo:7/9|a,b");
    }
}
