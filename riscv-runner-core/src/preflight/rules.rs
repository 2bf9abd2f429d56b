//! The rules: each checks one thing and says whether it holds.

use std::collections::BTreeSet;

use super::{Check, Finding, Link, Question, Verdict};
use crate::{
    entity::{Entity, EntityKind},
    ids::{EntityId, ImageRef, Login, RepoName},
    labels::LabelSet,
    observed::{Observed, Why},
    policy::Policy,
    ports::{Installed, OurApp, RepositoryFacts, RepositoryState},
    routing::{self, Query},
};

/// The events without which we do not learn of jobs; those about installations every App is sent.
pub const REQUIRED_EVENTS: [&str; 1] = ["workflow_job"];
/// Stands for an account that is not known: GitHub assigns no id so high.
const UNKNOWN_ID: i64 = i64::MAX;
/// Stands for a repository that is not known: GitHub allows no such name.
const ANY_REPOSITORY: &str = "(any)";
/// What stands for the page of an installation.
const SETTINGS: &str = "settings of the installation";

/// The permissions that the App for this kind of account needs, and the least level of each.
#[must_use]
pub const fn required_permissions(kind: EntityKind) -> [(&'static str, &'static str); 3] {
    match kind {
        EntityKind::Organization => {
            [("actions", "read"), ("metadata", "read"), ("organization_self_hosted_runners", "write")]
        }
        EntityKind::User => [("actions", "read"), ("administration", "write"), ("metadata", "read")],
    }
}

impl Finding {
    fn new(check: Check, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { check, verdict, message: message.into(), remedy: None, links: Vec::new() }
    }

    fn ok(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, message)
    }

    fn problem(check: Check, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(check, Verdict::Problem, message) }
    }

    fn unknown(check: Check, message: impl Into<String>) -> Self {
        let remedy = "Try again in a few minutes".to_owned();
        Self { remedy: Some(remedy), ..Self::new(check, Verdict::Unknown, message) }
    }

    fn at(mut self, text: &'static str, url: Option<&String>) -> Self {
        self.links.extend(url.map(|url| Link { text, url: url.clone() }));
        self
    }
}

/// The labels that every account of this kind may use, in the order of the rules.
#[must_use]
pub fn labels_for_everybody(policy: &Policy, kind: EntityKind) -> Vec<&LabelSet> {
    let for_all = policy.routes.iter().filter(|rule| {
        rule.entities.is_empty() && rule.repositories.is_empty() && rule.app.is_none_or(|app| app == kind)
    });
    let mut seen = BTreeSet::new();
    for_all.map(|rule| &rule.labels).filter(|labels| seen.insert(*labels)).collect()
}

/// Every rule, as far as what it depends on holds.
pub(super) fn findings(facts: &RepositoryFacts, question: &Question<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let installed = right(facts);
    found.extend(app(facts, installed));
    if let Some(installed) = installed {
        found.push(suspension(installed));
        if installed.suspended_at.is_none() {
            found.push(permissions(installed));
            found.push(events(installed));
            found.push(choice(facts, installed, question.may_know_private));
            if let Some(state) = facts.repository.present().filter(|_| is_chosen(facts, installed)) {
                found.push(actions(facts, *state));
                found.extend(group(facts, installed, *state));
            }
            found.extend(registration(facts));
        }
        found.extend(account(facts, installed, question));
    }
    found.push(labels(facts, installed, question));
    found
}

/// The installation of the App that fits the account.
fn right(facts: &RepositoryFacts) -> Option<&Installed> {
    facts.installations.iter().find(|installed| installed.account.kind == Some(installed.app))
}

fn app(facts: &RepositoryFacts, right: Option<&Installed>) -> Vec<Finding> {
    let owner = facts.repo.owner();
    if let Some(installed) = right {
        return vec![
            Finding::ok(Check::AppInstalled, format!("the App is installed on {}", installed.account.login)),
            Finding::ok(Check::RightApp, format!("it is the App for {}", accounts(installed.app))),
        ];
    }
    let Some(wrong) = facts.installations.first() else {
        let remedy = "Install the App for organizations, or the one for personal accounts";
        let missing =
            Finding::problem(Check::AppInstalled, format!("no App of ours is installed on {owner}"), remedy);
        return vec![
            facts.apps.iter().fold(missing, |finding, app| finding.at(called(app.kind), app.page.as_ref())),
        ];
    };
    let installed =
        Finding::ok(Check::AppInstalled, format!("an App of ours is installed on {}", wrong.account.login));
    let message = format!("it is the App for {}, which does not serve this account", accounts(wrong.app));
    let wrong = match wrong.account.kind {
        Some(kind) => {
            let remedy = format!("Install the App for {} instead, and remove this one", accounts(kind));
            Finding::problem(Check::RightApp, message, remedy).at(called(kind), page(&facts.apps, kind))
        }
        None => {
            let remedy = "Install it on an organization or on a personal account";
            Finding::problem(Check::RightApp, message, remedy)
        }
    };
    vec![installed, wrong]
}

