//! Jobs: GitHub's demand, and the ladder that their state climbs.
//!
//! Every event is a join with the stored state, so deliveries commute: any order and any repetition
//! of the same events ends in the same state. Nothing here reads a clock.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    entity::Entity,
    ids::{ImageRef, InstallationId, JobId, PoolName, RepoId, RepoName, RunId, RunnerName},
    labels::LabelSet,
    scope::{PoolKey, Scope, ScopeRef, Target},
};

/// How far a job has come; the order is the ladder's within one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobPhase {
    /// Queued on GitHub; demand.
    Pending,
    /// A runner has it; still demand, for its worker counts as supply.
    Running,
    /// We lost track of it. Only completion outranks this.
    Failed,
    /// GitHub says that it ended. Nothing outranks this, in any attempt.
    Completed,
}

impl JobPhase {
    /// Every phase, in the order of the ladder.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Running, Self::Failed, Self::Completed];

    /// The spelling of the tables' `status_enum`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Completed => "completed",
        }
    }

    /// Reads the spelling of the tables.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Whether the job still asks for a runner or holds one.
    #[must_use]
    pub const fn is_demand(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

impl fmt::Display for JobPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// When a runner took the job, and which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Start {
    /// GitHub's `started_at`.
    pub at: Timestamp,
    /// GitHub's `runner_name`, where it gave one.
    pub runner: Option<RunnerName>,
}

/// When and how the job ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct End {
    /// GitHub's `completed_at`.
    pub at: Timestamp,
    /// GitHub's `conclusion`: an open set (`success`, `failure`, `cancelled`, …).
    pub conclusion: Option<String>,
}

/// Why we gave a job up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Loss {
    /// GitHub answers 404 for the job.
    JobNotFound,
    /// GitHub answers 404 for the installation's token.
    InstallationNotFound,
    /// GitHub still calls the job queued, though its run has ended.
    RunCompletedJobQueued {
        /// The run's conclusion.
        conclusion: Option<String>,
    },
}

impl Loss {
    /// The reason's name in tables and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::JobNotFound => "job_not_found",
            Self::InstallationNotFound => "installation_not_found",
            Self::RunCompletedJobQueued { .. } => "run_completed_job_queued",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunCompletedJobQueued { conclusion: Some(conclusion) } => {
                write!(f, "{}: the run ended as {conclusion}", self.as_str())
            }
            Self::RunCompletedJobQueued { conclusion: None }
            | Self::JobNotFound
            | Self::InstallationNotFound => f.write_str(self.as_str()),
        }
    }
}

/// What is known of a job's progress: a product of joins, so that events commute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobState {
    /// 1 at first; each requeue adds one. With the phase it orders the ladder.
    pub attempt: u32,
    /// How far the job has come in this attempt.
    pub phase: JobPhase,
    /// The earliest start known of this attempt.
    pub start: Option<Start>,
    /// The earliest end known.
    pub end: Option<End>,
    /// Why we gave it up, while `phase` is [`JobPhase::Failed`].
    pub loss: Option<Loss>,
    /// Runners of earlier attempts; a late `in_progress` that names one changes nothing.
    pub former_runners: BTreeSet<RunnerName>,
}

/// Evidence about a job, from a webhook or from asking GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JobEvent {
    /// Webhook `queued`.
    Queued,
    /// Webhook `in_progress`.
    InProgress(Start),
    /// Webhook `completed`, with the start that its payload repeats.
    Completed {
        /// How it ended.
        end: End,
        /// When it had started, if it had.
        start: Option<Start>,
    },
    /// GitHub, when asked, says that it is running.
    ConfirmedRunning(Start),
    /// GitHub, when asked, says that it is queued though we hold it running in `attempt`.
    Requeued {
        /// The attempt that was asked about.
        attempt: u32,
    },
    /// GitHub, when asked, says that it is queued though we gave it up in `attempt`.
    Revived {
        /// The attempt that was asked about.
        attempt: u32,
    },
    /// GitHub, when asked, shows that it will not end by itself.
    Lost {
        /// The attempt that was asked about.
        attempt: u32,
        /// Why it is given up.
        loss: Loss,
    },
}

impl JobEvent {
    /// When a runner took the job, where the event says so.
    #[must_use]
    pub const fn start(&self) -> Option<&Start> {
        match self {
            Self::InProgress(start) | Self::ConfirmedRunning(start) => Some(start),
            Self::Completed { start, .. } => start.as_ref(),
            Self::Queued | Self::Requeued { .. } | Self::Revived { .. } | Self::Lost { .. } => None,
        }
    }
}

/// What an event does to a state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// The state becomes this.
    Move(JobState),
    /// The event is already known.
    Stay,
    /// The event has been overtaken by later evidence.
    Late,
}

impl JobState {
    /// The state of a job of which nothing but `event` is known; `None` when the event
    /// presupposes a state (it speaks of an attempt that we do not hold).
    #[must_use]
    pub fn from_event(event: &JobEvent) -> Option<Self> {
        let pending = Self {
            attempt: 1,
            phase: JobPhase::Pending,
            start: None,
            end: None,
            loss: None,
            former_runners: BTreeSet::new(),
        };
        match event {
            JobEvent::Queued => Some(pending),
            JobEvent::InProgress(_) | JobEvent::ConfirmedRunning(_) | JobEvent::Completed { .. } => {
                match pending.on(event) {
                    Step::Move(state) => Some(state),
                    Step::Stay | Step::Late => None,
                }
            }
            JobEvent::Requeued { .. } | JobEvent::Revived { .. } | JobEvent::Lost { .. } => None,
        }
    }

