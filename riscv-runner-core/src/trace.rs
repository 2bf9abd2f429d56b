//! Why did an account's jobs stop? The state of its installations at any time, folded from the event
//! log, and the rules that read a diagnosis out of it.
//!
//! Pure, but for [`investigate`], which reads the rows through the ports and decides nothing. The adapter of
//! a payload's sender interprets the payload, which arrives here as [`Says`].

mod diagnose;
mod investigate;
mod rules;
mod state;

use serde::{Deserialize, Serialize};

pub use self::{
    diagnose::{Diagnosed, Diagnosis, Question, diagnose},
    investigate::{Ask, TraceReport, TraceStores, investigate},
    rules::{RULES, Rule},
    state::{AccountState, AuthFailure, InstallationState, Mark, Rename, Repositories, Standing, state_at},
};
use crate::{
    ids::{AppId, Login, RepoId, RepoName},
    ports::LoggedEvent,
};

/// A row of the log and what its payload says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// The row.
    pub row: LoggedEvent,
    /// What it says.
    pub says: Says,
}

/// A repository as a payload names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RepoSaid {
    /// Its id.
    pub id: RepoId,
    /// Its name at that time.
    pub name: RepoName,
}

/// GitHub's `repository_selection`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Every repository of the account, also future ones.
    All,
    /// Those that were chosen.
    Selected,
}

/// What a row says about an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// The App was installed.
    Created {
        /// The App that it belongs to.
        app: Option<AppId>,
        /// Which repositories it may see.
        selection: Option<Selection>,
        /// The chosen ones.
        repositories: Vec<RepoSaid>,
    },
    /// The App was uninstalled.
    Deleted,
    /// The installation was suspended.
    Suspended,
    /// The suspension was lifted.
    Unsuspended,
    /// The chosen repositories changed.
    Repositories {
        /// Which repositories it may see from now on.
        selection: Option<Selection>,
        /// Repositories that it may see from now on.
        added: Vec<RepoSaid>,
        /// Repositories that it may no longer see.
        removed: Vec<RepoSaid>,
    },
    /// The account was renamed.
    Renamed {
        /// The account's name before.
        from: Option<Login>,
        /// The account's name from now on.
        to: Login,
    },
    /// The App that tried could not authenticate.
    AuthFailed {
        /// GitHub's status; `None` when no answer came.
        status: Option<u16>,
    },
    /// A delivery about a job of this repository: the installation exists.
    Job(Option<RepoSaid>),
    /// Another delivery for the installation: it exists.
    Stands,
    /// Nothing about an installation.
    Nothing,
}
