//! Spans: what happened to jobs and workers, as values that an adapter may send to a collector of traces.
//!
//! Pure. A span is identified by what it is about, so every process creates the same span, and its parent
//! need not have been created before.

mod jobs;
mod workers;

use std::fmt;

use jiff::Timestamp;

pub use self::{
    jobs::{Evidence, of_delivery, of_job},
    workers::{Making, of_worker},
};
use crate::{
    delivery::Outcome,
    failure::FailureReason,
    ids::{
        DeliveryGuid, ImageRef, JobId, Login, NodeName, PoolName, RepoName, RunId, RunnerName, WorkerName,
    },
    job::Loss,
    labels::LabelSet,
    ports::ProvisionStep,
};

/// What a trace is about; its text is `job/<id>` or `worker/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A job.
    Job(JobId),
    /// A worker that is not known to have served a job.
    Worker(WorkerName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(id) => write!(f, "job/{id}"),
            Self::Worker(name) => write!(f, "worker/{name}"),
        }
    }
}

/// A span within its trace. Its text is unique in the trace, and the same whenever it is created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpanKey {
    /// The whole life of the job, from GitHub's creation to its end: the root of a job's trace.
    Job,
    /// A delivery about the job, from its arrival to its commit.
    Delivery {
        /// The delivery's GUID, the same when GitHub delivers again.
        guid: Option<DeliveryGuid>,
        /// When it arrived.
        received_at: Timestamp,
    },
    /// The wait for a runner.
    Queued {
        /// When it ended.
        until: Timestamp,
    },
    /// The run of a job on a runner.
    Running {
        /// When it began.
        since: Timestamp,
        /// When it ended: GitHub may take a job back and name the same runner again at its end.
        until: Timestamp,
    },
    /// The creation of a worker for the job.
    Provision(WorkerName),
    /// One step of creating a worker.
    Step(ProvisionStep, WorkerName),
    /// The life of a worker, from its reservation to its end.
    Worker(WorkerName),
    /// The time until the worker's container was running.
    PodStarting(WorkerName),
}

impl SpanKey {
    /// The span's name: one of a closed list.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Delivery { .. } => "delivery",
            Self::Queued { .. } => "queued",
            Self::Running { .. } => "running",
            Self::Provision(_) => "provision",
            Self::Step(step, _) => step.as_str(),
            Self::Worker(_) => "worker",
            Self::PodStarting(_) => "pod starting",
        }
    }

    /// The span above it in a trace of `subject`; `None` at the top.
    #[must_use]
    pub fn parent(&self, subject: &Subject) -> Option<Self> {
        match (self, subject) {
            (Self::Job, _) | (Self::Provision(_) | Self::Worker(_), Subject::Worker(_)) => None,
            (Self::Delivery { .. } | Self::Queued { .. } | Self::Running { .. }, _)
            | (Self::Provision(_) | Self::Worker(_), Subject::Job(_)) => Some(Self::Job),
            (Self::Step(_, worker), _) => Some(Self::Provision(worker.clone())),
            (Self::PodStarting(worker), _) => Some(Self::Worker(worker.clone())),
        }
    }
}

impl fmt::Display for SpanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Job => f.write_str(name),
            Self::Delivery { guid, received_at } => {
                let guid = guid.as_ref().map_or("", DeliveryGuid::as_str);
                write!(f, "{name}/{guid}/{}", received_at.as_nanosecond())
            }
            Self::Queued { until } => write!(f, "{name}/{}", until.as_nanosecond()),
            Self::Running { since, until } => {
                write!(f, "{name}/{}/{}", since.as_nanosecond(), until.as_nanosecond())
            }
            Self::Provision(worker)
            | Self::Step(_, worker)
            | Self::Worker(worker)
            | Self::PodStarting(worker) => write!(f, "{name}/{worker}"),
        }
    }
}

/// A fact about a span. Never a secret; names of private repositories may be included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The workflow run that the job belongs to.
    Run(RunId),
    /// The job's name in its workflow.
    JobName(String),
    /// The job's page on GitHub.
    Page(String),
    /// The account.
    Account(Login),
    /// The repository.
    Repository(RepoName),
    /// The labels that the job asks for or the runner carries.
    Labels(LabelSet),
    /// The attempt, from 1; each requeue adds one.
    Attempt(u32),
    /// GitHub's conclusion.
    Conclusion(String),
    /// The runner that had the job.
    Runner(RunnerName),
    /// The worker.
    Worker(WorkerName),
    /// Its pool.
    Pool(PoolName),
    /// Its image.
    Image(ImageRef),
    /// The node that its pod was bound to.
    Node(NodeName),
    /// Why it ended.
    Ended(FailureReason),
    /// The delivery's GUID.
    Delivery(DeliveryGuid),
    /// The delivery's event.
    Event(String),
    /// The delivery's outcome.
    Outcome(Outcome),
}

/// Why a span did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// GitHub's conclusion is one of failure.
    Concluded(String),
    /// We gave the job up.
    Lost(Loss),
    /// GitHub took the job back from the runner.
    Requeued,
    /// The worker failed, for this reason and with this summary.
    Failed(FailureReason, String),
    /// The outcome is unknown here: an answer was lost, or the lease was.
    Undecided(String),
}

impl Trouble {
    /// The kind of trouble: a word that can be counted.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Concluded(conclusion) => conclusion,
            Self::Lost(loss) => loss.as_str(),
            Self::Requeued => "requeued",
            Self::Failed(reason, _) => reason.as_str(),
            Self::Undecided(_) => "undecided",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Concluded(conclusion) => write!(f, "GitHub says: {conclusion}"),
            Self::Lost(loss) => write!(f, "given up: {loss}"),
            Self::Requeued => f.write_str("GitHub calls the job queued again"),
            Self::Failed(reason, detail) if detail.is_empty() => write!(f, "{reason}"),
            Self::Failed(reason, detail) => write!(f, "{reason}: {detail}"),
            Self::Undecided(detail) => f.write_str(detail),
        }
    }
}

/// A period of time in the life of a job or a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace that it belongs to.
    pub subject: Subject,
    /// What the span is about.
    pub key: SpanKey,
    /// When it began.
    pub began: Timestamp,
    /// When it ended; never before it began.
    pub ended: Timestamp,
    /// What is known about it.
    pub facts: Vec<Fact>,
    /// Why it did not succeed, if so.
    pub trouble: Option<Trouble>,
}

impl Span {
    /// A span that succeeded. Clocks differ: an end before the beginning is moved there.
    #[must_use]
    pub fn new(subject: Subject, key: SpanKey, began: Timestamp, ended: Timestamp, facts: Vec<Fact>) -> Self {
        Self { subject, key, began, ended: ended.max(began), facts, trouble: None }
    }

    /// The same span with what went wrong, if anything did.
    #[must_use]
    pub fn with_trouble(self, trouble: Option<Trouble>) -> Self {
        Self { trouble, ..self }
    }

    /// The span above it; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<SpanKey> {
        self.key.parent(&self.subject)
    }
}
