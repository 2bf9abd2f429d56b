//! Several events of one job in one batch, joined in the order of the batch.
//!
//! Pure: the ladder is the domain's; nothing here talks to the server.

use std::collections::BTreeMap;

use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, IfAbsent, JobWrite},
    job::{JobEvent, JobFacts, JobState, Placement, Step},
};

/// A job's id as the tables hold it.
pub(crate) type JobId64 = i64;

struct Event<'a> {
    n: usize,
    facts: &'a JobFacts,
    event: &'a JobEvent,
    if_absent: &'a IfAbsent,
}

/// A new row: what does not change, where it runs, and how far it has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewJob<'a> {
    pub(crate) facts: &'a JobFacts,
    pub(crate) placement: &'a Placement,
    pub(crate) state: &'a JobState,
}

/// The events of one job, and what they did to its state.
pub(crate) struct JobFold<'a> {
    events: Vec<Event<'a>>,
    writes: Vec<JobWrite>,
    before: Option<JobState>,
    after: Option<JobState>,
    born: Option<(&'a JobFacts, &'a Placement)>,
}

/// The joins among the records `part` of the batch, by job.
pub(crate) fn by_job<'a>(batch: &'a [DeliveryRecord], part: &[usize]) -> BTreeMap<JobId64, JobFold<'a>> {
    let mut folds: BTreeMap<JobId64, JobFold<'a>> = BTreeMap::new();
    for &n in part {
        if let Effect::Join { facts, event, if_absent } = &batch[n].effect {
            folds
                .entry(facts.id.get())
                .or_insert_with(|| JobFold {
                    events: Vec::new(),
                    writes: Vec::new(),
                    before: None,
                    after: None,
                    born: None,
                })
                .events
                .push(Event { n, facts, event, if_absent });
        }
    }
    folds
}

impl<'a> JobFold<'a> {
    /// Whether its first event is the one with which a job begins.
    pub(crate) fn is_probably_new(&self) -> bool {
        self.events.first().is_some_and(|first| {
            matches!(first.event, JobEvent::Queued) && matches!(first.if_absent, IfAbsent::Insert(_))
        })
    }

    /// Joins the events, in order, with what is stored.
    pub(crate) fn run(&mut self, stored: Option<JobState>) {
        self.before.clone_from(&stored);
        self.after = stored;
        self.born = None;
        self.writes.clear();
        for event in &self.events {
            let write = match &self.after {
                None => match (event.if_absent, JobState::from_event(event.event)) {
                    (IfAbsent::Insert(placement), Some(state)) => {
                        let phase = state.phase;
                        self.born = Some((event.facts, placement));
                        self.after = Some(state);
                        JobWrite::Inserted(phase)
                    }
                    (IfAbsent::Insert(_), None) | (IfAbsent::Ignore(_), _) => JobWrite::NoRow,
                },
                Some(state) => match state.on(event.event) {
                    Step::Move(next) => {
                        let write = JobWrite::Moved { from: state.phase, to: next.phase };
                        self.after = Some(next);
                        write
                    }
                    Step::Stay | Step::Late => JobWrite::Unchanged,
                },
            };
            self.writes.push(write);
        }
    }

    /// The row to insert, where there was none.
    pub(crate) fn insert(&self) -> Option<NewJob<'_>> {
        let (facts, placement) = self.born?;
        Some(NewJob { facts, placement, state: self.after.as_ref()? })
    }

    /// The state to write, where there was a row and it moved.
    pub(crate) fn update(&self) -> Option<&JobState> {
        self.after.as_ref().filter(|after| self.before.as_ref().is_some_and(|before| before != *after))
    }

    /// What each record did, by its place in the batch.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (usize, JobWrite)> {
        self.events.iter().map(|event| event.n).zip(self.writes.iter().copied())
    }

    /// Whether the scheduler should look.
    pub(crate) fn wakes_scheduler(&self) -> bool {
        self.writes.iter().any(|write| write.wakes_scheduler())
    }
}
