//! Which jobs to ask GitHub about: those whose state is doubtful, batched by run, under a budget.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    backoff::{age, doubling},
    ids::{InstallationId, JobId, RunId},
    job::{JobEvent, JobPhase, Loss},
    policy::Timeouts,
    ports::{DoubtfulJob, JobRef, JobReport, ReportedState, RunRef},
};

/// A job that runs past its worker's end is asked about after this part of the time to a requeue.
const WORKER_ENDED_PART: u32 = 10;
/// A job that runs, as far as we know, is asked about after this many times the time to a requeue, and
/// then ever more rarely.
const RUNNING_TIMES: u32 = 6;
/// The longest pause between two questions about one job, in times to a requeue: three hours by default.
const LONGEST_TIMES: u32 = 36;

/// A job that waits in a run that GitHub lists as active is asked about after this many times the time
/// to a requeue: an hour by default. Only a lost `completed` of its own could have ended it.
const ACTIVE_TIMES: u32 = 12;

/// How many questions one cycle asks of one installation, the most urgent first: at a cycle per 15 s this
/// is under 1,000 an hour.
const QUESTIONS_PER_INSTALLATION: usize = 4;
/// How many questions one cycle asks in all, so that it ends soon.
const QUESTIONS: usize = 64;

/// When each run was last listed as queued or in progress.
pub type ActiveRuns = BTreeMap<RunId, Timestamp>;

/// When a job was asked about, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// When it was last asked about.
    pub at: Timestamp,
    /// How often it was asked about since its row changed.
    pub times: u32,
    /// When its row had last changed then.
    pub row: Timestamp,
}

/// One request to GitHub, and the jobs whose state it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// All jobs of a run.
    Run(RunRef, Vec<JobId>),
    /// One job.
    Job(JobRef),
}

/// The most urgent questions, as many as one cycle may ask.
#[must_use]
pub fn questions(
    jobs: &[DoubtfulJob],
    asked: &BTreeMap<JobId, Asked>,
    active: &ActiveRuns,
    now: Timestamp,
    timeouts: &Timeouts,
) -> Vec<Question> {
    let mut due: Vec<_> = jobs
        .iter()
        .filter_map(|doubtful| {
            let is_active = run_is_active(doubtful, active, now, timeouts);
            let asked = asked.get(&doubtful.job.facts.id);
            overdue(doubtful, asked, is_active, now, timeouts).map(|by| (by, doubtful))
        })
        .collect();
    // A backlog of waiting jobs must not keep anybody from noticing that one of them has ended.
    due.sort_by_key(|(by, doubtful)| (Reverse(doubtful.worker_ended()), Reverse(*by), doubtful.job.facts.id));
    let mut by_run: BTreeMap<RunId, usize> = BTreeMap::new();
    let mut questions: Vec<Question> = Vec::new();
    let mut of_installation: BTreeMap<InstallationId, usize> = BTreeMap::new();
    for (_, DoubtfulJob { job, .. }) in due {
        let facts = &job.facts;
        let known = facts.run.and_then(|run| by_run.get(&run)).and_then(|place| questions.get_mut(*place));
        if let Some(Question::Run(_, members)) = known {
            members.push(facts.id);
            continue;
        }
        let (installation, app, repo) = (facts.installation, facts.entity.kind, facts.repo.clone());
        let spent = of_installation.entry(installation).or_default();
        if questions.len() >= QUESTIONS || *spent >= QUESTIONS_PER_INSTALLATION {
            continue;
        }
        *spent += 1;
        questions.push(match facts.run {
            Some(run) => {
                by_run.insert(run, questions.len());
                Question::Run(RunRef { installation, app, repo, run }, vec![facts.id])
            }
            None => Question::Job(JobRef { installation, app, repo, job: facts.id }),
        });
    }
    questions
}

/// Whether GitHub listed the job's run as active so lately that it need not be asked whether the run ended.
fn run_is_active(doubtful: &DoubtfulJob, active: &ActiveRuns, now: Timestamp, timeouts: &Timeouts) -> bool {
    let listed = doubtful.job.facts.run.and_then(|run| active.get(&run));
    listed.is_some_and(|at| age(now, *at) < timeouts.stuck_queued)
}