    /// Joins the state with an event.
    pub fn on(&self, event: &JobEvent) -> Step {
        match event {
            JobEvent::Queued => Step::Stay,
            JobEvent::InProgress(start) if self.names_former_runner(start) => Step::Late,
            JobEvent::InProgress(start) => self.started(start, JobPhase::Running),
            JobEvent::ConfirmedRunning(start) => {
                let mut known = self.clone();
                if let Some(runner) = &start.runner {
                    known.former_runners.remove(runner);
                }
                match known.started(start, JobPhase::Running) {
                    Step::Stay if known != *self => Step::Move(known),
                    step @ (Step::Move(_) | Step::Stay | Step::Late) => step,
                }
            }
            JobEvent::Completed { end, start } => self.completed(end, start.as_ref()),
            JobEvent::Requeued { attempt } => match self.phase {
                JobPhase::Running if *attempt == self.attempt => Step::Move(self.next_attempt()),
                JobPhase::Pending | JobPhase::Running | JobPhase::Failed | JobPhase::Completed => Step::Late,
            },
            JobEvent::Revived { attempt } => match self.phase {
                JobPhase::Failed if *attempt == self.attempt => Step::Move(self.next_attempt()),
                JobPhase::Pending | JobPhase::Running | JobPhase::Failed | JobPhase::Completed => Step::Late,
            },
            JobEvent::Lost { attempt, loss } => match self.phase {
                JobPhase::Pending | JobPhase::Running if *attempt == self.attempt => {
                    Step::Move(Self { phase: JobPhase::Failed, loss: Some(loss.clone()), ..self.clone() })
                }
                JobPhase::Failed if *attempt == self.attempt => Step::Stay,
                JobPhase::Pending | JobPhase::Running | JobPhase::Failed | JobPhase::Completed => Step::Late,
            },
        }
    }

    /// The rank on the ladder: completion first, then the attempt, then the phase.
    #[must_use]
    pub const fn rank(&self) -> (bool, u32, JobPhase) {
        (matches!(self.phase, JobPhase::Completed), self.attempt, self.phase)
    }

    fn names_former_runner(&self, start: &Start) -> bool {
        start.runner.as_ref().is_some_and(|runner| self.former_runners.contains(runner))
    }

    fn started(&self, start: &Start, reached: JobPhase) -> Step {
        let mut next = self.clone();
        next.phase = self.phase.max(reached);
        next.start = earliest(self.start.clone(), Some(start.clone()));
        if next != *self {
            return Step::Move(next);
        }
        if self.phase > reached { Step::Late } else { Step::Stay }
    }

    fn completed(&self, end: &End, start: Option<&Start>) -> Step {
        let start = start.filter(|start| !self.names_former_runner(start)).cloned();
        let mut next = self.clone();
        next.phase = JobPhase::Completed;
        next.loss = None;
        next.end = earliest(self.end.clone(), Some(end.clone()));
        next.start = earliest(self.start.clone(), start);
        if next == *self { Step::Stay } else { Step::Move(next) }
    }

    fn next_attempt(&self) -> Self {
        let mut former_runners = self.former_runners.clone();
        former_runners.extend(self.start.as_ref().and_then(|start| start.runner.clone()));
        Self {
            attempt: self.attempt.saturating_add(1),
            phase: JobPhase::Pending,
            start: None,
            end: None,
            loss: None,
            former_runners,
        }
    }
}

/// The first of two writes is kept; "first" is by GitHub's time, or the order of arrival would show.
fn earliest<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Everything about a job that does not change with its progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFacts {
    /// GitHub's id.
    pub id: JobId,
    /// The workflow run that it belongs to; `None` in rows of the reference service.
    pub run: Option<RunId>,
    /// The account that it runs for.
    pub entity: Entity,
    /// The installation whose delivery reported it.
    pub installation: InstallationId,
    /// The repository, stable.
    pub repo_id: RepoId,
    /// The repository's name at the time.
    pub repo: RepoName,
    /// Whether the repository is private: its name is shown to authenticated readers only.
    pub private: bool,
    /// Its `runs-on` labels.
    pub labels: LabelSet,
    /// The job's name in its workflow.
    pub name: Option<String>,
    /// Its page on GitHub.
    pub html_url: Option<String>,
    /// When GitHub created it; its place in the queue.
    pub created_at: Timestamp,
}

impl JobFacts {
    /// Where a runner for it must be registered.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        Scope::of(self.entity.kind, self.entity.id, self.repo_id)
    }

    /// The key in which it counts as demand.
    #[must_use]
    pub fn key(&self) -> PoolKey {
        PoolKey { scope: self.scope(), labels: self.labels.clone() }
    }

    /// How to address its scope on GitHub.
    #[must_use]
    pub fn scope_ref(&self) -> ScopeRef {
        ScopeRef {
            installation: self.installation,
            entity: self.entity.id,
            login: self.entity.login.clone(),
            target: match self.scope() {
                Scope::Organization(_) => Target::Organization,
                Scope::Repository(_, id) => Target::Repository { id, name: self.repo.clone() },
            },
        }
    }
}

/// Where a job is to run, as routing decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The pool of boards.
    pub pool: PoolName,
    /// The runner's image.
    pub image: ImageRef,
}

/// A job with its progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The facts that do not change.
    pub facts: JobFacts,
    /// Where it is to run.
    pub placement: Placement,
    /// How far it has come.
    pub state: JobState,
}
