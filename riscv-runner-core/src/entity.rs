//! Accounts that ask for runners: those that installed one of our Apps.
//!
//! The kind of the account decides which of the two Apps serves it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{EntityId, Login};

/// The kind of an account, and so of the App that serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntityKind {
    /// An organization: runners are registered for the whole organization, in a runner group.
    Organization,
    /// A personal account: runners are registered on one repository.
    User,
}

impl EntityKind {
    /// The spelling that GitHub and the tables use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "Organization",
            Self::User => "User",
        }
    }

    /// Reads GitHub's `account.type`; anything but the two kinds is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "Organization" => Some(Self::Organization),
            "User" => Some(Self::User),
            _ => None,
        }
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The account that installed the App.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// Stable id of the account.
    pub id: EntityId,
    /// Organization or personal account.
    pub kind: EntityKind,
    /// Its login when we last saw it.
    pub login: Login,
}
