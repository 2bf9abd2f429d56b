//! Which repositories' runs to poll, and what a listed job shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::jobs::ActiveRuns;
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
/// How many repositories one sweep polls, so that many of them cannot eat GitHub's budget.
const PER_SWEEP: usize = 20;

/// How many runs of which no job waits or runs here one sweep looks into: at a sweep per 5 min this is
/// 480 requests an hour.
const UNHEARD_PER_SWEEP: usize = 40;
/// How many others it looks into: 120 requests an hour.
const HEARD_PER_SWEEP: usize = 10;
/// A run that was looked into is left alone for this long.
const UNHEARD_PAUSE: Duration = Duration::from_secs(3600);
/// The same for a run of which a job waits or runs here: its jobs are asked about by rules of their own,
/// and another one that we did not hear of is delivered again.
const HEARD_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// When each run was looked into, and through which installation.
pub type RunsLooked = BTreeMap<RunId, (Timestamp, InstallationId)>;

/// Forgets runs that would be looked into again anyway.
pub fn forget_runs(looked: &mut RunsLooked, now: Timestamp) {
    looked.retain(|_, (at, _)| age(now, *at) < HEARD_PAUSE);
}

/// Forgets that runs were active which have not been listed for so long that it says nothing.
pub fn forget_active(active: &mut ActiveRuns, now: Timestamp, timeouts: &Timeouts) {
    active.retain(|_, at| age(now, *at) < timeouts.stuck_queued);
}

/// How many runs a sweep may still look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunsLeft {
    unheard: usize,
    heard: usize,
}

impl Default for RunsLeft {
    fn default() -> Self {
        Self { unheard: UNHEARD_PER_SWEEP, heard: HEARD_PER_SWEEP }
    }
}

impl RunsLeft {
    /// Whether no repository needs to be listed.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.unheard == 0
    }

    /// The runs to look into now: those never looked into through this installation, and those of which
    /// that is long ago; and whether every run is among them that nobody here has heard of. `heard` are
    /// the runs of which a job waits or runs here.
    pub fn take(
        &mut self,
        active: &[RunId],
        looked: &RunsLooked,
        heard: &BTreeSet<RunId>,
        by: InstallationId,
        now: Timestamp,
    ) -> (Vec<RunId>, bool) {
        let last = |run: &RunId| looked.get(run).filter(|(_, through)| *through == by).map(|(at, _)| *at);
        let is_due = |run: &RunId, pause| last(run).is_none_or(|at| age(now, at) >= pause);
        let (heard, unheard): (Vec<RunId>, Vec<RunId>) = active.iter().partition(|run| heard.contains(run));
        let mut due: Vec<_> = unheard.into_iter().filter(|run| is_due(run, UNHEARD_PAUSE)).collect();
        let all = due.len() <= self.unheard;
        due.truncate(self.unheard);
        self.unheard -= due.len();
        let heard = heard.into_iter().filter(|run| is_due(run, HEARD_PAUSE)).take(self.heard);
        let before = due.len();
        due.extend(heard);
        self.heard -= due.len() - before;
        (due, all)
    }
}

/// Since when repositories are of interest.
#[must_use]
pub fn repos_since(now: Timestamp) -> Timestamp {
    now.checked_sub(LATELY).unwrap_or(Timestamp::MIN)
}