/// By how much the question about a job is overdue; `None` while it is not due.
fn overdue(
    doubtful: &DoubtfulJob,
    asked: Option<&Asked>,
    run_is_active: bool,
    now: Timestamp,
    timeouts: &Timeouts,
) -> Option<Duration> {
    let first = match doubtful.job.state.phase {
        JobPhase::Running if doubtful.worker_ended() => timeouts.requeue / WORKER_ENDED_PART,
        JobPhase::Running => timeouts.requeue * RUNNING_TIMES,
        JobPhase::Pending if run_is_active => timeouts.requeue * ACTIVE_TIMES,
        JobPhase::Pending => timeouts.stuck_queued,
        JobPhase::Failed | JobPhase::Completed => return None,
    };
    let asked = asked.filter(|asked| asked.row == doubtful.updated_at);
    let (since, pause) = match asked {
        None => (doubtful.updated_at, first),
        Some(asked) => (asked.at, doubling(first, timeouts.requeue * LONGEST_TIMES, asked.times)),
    };
    age(now, since).checked_sub(pause)
}

/// What GitHub's report says about a job that we hold, if it says anything new.
#[must_use]
pub fn event_of(
    doubtful: &DoubtfulJob,
    report: &JobReport,
    run_conclusion: Option<&str>,
    now: Timestamp,
    timeouts: &Timeouts,
) -> Option<JobEvent> {
    let state = &doubtful.job.state;
    let attempt = state.attempt;
    let held_for = age(now, doubtful.updated_at);
    match (&report.state, state.phase) {
        (ReportedState::Completed { end, start }, _) => {
            Some(JobEvent::Completed { end: end.clone(), start: start.clone() })
        }
        (ReportedState::InProgress(start), JobPhase::Pending) => {
            Some(JobEvent::ConfirmedRunning(start.clone()))
        }
        (ReportedState::Queued, JobPhase::Running) if held_for >= timeouts.requeue => {
            Some(JobEvent::Requeued { attempt })
        }
        (ReportedState::Queued, JobPhase::Pending) if held_for >= timeouts.stuck_queued => {
            let conclusion = Some(run_conclusion?.to_owned());
            Some(JobEvent::Lost { attempt, loss: Loss::RunCompletedJobQueued { conclusion } })
        }
        (ReportedState::Queued, JobPhase::Failed) => Some(JobEvent::Revived { attempt }),
        (ReportedState::NotYetQueued | ReportedState::Queued | ReportedState::InProgress(_), _) => None,
    }
}

/// What becomes of a job whose installation is gone, so that GitHub can no longer be asked about it: one
/// that a worker of ours still runs is left to finish, any other is lost. Its own `completed` may still
/// come and outranks that.
#[must_use]
pub fn without_installation(doubtful: &DoubtfulJob) -> Option<JobEvent> {
    let state = &doubtful.job.state;
    let is_lost = match state.phase {
        JobPhase::Pending => true,
        JobPhase::Running => !doubtful.worker_lives(),
        JobPhase::Failed | JobPhase::Completed => false,
    };
    is_lost.then_some(JobEvent::Lost { attempt: state.attempt, loss: Loss::InstallationNotFound })
}