fn suspension(installed: &Installed) -> Finding {
    match installed.suspended_at {
        None => Finding::ok(Check::NotSuspended, "the installation is active"),
        Some(since) => {
            let message = format!("the installation has been suspended since {}", since.strftime("%Y-%m-%d"));
            let remedy = "An owner of the account can lift the suspension in the installation's settings";
            Finding::problem(Check::NotSuspended, message, remedy).at(SETTINGS, installed.settings.as_ref())
        }
    }
}

fn permissions(installed: &Installed) -> Finding {
    let lacks = |(name, least): &(&str, &str)| {
        level(installed.permissions.get(*name).map(String::as_str)) < level(Some(least))
    };
    let missing: Vec<_> = required_permissions(installed.app)
        .into_iter()
        .filter(lacks)
        .map(|(name, least)| format!("{name}: {least}"))
        .collect();
    if missing.is_empty() {
        return Finding::ok(Check::Permissions, "the installation has all permissions that runners need");
    }
    let message = format!("the installation lacks {}", missing.join(", "));
    let remedy =
        "An owner of the account must accept the App's new permissions in the installation's settings";
    Finding::problem(Check::Permissions, message, remedy).at(SETTINGS, installed.settings.as_ref())
}

/// GitHub's levels, each of which includes those below.
fn level(name: Option<&str>) -> u8 {
    match name {
        Some("admin") => 3,
        Some("write") => 2,
        Some("read") => 1,
        Some(_) | None => 0,
    }
}

fn events(installed: &Installed) -> Finding {
    let missing: Vec<_> =
        REQUIRED_EVENTS.into_iter().filter(|name| !installed.events.contains(*name)).collect();
    if missing.is_empty() {
        return Finding::ok(Check::Events, "GitHub notifies us of the account's jobs");
    }
    let message = format!("GitHub does not send us {}", missing.join(", "));
    let remedy =
        "The operators must subscribe the App to the event; an owner of the account may have to accept it";
    Finding::problem(Check::Events, message, remedy).at(SETTINGS, installed.settings.as_ref())
}

fn is_chosen(facts: &RepositoryFacts, installed: &Installed) -> bool {
    facts.chosen.contains(&installed.id)
}

fn choice(facts: &RepositoryFacts, installed: &Installed, may_know_private: bool) -> Finding {
    let remedy = "An owner of the account must choose the repository in the installation's settings";
    if is_chosen(facts, installed) {
        return Finding::ok(Check::RepositoryChosen, "the repository is chosen for the App");
    }
    let finding = match facts.repository {
        Observed::Unknown(_) => {
            return Finding::unknown(Check::RepositoryChosen, "GitHub did not return the repository");
        }
        Observed::Present(_) => {
            Finding::problem(Check::RepositoryChosen, "the repository is not chosen for the App", remedy)
        }
        Observed::Absent if may_know_private => {
            let message = "the repository does not exist, or is not chosen for the App";
            Finding::problem(Check::RepositoryChosen, message, format!("Check its name. {remedy}"))
        }
        Observed::Absent => {
            let message =
                "the repository does not exist, is not chosen for the App, or is private and not shown here";
            Finding::problem(Check::RepositoryChosen, message, format!("Check its name. {remedy}"))
        }
    };
    finding.at(SETTINGS, installed.settings.as_ref())
}

fn actions(facts: &RepositoryFacts, state: RepositoryState) -> Finding {
    if state.archived {
        let remedy = "Unarchive the repository in its settings";
        return Finding::problem(Check::Actions, "the repository is archived: nothing runs in it", remedy);
    }
    match facts.actions_allowed {
        Observed::Present(false) => {
            let remedy = "Enable it in the repository's settings, under Actions, General";
            Finding::problem(Check::Actions, "GitHub Actions is disabled in the repository", remedy)
        }
        Observed::Present(true) => Finding::ok(Check::Actions, "GitHub Actions is enabled in the repository"),
        Observed::Unknown(Why::NotLooked) | Observed::Absent => {
            Finding::ok(Check::Actions, "the repository is not archived")
        }
        Observed::Unknown(_) => Finding::unknown(
            Check::Actions,
            "GitHub did not say whether Actions is enabled in the repository",
        ),
    }
}

