//! The spans of a job: each is made by the write that ended it, so a repeated delivery makes none.

use jiff::Timestamp;

use super::{Fact, Span, SpanKey, Subject, Trouble};
use crate::{
    delivery::{DeliveryRecord, Effect, JobWrite, Recorded},
    job::{End, JobEvent, JobFacts, JobPhase, JobState, Start},
};

/// GitHub's conclusions that are failures of the job. The others are wishes: cancelled, skipped, neutral.
const FAILURES: [&str; 3] = ["failure", "startup_failure", "timed_out"];

/// Evidence about a job, and what the store did with it.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The job.
    pub facts: &'a JobFacts,
    /// The job's state before, where it was read.
    pub before: Option<&'a JobState>,
    /// What happened to it.
    pub event: &'a JobEvent,
    /// What the join did.
    pub write: JobWrite,
    /// When the join was made.
    pub at: Timestamp,
}

/// The spans of a recorded delivery: its own, and those of the job that it ended. None if it concerns no job
/// of ours.
#[must_use]
pub fn of_delivery(record: &DeliveryRecord, recorded: Recorded, at: Timestamp) -> Vec<Span> {
    let Effect::Join { facts, event, .. } = &record.effect else { return Vec::new() };
    let Some(write) = recorded.job.filter(|write| *write != JobWrite::NoRow) else { return Vec::new() };
    let mut spans = of_job(Evidence { facts, before: None, event, write, at });
    let log = &record.log;
    let mut known = vec![Fact::Event(log.event.clone()), Fact::Outcome(recorded.outcome)];
    known.extend(log.guid.clone().map(Fact::Delivery));
    let key = SpanKey::Delivery { guid: log.guid.clone(), received_at: log.received_at };
    spans.push(Span::new(Subject::Job(facts.id), key, log.received_at, at, known));
    spans
}

/// The spans of the job that ended with the move of its row; none where its phase stayed.
#[must_use]
pub fn of_job(evidence: Evidence<'_>) -> Vec<Span> {
    let Evidence { facts, before, event, write, at } = evidence;
    let (from, to) = match write {
        JobWrite::Inserted(to) => (None, to),
        JobWrite::Moved { from, to } if from != to => (Some(from), to),
        JobWrite::Moved { .. } | JobWrite::Unchanged | JobWrite::NoRow => return Vec::new(),
    };
    let attempt = before.map(|state| state.attempt);
    let job = Life { facts, attempt };
    let held = before.and_then(|state| state.start.as_ref());
    let start = event.start().or(held);
    let (end, loss) = match event {
        JobEvent::Completed { end, .. } => (Some(end), None),
        JobEvent::Lost { loss, .. } => (None, Some(loss)),
        JobEvent::Queued
        | JobEvent::InProgress(_)
        | JobEvent::ConfirmedRunning(_)
        | JobEvent::Requeued { .. }
        | JobEvent::Revived { .. } => (None, None),
    };
    match (to, end) {
        (JobPhase::Pending, _) => {
            let was = held.filter(|_| from == Some(JobPhase::Running));
            was.map(|start| job.running(start, at, Some(Trouble::Requeued))).into_iter().collect()
        }
        (JobPhase::Running, _) => start.map(|start| job.queued(start.at, Some(start))).into_iter().collect(),
        (JobPhase::Failed, _) => {
            vec![job.whole(at, None, loss.map(|loss| Trouble::Lost(loss.clone())))]
        }
        (JobPhase::Completed, None) => Vec::new(),
        (JobPhase::Completed, Some(end)) => {
            let mut spans = Vec::new();
            if from != Some(JobPhase::Running) {
                spans.push(job.queued(start.map_or(end.at, |start| start.at), start));
            }
            spans.extend(start.map(|start| job.running(start, end.at, failure(end))));
            spans.push(job.whole(end.at, Some(end), failure(end)));
            spans
        }
    }
}

fn failure(end: &End) -> Option<Trouble> {
    let conclusion = end.conclusion.as_ref()?;
    FAILURES.contains(&conclusion.as_str()).then(|| Trouble::Concluded(conclusion.clone()))
}

/// A job, as far as all its spans are alike.
#[derive(Clone, Copy)]
struct Life<'a> {
    facts: &'a JobFacts,
    attempt: Option<u32>,
}

impl Life<'_> {
    fn span(self, key: SpanKey, began: Timestamp, ended: Timestamp, mut facts: Vec<Fact>) -> Span {
        facts.extend(self.attempt.map(Fact::Attempt));
        Span::new(Subject::Job(self.facts.id), key, began, ended, facts)
    }

    fn queued(self, until: Timestamp, start: Option<&Start>) -> Span {
        let facts = runner(start);
        self.span(SpanKey::Queued { until }, self.facts.created_at, until, facts)
    }

    fn running(self, start: &Start, until: Timestamp, trouble: Option<Trouble>) -> Span {
        let key = SpanKey::Running { since: start.at, until };
        self.span(key, start.at, until, runner(Some(start))).with_trouble(trouble)
    }

    fn whole(self, until: Timestamp, end: Option<&End>, trouble: Option<Trouble>) -> Span {
        let job = self.facts;
        let mut facts = vec![
            Fact::Account(job.entity.login.clone()),
            Fact::Repository(job.repo.clone()),
            Fact::Labels(job.labels.clone()),
        ];
        facts.extend(job.run.map(Fact::Run));
        facts.extend(job.name.clone().map(Fact::JobName));
        facts.extend(job.html_url.clone().map(Fact::Page));
        facts.extend(end.and_then(|end| end.conclusion.clone()).map(Fact::Conclusion));
        self.span(SpanKey::Job, job.created_at, until, facts).with_trouble(trouble)
    }
}

fn runner(start: Option<&Start>) -> Vec<Fact> {
    start.and_then(|start| start.runner.clone()).map(Fact::Runner).into_iter().collect()
}