/// Whether the run's conclusion must be known to judge a job that GitHub calls queued.
#[must_use]
pub fn still_asked(
    doubtful: &DoubtfulJob,
    report: &JobReport,
    active: &ActiveRuns,
    now: Timestamp,
    timeouts: &Timeouts,
) -> bool {
    report.state == ReportedState::Queued
        && doubtful.job.state.phase == JobPhase::Pending
        && age(now, doubtful.updated_at) >= timeouts.stuck_queued
        && !run_is_active(doubtful, active, now, timeouts)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        entity::{Entity, EntityKind},
        ids::{EntityId, ImageRef, Login, PoolName, RepoId, RepoName},
        job::{Job, JobFacts, JobState, Placement},
        labels::LabelSet,
        ports::JobDetails,
        worker::WorkerStatus,
    };

    /// A job whose row changed at its id, of a run of its own.
    pub(in crate::polling) fn doubtful(id: i64, phase: JobPhase) -> DoubtfulJob {
        let at = Timestamp::from_second(id).unwrap();
        let entity = Entity {
            id: EntityId::new(7).unwrap(),
            kind: EntityKind::Organization,
            login: Login::new("acme").unwrap(),
        };
        let facts = JobFacts {
            id: JobId::new(id).unwrap(),
            run: Some(RunId::new(1000 + id).unwrap()),
            entity,
            installation: InstallationId::new(70).unwrap(),
            repo_id: RepoId::new(700).unwrap(),
            repo: RepoName::new("acme/tools").unwrap(),
            private: false,
            labels: LabelSet::new(["l"]).unwrap(),
            name: None,
            html_url: None,
            created_at: at,
        };
        let placement =
            Placement { pool: PoolName::new("k1").unwrap(), image: ImageRef::new("image:1").unwrap() };
        let state = JobState { phase, ..JobState::from_event(&JobEvent::Queued).unwrap() };
        DoubtfulJob { job: Job { facts, placement, state }, updated_at: at, worker: None }
    }

    #[test]
    fn a_job_of_a_gone_installation_is_lost_unless_a_living_worker_runs_it() {
        use WorkerStatus::{Completed, Failed, Pending, Running};
        for (phase, worker, is_lost) in [
            (JobPhase::Pending, None, true),
            (JobPhase::Running, Some(Pending), false),
            (JobPhase::Running, Some(Running), false),
            (JobPhase::Running, Some(Completed), true),
            (JobPhase::Running, Some(Failed), true),
            (JobPhase::Running, None, true),
            (JobPhase::Failed, None, false),
            (JobPhase::Completed, Some(Completed), false),
        ] {
            let job = DoubtfulJob { worker, ..doubtful(1, phase) };
            let lost = JobEvent::Lost { attempt: 1, loss: Loss::InstallationNotFound };
            assert_eq!(without_installation(&job), is_lost.then_some(lost), "{phase:?} on {worker:?}");
        }
    }

    #[test]
    fn a_job_that_github_does_not_hand_out_yet_tells_nothing_however_long_it_is_held() {
        let timeouts = Timeouts::default();
        let now = Timestamp::from_second(1_000_000).unwrap();
        for phase in [JobPhase::Pending, JobPhase::Running, JobPhase::Failed] {
            let job = doubtful(1, phase);
            let facts = &job.job.facts;
            let report = JobReport {
                job: facts.id,
                run: facts.run.unwrap(),
                state: ReportedState::NotYetQueued,
                details: JobDetails {
                    labels: Vec::new(),
                    name: None,
                    html_url: None,
                    created_at: facts.created_at,
                },
            };
            assert_eq!(event_of(&job, &report, Some("success"), now, &timeouts), None, "{phase:?}");
            assert!(!still_asked(&job, &report, &ActiveRuns::new(), now, &timeouts), "{phase:?}");
        }
    }

    #[test]
    fn a_backlog_that_waits_does_not_hide_a_job_whose_worker_has_ended() {
        let timeouts = Timeouts::default();
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut jobs: Vec<_> = (1..=100).map(|id| doubtful(id, JobPhase::Pending)).collect();
        let ended = DoubtfulJob {
            worker: Some(WorkerStatus::Completed),
            updated_at: now - jiff::SignedDuration::from_mins(1),
            ..doubtful(500, JobPhase::Running)
        };
        jobs.push(ended);
        let asked = questions(&jobs, &BTreeMap::new(), &ActiveRuns::new(), now, &timeouts);
        let ids: Vec<_> = asked
            .iter()
            .flat_map(|question| match question {
                Question::Run(_, jobs) => jobs.clone(),
                Question::Job(job) => vec![job.job],
            })
            .map(JobId::get)
            .collect();
        assert_eq!(ids, [500, 1, 2, 3]);
    }
}