/// Runners of personal accounts are registered on the repository: there is no group to ask about.
fn group(facts: &RepositoryFacts, installed: &Installed, state: RepositoryState) -> Option<Finding> {
    if installed.app != EntityKind::Organization {
        return None;
    }
    let remedy = "An owner of the organization must change the runner group in the settings, under Actions";
    Some(match &facts.group {
        Observed::Absent => {
            Finding::ok(Check::RunnerGroup, "our runner group is created with the organization's first job")
        }
        Observed::Unknown(_) => {
            Finding::unknown(Check::RunnerGroup, "GitHub did not return our runner group")
        }
        Observed::Present(group) if !group.allows_repository => {
            let message = "our runner group may not be used by this repository";
            Finding::problem(Check::RunnerGroup, message, remedy)
        }
        Observed::Present(group) if !group.allows_public && !state.private => {
            let message = "our runner group does not allow public repositories, and this one is public";
            Finding::problem(Check::RunnerGroup, message, remedy)
        }
        Observed::Present(_) => {
            Finding::ok(Check::RunnerGroup, "our runner group may be used by the repository")
        }
    })
}

fn registration(facts: &RepositoryFacts) -> Option<Finding> {
    let (until, status) = facts.refused?;
    let message = format!(
        "GitHub refuses to register runners (status {status}); we try again at {} UTC",
        until.strftime("%H:%M")
    );
    let remedy = "An owner of the account must allow self-hosted runners in its settings, under Actions";
    Some(Finding::problem(Check::Registration, message, remedy))
}

fn account(facts: &RepositoryFacts, installed: &Installed, question: &Question<'_>) -> Option<Finding> {
    let id = installed.account.id;
    let special = question.policy.entities.get(&id);
    let banned =
        special.is_some_and(|special| special.banned) || question.controls.banned_entities.contains_key(&id);
    if banned {
        let message = "the operators of this service refuse the account's jobs";
        return Some(Finding::problem(Check::AccountServed, message, "Ask the operators"));
    }
    let staged = facts.repository.is_present() && question.policy.staging_repositories.contains(&facts.repo);
    (staged || special.is_some_and(|special| special.staging))
        .then(|| Finding::ok(Check::AccountServed, "its jobs are served by the staging service"))
}

fn labels(facts: &RepositoryFacts, installed: Option<&Installed>, question: &Question<'_>) -> Finding {
    let policy = question.policy;
    // Rules may name private repositories: only what is known to be there is looked up by its name.
    let repo = if facts.repository.is_present() {
        Some(facts.repo.clone())
    } else {
        RepoName::new(format!("{}/{ANY_REPOSITORY}", facts.repo.owner())).ok()
    };
    let entities = candidates(facts, installed);
    let served = |labels: &LabelSet| {
        let repo = repo.as_ref()?;
        entities.iter().find_map(|entity| routing::route(policy, &Query { labels, entity, repo }))
    };
    let offered = offered(policy, |labels| served(labels).is_some());
    let listed = offered.iter().map(|labels| format!("[{labels}]")).collect::<Vec<_>>().join(", ");
    match question.labels {
        Some(asked) => match served(asked) {
            Some(placement) => Finding::ok(
                Check::Labels,
                format!(
                    "a job with these labels runs in the pool {}{}",
                    placement.pool,
                    shown(&placement.image)
                ),
            ),
            None if offered.is_empty() => {
                Finding::problem(Check::Labels, "no labels are served here", "Ask the operators")
            }
            None => Finding::problem(
                Check::Labels,
                "no board has these labels",
                format!("Write one of these as runs-on: {listed}"),
            ),
        },
        None if offered.is_empty() => {
            Finding::problem(Check::Labels, "no labels are served here", "Ask the operators")
        }
        None => Finding::ok(Check::Labels, format!("these are served as runs-on: {listed}")),
    }
}

/// The image tells the distribution that a job finds; its registry and tag are nobody's business here.
fn shown(image: &ImageRef) -> String {
    let tag = image.as_str().rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'));
    tag.map_or_else(String::new, |tag| format!(" ({tag})"))
}

/// The account, or as whom it is looked up while it has no installation.
fn candidates(facts: &RepositoryFacts, installed: Option<&Installed>) -> Vec<Entity> {
    if let Some(Installed { account, app, .. }) = installed {
        return vec![Entity { id: account.id, kind: *app, login: account.login.clone() }];
    }
    let (Ok(id), Ok(login)) = (EntityId::new(UNKNOWN_ID), Login::new(facts.repo.owner())) else {
        return Vec::new();
    };
    [EntityKind::Organization, EntityKind::User].map(|kind| Entity { id, kind, login: login.clone() }).into()
}

/// The labels of rules that serve, in the order of the rules.
fn offered(policy: &Policy, is_served: impl Fn(&LabelSet) -> bool) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let labels = policy.routes.iter().map(|rule| &rule.labels);
    labels
        .filter(|labels| seen.insert((*labels).clone()) && is_served(labels))
        .map(|labels| labels.originals().join(", "))
        .collect()
}

fn page(apps: &[OurApp], kind: EntityKind) -> Option<&String> {
    apps.iter().find(|app| app.kind == kind)?.page.as_ref()
}

const fn called(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Organization => "App for organizations",
        EntityKind::User => "App for personal accounts",
    }
}

const fn accounts(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Organization => "organizations",
        EntityKind::User => "personal accounts",
    }
}
