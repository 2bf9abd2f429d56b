//! The table of rules: each a pure function of one installation's state, named for what it finds.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{
    Selection,
    diagnose::{Diagnosis, Finding, View},
    state::{AuthFailure, Mark, Standing},
};
use crate::{
    backoff::age,
    ids::{EventId, InstallationId, RepoId, RepoName},
};

/// An attempt that keeps failing is logged again after a quarter of an hour at the latest; one that was
/// not, for twice as long, has passed. A 404 does not pass by itself.
const FAILURE_PASSES: Duration = Duration::from_secs(30 * 60);

/// A rule of the table.
pub struct Rule {
    /// What it finds.
    pub diagnosis: Diagnosis,
    /// Whether it counts only where no rule before it applies.
    pub fallback: bool,
    /// What it detects, in words.
    pub about: &'static str,
    pub(super) applies: fn(&View<'_>) -> Option<Finding>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("diagnosis", &self.diagnosis).field("fallback", &self.fallback).finish()
    }
}

/// Every rule, in the order in which findings are reported.
pub const RULES: &[Rule] = &[
    Rule {
        diagnosis: Diagnosis::Uninstalled,
        fallback: false,
        about: "the App was uninstalled, and not installed again",
        applies: uninstalled,
    },
    Rule {
        diagnosis: Diagnosis::Suspended,
        fallback: false,
        about: "the installation is suspended",
        applies: suspended,
    },
    Rule {
        diagnosis: Diagnosis::WrongApp,
        fallback: false,
        about: "another App than the installation's tried to authenticate, or the App is for the other kind of account",
        applies: wrong_app,
    },
    Rule {
        diagnosis: Diagnosis::RepositoryAccessRemoved,
        fallback: false,
        about: "the repository was removed from the installation",
        applies: repository_access_removed,
    },
    Rule {
        diagnosis: Diagnosis::RepositoryNotSelected,
        fallback: false,
        about: "the installation has chosen repositories, and this is not one of them",
        applies: repository_not_selected,
    },
    Rule {
        diagnosis: Diagnosis::AccountRenamed,
        fallback: false,
        about: "the account was renamed, and is still addressed by its old name",
        applies: account_renamed,
    },
    Rule {
        diagnosis: Diagnosis::JobNotAccepted,
        fallback: false,
        about: "the job's own delivery had no effect",
        applies: job_not_accepted,
    },
    Rule {
        diagnosis: Diagnosis::AuthenticationFailing,
        fallback: true,
        about: "the App cannot authenticate, and no other rule explains why",
        applies: authentication_failing,
    },
    Rule {
        diagnosis: Diagnosis::Healthy,
        fallback: true,
        about: "the installation is in place, and no problem was found",
        applies: healthy,
    },
];

fn uninstalled(view: &View<'_>) -> Option<Finding> {
    let Standing::Deleted(gone) = view.installation.standing else { return None };
    let failure = view.installation.failure.filter(|failure| gone <= failure.mark);
    let before = match &failure {
        Some(failure) => format!(", before the authentication failed at {}", failure.mark.at),
        None => String::new(),
    };
    let next = view.account.installations.iter().find_map(|(id, other)| match other.standing {
        Standing::Installed(since) if gone <= since && *id != view.id => Some((*id, since)),
        Standing::Installed(_)
        | Standing::Unknown
        | Standing::Seen(_)
        | Standing::Suspended(_)
        | Standing::Deleted(_) => None,
    });
    let (again, hint) = match next {
        Some((id, since)) => (
            format!("; it was installed again at {} as installation {id}", since.at),
            format!("jobs of this installation cannot be served; see installation {id}"),
        ),
        None => (String::new(), "the account's owner must install the App again".to_owned()),
    };
    Some(Finding {
        text: format!("the App was uninstalled at {}{before}{again}", gone.at),
        hint: Some(hint),
        evidence: marks([Some(gone), failure.map(|failure| failure.mark), next.map(|(_, since)| since)]),
    })
}

fn suspended(view: &View<'_>) -> Option<Finding> {
    let Standing::Suspended(since) = view.installation.standing else { return None };
    let failure = view.installation.failure.filter(|failure| since <= failure.mark);
    Some(Finding {
        text: format!("the installation has been suspended since {}", since.at),
        hint: Some(
            "waiting jobs are kept; the side that suspended it (the account's owner or the App's) must lift it"
                .into(),
        ),
        evidence: marks([Some(since), failure.map(|failure| failure.mark)]),
    })
}

fn wrong_app(view: &View<'_>) -> Option<Finding> {
    let installation = view.installation;
    let app = installation.app?;
    if let Some((failure, tried)) = installation.failure.and_then(|failure| Some((failure, failure.app?)))
        && tried != app
    {
        return Some(Finding {
            text: format!(
                "App {tried} tried to authenticate at {}, but the installation belongs to App {app}",
                failure.mark.at
            ),
            hint: Some(format!(
                "compare app_id and private key under [[github.apps]] with App {app} on GitHub"
            )),
            evidence: marks([standing_mark(installation.standing), Some(failure.mark)]),
        });
    }
    let serves = *view.question.apps.get(&app)?;
    let kind = installation.entity_type?;
    (serves != kind).then(|| Finding {
        text: format!("App {app} serves accounts of the kind {serves}, but this one is of the kind {kind}"),
        hint: Some(format!("the account's owner must install the App for accounts of the kind {kind}")),
        evidence: marks([standing_mark(installation.standing), Some(installation.first)]),
    })
}

