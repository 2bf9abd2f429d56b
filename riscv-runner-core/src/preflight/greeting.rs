//! What users read after they have installed one of our Apps.

use std::time::Duration;

use jiff::Timestamp;

use crate::{backoff, entity::EntityKind, ports::Installed};

/// How long after its last change an installation is described to anyone who has its number: GitHub leads
/// users back at once, and later the number alone proves nothing.
const RECENT: Duration = Duration::from_secs(15 * 60);

/// The result of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// Jobs of the account will be served.
    Installed,
    /// The right App, but its owner or GitHub suspended it.
    Suspended,
    /// The App for the other kind of account was installed.
    WrongApp {
        /// The kind of the account, and so of the App that it needs.
        account: EntityKind,
    },
    /// It was installed on something that neither App serves, such as an enterprise.
    WrongType,
}

/// What an installation means for its account.
#[must_use]
pub const fn greet(installed: &Installed) -> Greeting {
    match (installed.account.kind, installed.app) {
        (Some(EntityKind::Organization), EntityKind::Organization)
        | (Some(EntityKind::User), EntityKind::User) => {
            if installed.suspended_at.is_some() {
                Greeting::Suspended
            } else {
                Greeting::Installed
            }
        }
        (Some(account), _) => Greeting::WrongApp { account },
        (None, _) => Greeting::WrongType,
    }
}

/// Whether the installation may be described to anyone who has its number.
#[must_use]
pub fn is_recent(installed: &Installed, now: Timestamp) -> bool {
    installed.changed_at.is_some_and(|changed| backoff::age(now, changed) < RECENT)
}
