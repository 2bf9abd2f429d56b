//! Which repositories' runs are worth a look, and what a listed job tells.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    backoff::age,
    ids::{InstallationId, RepoId, RunId},
    installation::{InstallationKey, Installations},
    job::{Job, JobEvent, JobPhase},
    policy::Timeouts,
    ports::{JobReport, KnownRepo, ReportedState},
};

/// Repositories without a job for this long are not looked at.
const LATELY: Duration = Duration::from_secs(24 * 3600);
/// How many repositories one sweep looks at, so that many of them cannot eat GitHub's budget.
const PER_SWEEP: usize = 20;

/// How many runs one sweep looks into: at a sweep per 5 min this is 720 requests an hour.
pub const RUNS_PER_SWEEP: usize = 60;
/// A run that was looked into is left alone for this long: its jobs are known, and asked about by rules
/// of their own.
const LOOKED_INTO: Duration = Duration::from_secs(3600);

/// When each run was looked into, and through which installation.
pub type RunsLooked = BTreeMap<RunId, (Timestamp, InstallationId)>;

/// Forgets runs that would be looked into again anyway.
pub fn forget_runs(looked: &mut RunsLooked, now: Timestamp) {
    looked.retain(|_, (at, _)| age(now, *at) < LOOKED_INTO);
}

/// The runs to look into now: those never looked into through this installation, and those of which
/// that is long ago.
#[must_use]
pub fn runs_due(runs: &[RunId], looked: &RunsLooked, by: InstallationId, now: Timestamp) -> Vec<RunId> {
    let is_known = |run: &RunId| {
        looked.get(run).is_some_and(|(at, through)| *through == by && age(now, *at) < LOOKED_INTO)
    };
    runs.iter().filter(|run| !is_known(run)).copied().collect()
}

/// Since when repositories are of interest.
#[must_use]
pub fn repos_since(now: Timestamp) -> Timestamp {
    now.checked_sub(LATELY).unwrap_or(Timestamp::MIN)
}

/// The repositories to look at now: those never looked at through their present installation, or not
/// since it returned, first; then those looked at longest ago, if that is longer ago than the period.
#[must_use]
pub fn repos_due<'a>(
    repos: &'a [KnownRepo],
    listed: &BTreeMap<RepoId, (Timestamp, InstallationId)>,
    installations: &Installations,
    now: Timestamp,
    timeouts: &Timeouts,
) -> Vec<&'a KnownRepo> {
    let last = |repo: &KnownRepo| {
        let known = installations.get(InstallationKey::of(&repo.entity));
        let returned_at = known.and_then(|known| known.returned_at);
        let (at, by) = listed.get(&repo.repo_id)?;
        (*by == repo.installation && returned_at <= Some(*at)).then_some(*at)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_looked_into_once_an_hour_and_again_through_a_new_installation() {
        let runs = [RunId::new(1).unwrap(), RunId::new(2).unwrap()];
        let (one, other) = (InstallationId::new(1).unwrap(), InstallationId::new(2).unwrap());
        let now = Timestamp::UNIX_EPOCH;
        let mut looked: RunsLooked = [(runs[0], (now, one))].into();
        assert_eq!(runs_due(&runs, &looked, one, now), [runs[1]]);
        assert_eq!(runs_due(&runs, &looked, other, now), runs);
        let later = now + jiff::SignedDuration::from_hours(1);
        assert_eq!(runs_due(&runs, &looked, one, later), runs);
        forget_runs(&mut looked, later);
        assert_eq!(looked, RunsLooked::new());
    }
}
