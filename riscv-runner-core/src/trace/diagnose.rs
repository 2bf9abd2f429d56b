//! What the rules conclude from a state: each diagnosis with the rows that show it.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    rules::RULES,
    state::{AccountState, InstallationState, Standing},
};
use crate::{
    entity::EntityKind,
    ids::{AppId, EventId, InstallationId, JobId, Login, RepoId, RepoName},
};

/// What may be wrong with an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diagnosis {
    /// The App was uninstalled.
    Uninstalled,
    /// The installation is suspended.
    Suspended,
    /// The App that acts is not the App of the installation, or not the one for this kind of account.
    WrongApp,
    /// The repository was removed from the installation.
    RepositoryAccessRemoved,
    /// The repository was never among the chosen ones.
    RepositoryNotSelected,
    /// The account was renamed, and its old name is still in use.
    AccountRenamed,
    /// The job's own delivery had no effect.
    JobNotAccepted,
    /// The App cannot authenticate, and nothing in the log explains it.
    AuthenticationFailing,
    /// The log holds nothing about it.
    NothingKnown,
    /// No problem was found with the installation.
    Healthy,
}

impl Diagnosis {
    /// The name in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uninstalled => "uninstalled",
            Self::Suspended => "suspended",
            Self::WrongApp => "wrong_app",
            Self::RepositoryAccessRemoved => "repository_access_removed",
            Self::RepositoryNotSelected => "repository_not_selected",
            Self::AccountRenamed => "account_renamed",
            Self::JobNotAccepted => "job_not_accepted",
            Self::AuthenticationFailing => "authentication_failing",
            Self::NothingKnown => "nothing_known",
            Self::Healthy => "healthy",
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A question about a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The time of the state.
    pub at: Timestamp,
    /// The one installation in question; otherwise all that exist, or the last that did.
    pub installation: Option<InstallationId>,
    /// The repository that should be served: its name, and its id where it is known.
    pub repo: Option<(RepoName, Option<RepoId>)>,
    /// The repository of the last job, where no repository is in question.
    pub last_repo: Option<(RepoName, Option<RepoId>)>,
    /// The job that should be served.
    pub job: Option<JobId>,
    /// The name by which the account is addressed.
    pub cached_name: Option<Login>,
    /// Our Apps and the kind of account that each serves.
    pub apps: BTreeMap<AppId, EntityKind>,
}

impl Question {
    /// The question whether all is well with the account at a time.
    #[must_use]
    pub const fn at(at: Timestamp) -> Self {
        Self {
            at,
            installation: None,
            repo: None,
            last_repo: None,
            job: None,
            cached_name: None,
            apps: BTreeMap::new(),
        }
    }
}

/// A diagnosis and its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosed {
    /// The diagnosis.
    pub diagnosis: Diagnosis,
    /// The installation that it concerns.
    pub installation_id: Option<InstallationId>,
    /// What happened, in a sentence.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The rows of the log that are its evidence, in order.
    pub evidence: Vec<EventId>,
}

/// One installation, as a rule sees it.
pub(super) struct View<'a> {
    pub(super) id: InstallationId,
    pub(super) installation: &'a InstallationState,
    pub(super) account: &'a AccountState,
    pub(super) question: &'a Question,
}

/// What a rule found.
pub(super) struct Finding {
    pub(super) text: String,
    pub(super) hint: Option<String>,
    pub(super) evidence: Vec<EventId>,
}

/// Every diagnosis of the installations that the question is about. Never empty.
#[must_use]
pub fn diagnose(state: &AccountState, question: &Question) -> Vec<Diagnosed> {
    let found: Vec<_> = concerned(state, question).into_iter().flat_map(|view| examine(&view)).collect();
    if found.is_empty() { vec![nothing_known(question)] } else { found }
}

/// Applies the rules to one installation; a fallback counts only where no rule before it explains more.
fn examine(view: &View<'_>) -> Vec<Diagnosed> {
    let mut found: Vec<Diagnosed> = Vec::new();
    for rule in RULES {
        if rule.fallback && !found.is_empty() {
            continue;
        }
        if let Some(Finding { text, hint, mut evidence }) = (rule.applies)(view) {
            evidence.sort_unstable();
            evidence.dedup();
            let installation_id = Some(view.id);
            found.push(Diagnosed { diagnosis: rule.diagnosis, installation_id, text, hint, evidence });
        }
    }
    found
}

/// The installation that is asked about; otherwise those that stand; otherwise the one that ended last.
fn concerned<'a>(state: &'a AccountState, question: &'a Question) -> Vec<View<'a>> {
    let view = |(id, installation): (&InstallationId, &'a InstallationState)| View {
        id: *id,
        installation,
        account: state,
        question,
    };
    if let Some(asked) = question.installation {
        return state.installations.get_key_value(&asked).map(view).into_iter().collect();
    }
    let ended = |installation: &InstallationState| match installation.standing {
        Standing::Deleted(mark) => Some(mark),
        Standing::Unknown | Standing::Seen(_) | Standing::Installed(_) | Standing::Suspended(_) => None,
    };
    let stand: Vec<_> =
        state.installations.iter().filter(|(_, known)| ended(known).is_none()).map(view).collect();
    if !stand.is_empty() {
        return stand;
    }
    state.installations.iter().max_by_key(|(_, known)| ended(known)).map(view).into_iter().collect()
}

fn nothing_known(question: &Question) -> Diagnosed {
    let text = match question.installation {
        Some(id) => format!("the log holds nothing about installation {id} up to {}", question.at),
        None => format!("the log holds nothing about an installation up to {}", question.at),
    };
    let hint = "is the App installed, and is its webhook's address this service? \
                `rrctl deliveries list --github` shows what GitHub sent";
    Diagnosed {
        diagnosis: Diagnosis::NothingKnown,
        installation_id: question.installation,
        text,
        hint: Some(hint.to_owned()),
        evidence: Vec::new(),
    }
}