fn repository_access_removed(view: &View<'_>) -> Option<Finding> {
    let question = view.question;
    let asked = question.repo.as_ref().or(question.last_repo.as_ref())?;
    let (name, taken) = find(asked, &view.installation.repositories.removed)?;
    Some(Finding {
        text: format!("the installation's access to {name} was removed at {}", taken.at),
        hint: Some(choose_again(view.id, name)),
        evidence: marks([Some(*taken)]),
    })
}

fn repository_not_selected(view: &View<'_>) -> Option<Finding> {
    let repositories = &view.installation.repositories;
    let asked @ (name, _) = view.question.repo.as_ref()?;
    let told = repositories.complete_since?;
    let known = find(asked, &repositories.chosen).or_else(|| find(asked, &repositories.removed)).is_some();
    if known || repositories.selection != Some(Selection::Selected) {
        return None;
    }
    let changes = repositories.chosen.values().map(|(_, mark)| Some(*mark));
    Some(Finding {
        text: format!("{name} is not among the {} chosen repositories", repositories.chosen.len()),
        hint: Some(choose_again(view.id, name)),
        evidence: marks(changes.chain([Some(told)])),
    })
}

fn account_renamed(view: &View<'_>) -> Option<Finding> {
    let rename = view.account.renamed.as_ref()?;
    let cached = view.question.cached_name.as_ref()?;
    (!cached.as_str().eq_ignore_ascii_case(rename.to.as_str())).then(|| Finding {
        text: format!(
            "the account was renamed to {} at {}, but is still addressed as {cached}",
            rename.to, rename.mark.at
        ),
        hint: Some(
            "jobs queued since then carry the new name; earlier ones are looked up by the old name".into(),
        ),
        evidence: marks([Some(rename.mark)]),
    })
}

fn job_not_accepted(view: &View<'_>) -> Option<Finding> {
    let (mark, outcome) = view.installation.queued.get(&view.question.job?)?;
    let (why, hint) = match outcome.as_str() {
        "ignored_no_label" => (
            "no route takes its labels",
            "`rrctl route --labels ..` explains; once a route takes them, `rrctl deliveries replay ID` makes it demand",
        ),
        "banned_entity" => {
            ("the account or the sender is banned", "see [[entities]] and [github] banned_senders")
        }
        "ignored_event" => (
            "it came through an App that is not ours, or not for this kind of account",
            "see [[github.apps]]",
        ),
        "proxied_to_staging" => (
            "it was forwarded to staging",
            "look for it there; see server.staging_repositories and [[entities]]",
        ),
        _ => return None,
    };
    Some(Finding {
        text: format!("the job was not accepted at {}: {why} ({outcome})", mark.at),
        hint: Some(hint.to_owned()),
        evidence: marks([Some(*mark)]),
    })
}

fn authentication_failing(view: &View<'_>) -> Option<Finding> {
    let failure = view.installation.failure.filter(|failure| !has_passed(failure, view))?;
    let (said, hint) = match failure.status {
        Some(404) => (
            "GitHub does not know the installation (404), though no delivery says that it was removed"
                .to_owned(),
            "its `installation.deleted` may have been lost: \
             `rrctl deliveries list --github` shows what GitHub sent",
        ),
        Some(401) => (
            "GitHub refuses the App's key (401)".to_owned(),
            "check private_key_file under [[github.apps]] and the machine's clock",
        ),
        Some(status) => (
            format!("GitHub answers {status}"),
            "`rrctl trace --format json` has the row; its payload has GitHub's message",
        ),
        None => (
            "GitHub did not answer".to_owned(),
            "check github.api_url and the network; it is retried automatically",
        ),
    };
    Some(Finding {
        text: format!("the App could not authenticate at {}: {said}", failure.mark.at),
        hint: Some(hint.to_owned()),
        evidence: marks([Some(failure.mark)]),
    })
}

fn healthy(view: &View<'_>) -> Option<Finding> {
    let since = match view.installation.standing {
        Standing::Installed(since) => format!("installed since {}", since.at),
        Standing::Seen(first) => format!("deliveries have been arriving since at least {}", first.at),
        Standing::Unknown | Standing::Suspended(_) | Standing::Deleted(_) => return None,
    };
    let last = view.installation.last_delivery;
    let heard = last.map_or_else(String::new, |last| format!(", last heard of at {}", last.at));
    Some(Finding {
        text: format!("no problem was found with the installation: {since}{heard}"),
        hint: Some(
            "`rrctl why JOB` says why a job is waiting, `rrctl status` shows the state of the service".into(),
        ),
        evidence: marks([standing_mark(view.installation.standing)]),
    })
}

fn has_passed(failure: &AuthFailure, view: &View<'_>) -> bool {
    !failure.is_not_found() && age(view.question.at, failure.mark.at) > FAILURE_PASSES
}

fn choose_again(installation: InstallationId, name: &RepoName) -> String {
    format!(
        "the account's owner must choose {} among the repositories of installation {installation}",
        name.name()
    )
}

/// A repository, where it is among these: by its id where that is known, for names change.
fn find<'a>(
    (name, id): &(RepoName, Option<RepoId>),
    known: &'a BTreeMap<RepoId, (RepoName, Mark)>,
) -> Option<&'a (RepoName, Mark)> {
    match id {
        Some(id) => known.get(id),
        None => known.values().find(|(known, _)| known.as_str().eq_ignore_ascii_case(name.as_str())),
    }
}

const fn standing_mark(standing: Standing) -> Option<Mark> {
    match standing {
        Standing::Unknown => None,
        Standing::Seen(mark)
        | Standing::Installed(mark)
        | Standing::Suspended(mark)
        | Standing::Deleted(mark) => Some(mark),
    }
}

fn marks(found: impl IntoIterator<Item = Option<Mark>>) -> Vec<EventId> {
    found.into_iter().flatten().map(|mark| mark.event).collect()
}