/// Forgets when runs were listed of repositories that are no longer of interest.
pub fn forget_listed(listed: &mut BTreeMap<RepoId, (Timestamp, InstallationId)>, repos: &[KnownRepo]) {
    let known: BTreeSet<RepoId> = repos.iter().map(|repo| repo.repo_id).collect();
    listed.retain(|repo, _| known.contains(repo));
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

/// What a listed job shows that its row does not have.
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
        // A job that ended before we heard of it never was our demand, one that is not queued is none yet;
        // the rest is known.
        (ReportedState::NotYetQueued, _)
        | (ReportedState::Completed { .. }, None | Some(JobPhase::Completed))
        | (ReportedState::Queued, Some(JobPhase::Pending | JobPhase::Running | JobPhase::Completed))
        | (ReportedState::InProgress(_), Some(JobPhase::Running | JobPhase::Completed)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::JobId, ports::JobDetails};

    #[test]
    fn a_run_is_looked_into_once_an_hour_and_again_through_a_new_installation() {
        let runs = [RunId::new(1).unwrap(), RunId::new(2).unwrap()];
        let (one, other) = (InstallationId::new(1).unwrap(), InstallationId::new(2).unwrap());
        let now = Timestamp::UNIX_EPOCH;
        let mut looked: RunsLooked = [(runs[0], (now, one))].into();
        let nobody = BTreeSet::new();
        let due = |looked: &RunsLooked, heard: &BTreeSet<RunId>, by, now| {
            RunsLeft::default().take(&runs, looked, heard, by, now)
        };
        assert_eq!(due(&looked, &nobody, one, now), (vec![runs[1]], true));
        assert_eq!(due(&looked, &nobody, other, now), (runs.to_vec(), true));
        let later = now + jiff::SignedDuration::from_hours(1);
        assert_eq!(due(&looked, &nobody, one, later), (runs.to_vec(), true));
        assert_eq!(due(&looked, &runs.into(), one, later), (vec![runs[1]], true), "its jobs are known");
        let much_later = now + jiff::SignedDuration::from_hours(6);
        assert_eq!(due(&looked, &runs.into(), one, much_later), (runs.to_vec(), true));
        forget_runs(&mut looked, much_later);
        assert_eq!(looked, RunsLooked::new());
    }

    #[test]
    fn a_listed_job_that_github_does_not_hand_out_yet_is_no_demand() {
        let row = |phase| crate::polling::jobs::tests::doubtful(1, phase).job;
        let report = |state| JobReport {
            job: JobId::new(1).unwrap(),
            run: RunId::new(1).unwrap(),
            state,
            details: JobDetails {
                labels: vec!["l".into()],
                name: None,
                html_url: None,
                created_at: Timestamp::UNIX_EPOCH,
            },
        };
        let not_yet = report(ReportedState::NotYetQueued);
        assert_eq!(event_of_listed(&not_yet, None), None);
        for phase in [JobPhase::Pending, JobPhase::Running, JobPhase::Failed, JobPhase::Completed] {
            assert_eq!(event_of_listed(&not_yet, Some(&row(phase))), None, "{phase:?}");
        }
        assert_eq!(event_of_listed(&report(ReportedState::Queued), None), Some(JobEvent::Queued));
    }

    #[test]
    fn a_repository_without_a_job_lately_is_forgotten() {
        let by = InstallationId::new(1).unwrap();
        let mut listed: BTreeMap<_, _> =
            (1..=100).map(|n| (RepoId::new(n).unwrap(), (Timestamp::UNIX_EPOCH, by))).collect();
        let repo = KnownRepo::from(&crate::polling::jobs::tests::doubtful(1, JobPhase::Pending).job.facts);
        let known = KnownRepo { repo_id: RepoId::new(42).unwrap(), ..repo };
        forget_listed(&mut listed, &[known]);
        assert!(listed.keys().map(|repo| repo.get()).eq([42]), "{listed:?}");
    }

    #[test]
    fn a_sweep_looks_into_so_many_runs_and_first_into_those_nobody_heard_of() {
        let runs: Vec<RunId> = (1..=100).map(|n| RunId::new(n).unwrap()).collect();
        let heard: BTreeSet<RunId> = runs[..50].iter().copied().collect();
        let by = InstallationId::new(1).unwrap();
        let mut left = RunsLeft::default();
        let (due, all) = left.take(&runs, &RunsLooked::new(), &heard, by, Timestamp::UNIX_EPOCH);
        assert_eq!(due, [&runs[50..90], &runs[..10]].concat());
        assert!(!all && left.is_spent());
        assert_eq!(left.take(&[], &RunsLooked::new(), &heard, by, Timestamp::UNIX_EPOCH), (Vec::new(), true));
    }
}
