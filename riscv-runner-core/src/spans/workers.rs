//! The spans of workers: the creation of each, and its life once that is over.

use jiff::Timestamp;

use super::{Fact, Span, SpanKey, Subject, Trouble};
use crate::{
    failure::{FailureInfo, FailureReason},
    ids::WorkerName,
    plan::Provision,
    ports::ProvisionStep,
    scope::{ScopeRef, Target},
    worker::Worker,
};

/// The progress of creating one worker.
#[derive(Debug, Clone, Default)]
pub struct Making {
    steps: Vec<Taken>,
}

#[derive(Debug, Clone)]
struct Taken {
    step: ProvisionStep,
    began: Timestamp,
    ended: Timestamp,
    trouble: Option<Trouble>,
}

impl Making {
    /// Records a step that succeeded.
    pub fn took(&mut self, step: ProvisionStep, began: Timestamp, ended: Timestamp) {
        self.steps.push(Taken { step, began, ended, trouble: None });
    }

    /// Records a step that failed.
    pub fn failed(&mut self, step: ProvisionStep, began: Timestamp, ended: Timestamp, trouble: Trouble) {
        self.steps.push(Taken { step, began, ended, trouble: Some(trouble) });
    }

    /// The span of the whole, and one for each step; none before the first step is recorded. They belong to
    /// the trace of the job that asked for the worker, though GitHub may have given it another.
    #[must_use]
    pub fn spans(&self, provision: &Provision) -> Vec<Span> {
        let (Some(first), Some(last)) = (self.steps.first(), self.steps.last()) else { return Vec::new() };
        let worker = &provision.name;
        let subject = provision.job.map_or_else(|| Subject::Worker(worker.clone()), Subject::Job);
        let mut facts = scope(&provision.scope);
        facts.extend([
            Fact::Worker(worker.clone()),
            Fact::Pool(provision.pool.clone()),
            Fact::Image(provision.image.clone()),
            Fact::Labels(provision.labels.clone()),
        ]);
        let key = SpanKey::Provision(worker.clone());
        let whole = Span::new(subject.clone(), key, first.began, last.ended, facts);
        let steps = self.steps.iter().map(|taken| {
            let key = SpanKey::Step(taken.step, worker.clone());
            let facts = vec![Fact::Worker(worker.clone())];
            let span = Span::new(subject.clone(), key, taken.began, taken.ended, facts);
            span.with_trouble(taken.trouble.clone())
        });
        [whole.with_trouble(last.trouble.clone())].into_iter().chain(steps).collect()
    }
}

/// The spans of a worker that has ended, in the trace of the job that it served, else in its own; none while
/// it is live.
#[must_use]
pub fn of_worker(worker: &Worker) -> Vec<Span> {
    let Some(ended) = worker.completed_at else { return Vec::new() };
    let name = &worker.name;
    let subject = worker.job.map_or_else(|| Subject::Worker(name.clone()), |job| Subject::Job(job.id));
    let trouble = worker.failure.as_ref().and_then(|(reason, info)| trouble(*reason, info));
    let mut facts = scope(&worker.scope);
    facts.extend([
        Fact::Worker(name.clone()),
        Fact::Pool(worker.pool.clone()),
        Fact::Image(worker.image.clone()),
        Fact::Labels(worker.labels.clone()),
    ]);
    facts.extend(worker.node.clone().map(Fact::Node));
    facts.extend(worker.failure.as_ref().map(|(reason, _)| Fact::Ended(*reason)));
    let life = Span::new(subject.clone(), SpanKey::Worker(name.clone()), worker.created_at, ended, facts);
    let mut spans = vec![life.with_trouble(trouble.clone())];
    spans.extend(starting(worker, subject, ended, trouble, name));
    spans
}

/// The way to a running container, or to the end that came before it.
fn starting(
    worker: &Worker,
    subject: Subject,
    ended: Timestamp,
    trouble: Option<Trouble>,
    name: &WorkerName,
) -> Option<Span> {
    let (until, trouble) = match worker.running_at {
        Some(at) => (at, None),
        None => (ended, Some(trouble?)),
    };
    worker.pod_uid.as_ref()?;
    let mut facts = vec![Fact::Worker(name.clone())];
    facts.extend(worker.node.clone().map(Fact::Node));
    let key = SpanKey::PodStarting(name.clone());
    Some(Span::new(subject, key, worker.created_at, until, facts).with_trouble(trouble))
}

/// Where nothing is broken there is no trouble: an idle runner is ended every day.
fn trouble(reason: FailureReason, info: &FailureInfo) -> Option<Trouble> {
    (!reason.is_routine()).then(|| Trouble::Failed(reason, in_short(info)))
}

/// What is known of a failure without logs and events, which may be long.
fn in_short(info: &FailureInfo) -> String {
    match info {
        FailureInfo::V1(plain) => plain.message.clone(),
        FailureInfo::V2(pod) => {
            let seen = &pod.diagnostics;
            let known = [&pod.note, &seen.pod_message, &seen.pod_reason].into_iter().flatten();
            known.into_iter().next().cloned().unwrap_or_default()
        }
        FailureInfo::Other(_) => String::new(),
    }
}

fn scope(scope: &ScopeRef) -> Vec<Fact> {
    let mut facts = vec![Fact::Account(scope.login.clone())];
    if let Target::Repository { name, .. } = &scope.target {
        facts.push(Fact::Repository(name.clone()));
    }
    facts
}
