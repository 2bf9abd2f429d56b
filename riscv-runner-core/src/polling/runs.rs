//! Which repositories' runs are worth a look, and what a listed job tells.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    backoff::age,
    ids::{InstallationId, RepoId},
    job::{Job, JobEvent, JobPhase},
    policy::Timeouts,
    ports::{JobReport, KnownRepo, ReportedState},
};

/// Repositories without a job for this long are not looked at.
const LATELY: Duration = Duration::from_secs(24 * 3600);
/// How many repositories one sweep looks at, so that many of them cannot eat GitHub's budget.
const PER_SWEEP: usize = 20;

/// Since when repositories are of interest.
#[must_use]
pub fn repos_since(now: Timestamp) -> Timestamp {
    now.checked_sub(LATELY).unwrap_or(Timestamp::MIN)
}

/// The repositories to look at now: those never looked at through their present installation first,
/// then those looked at longest ago, if that is longer ago than the period.
#[must_use]
pub fn repos_due<'a>(
    repos: &'a [KnownRepo],
    listed: &BTreeMap<RepoId, (Timestamp, InstallationId)>,
    now: Timestamp,
    timeouts: &Timeouts,
) -> Vec<&'a KnownRepo> {
    let last = |repo: &KnownRepo| {
        listed.get(&repo.repo_id).filter(|(_, by)| *by == repo.installation).map(|(at, _)| *at)
    };
    let mut due: Vec<_> =
        repos.iter().filter(|repo| last(repo).is_none_or(|at| age(now, at) >= timeouts.runs_poll)).collect();
    due.sort_by_key(|repo| (last(repo), repo.repo_id));
    due.truncate(PER_SWEEP);
    due
}

/// What a listed job tells that its row does not know.
#[must_use]
pub fn event_of_listed(report: &JobReport, row: Option<&Job>) -> Option<JobEvent> {
    let phase = row.map(|job| job.state.phase);
    match (&report.state, phase) {
        (ReportedState::Queued, None) => Some(JobEvent::Queued),
        (ReportedState::Queued, Some(JobPhase::Failed)) => {
            row.map(|job| JobEvent::Revived { attempt: job.state.attempt })
        }
        (ReportedState::InProgress(start), None | Some(JobPhase::Pending | JobPhase::Failed)) => {
            Some(JobEvent::ConfirmedRunning(start.clone()))
        }
        (
            ReportedState::Completed { end, start },
            Some(JobPhase::Pending | JobPhase::Running | JobPhase::Failed),
        ) => Some(JobEvent::Completed { end: end.clone(), start: start.clone() }),
        // A job that ended before we heard of it never was our demand; the rest is known.
        (ReportedState::Completed { .. }, None | Some(JobPhase::Completed))
        | (ReportedState::Queued, Some(JobPhase::Pending | JobPhase::Running | JobPhase::Completed))
        | (ReportedState::InProgress(_), Some(JobPhase::Running | JobPhase::Completed)) => None,
    }
}
