//! Whether the jobs of a repository would be served: one finding for each thing that must hold, and what to
//! do about those that do not. Pure; what GitHub says comes from [`crate::ports::Inspector`].

mod greeting;
mod name;
mod rules;
mod stranger;

use std::fmt;

use serde::Serialize;

pub use self::{
    greeting::{Greeting, greet, is_recent},
    name::parse_repository,
    rules::{REQUIRED_EVENTS, labels_for_everybody, required_permissions},
};
use crate::{controls::Controls, labels::LabelSet, policy::Policy, ports::RepositoryFacts};

/// One thing that must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// One of our Apps is installed on the account.
    AppInstalled,
    /// It is the App for that kind of account.
    RightApp,
    /// The installation is not suspended.
    NotSuspended,
    /// The installation has the permissions that registering runners needs.
    Permissions,
    /// GitHub notifies us of jobs.
    Events,
    /// The repository was chosen for the App.
    RepositoryChosen,
    /// GitHub Actions is enabled in the repository.
    Actions,
    /// Our runner group may be used by the repository.
    RunnerGroup,
    /// GitHub registers runners.
    Registration,
    /// The operators serve the account.
    AccountServed,
    /// A rule routes the labels to a pool.
    Labels,
}

impl Check {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AppInstalled => "app_installed",
            Self::RightApp => "right_app",
            Self::NotSuspended => "not_suspended",
            Self::Permissions => "permissions",
            Self::Events => "events",
            Self::RepositoryChosen => "repository_chosen",
            Self::Actions => "actions",
            Self::RunnerGroup => "runner_group",
            Self::Registration => "registration",
            Self::AccountServed => "account_served",
            Self::Labels => "labels",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Ok,
    /// It does not: jobs are not served.
    Problem,
    /// It could not be checked.
    Unknown,
}

impl Verdict {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Problem => "problem",
            Self::Unknown => "unknown",
        }
    }
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The thing.
    pub check: Check,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What was found, in words.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Where to do it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// A page on GitHub where a problem can be fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The text of the link.
    pub text: &'static str,
    /// The page's address, from GitHub.
    pub url: String,
}

/// What is asked, and with which rights.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Labels of a job; `None` asks which labels are served.
    pub labels: Option<&'a LabelSet>,
    /// The configuration in force.
    pub policy: &'a Policy,
    /// What operators hold back.
    pub controls: &'a Controls,
    /// Whether the visitor may learn which private repositories exist.
    pub may_know_private: bool,
}

/// Everything that must hold, in the order in which to fix it: what depends on something that does not hold
/// is not judged.
#[must_use]
pub fn examine(facts: &RepositoryFacts, question: &Question<'_>) -> Vec<Finding> {
    if question.may_know_private {
        rules::findings(facts, question)
    } else {
        rules::findings(&stranger::as_seen_by_strangers(facts), question)
    }
}

/// Whether no problem was found.
#[must_use]
pub fn is_clear(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.verdict != Verdict::Problem)
}
