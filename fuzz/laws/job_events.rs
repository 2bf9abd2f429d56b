//! Events of one job.

use jiff::Timestamp;
use riscv_runner_core::{
    ids::RunnerName,
    job::{End, JobEvent, JobState, Loss, Start, Step},
};

/// Deliveries commute: in the order of the input, backwards, and each one twice they end in the same
/// state. With evidence from asking GitHub between them, no event leads down the ladder.
pub fn job_events(input: &[u8]) {
    let webhooks: Vec<JobEvent> = input.chunks_exact(2).map(|two| webhook(two[0] % 3, two[1])).collect();
    let backwards: Vec<JobEvent> = webhooks.iter().rev().cloned().collect();
    let twice: Vec<JobEvent> = webhooks.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
    let expected = fold(&webhooks);
    assert_eq!(fold(&backwards), expected, "backwards");
    assert_eq!(fold(&twice), expected, "each twice");

    let mut state: Option<JobState> = None;
    for event in input.chunks_exact(2).map(|two| any(two[0] % 7, two[1])) {
        let next = after(state.as_ref(), &event);
        if let (Some(before), Some(next)) = (&state, &next) {
            assert!(before.rank() <= next.rank(), "{before:?} {event:?} {next:?}");
            assert_eq!(after(Some(next), &event).as_ref(), Some(next), "{event:?} heard again");
        }
        state = next;
    }
}

fn fold(events: &[JobEvent]) -> Option<JobState> {
    events.iter().fold(None, |state, event| after(state.as_ref(), event))
}

fn after(state: Option<&JobState>, event: &JobEvent) -> Option<JobState> {
    match state {
        None => JobState::from_event(event),
        Some(state) => Some(match state.on(event) {
            Step::Move(next) => next,
            Step::Stay | Step::Late => state.clone(),
        }),
    }
}

fn webhook(kind: u8, detail: u8) -> JobEvent {
    match kind {
        0 => JobEvent::Queued,
        1 => JobEvent::InProgress(start(detail)),
        _ => {
            let conclusion = (detail & 64 != 0).then(|| "success".to_owned());
            let started = (detail & 128 != 0).then(|| start(detail));
            JobEvent::Completed { end: End { at: at(detail & 7), conclusion }, start: started }
        }
    }
}

fn any(kind: u8, detail: u8) -> JobEvent {
    let attempt = u32::from(detail & 3);
    match kind {
        3 => JobEvent::ConfirmedRunning(start(detail)),
        4 => JobEvent::Requeued { attempt },
        5 => JobEvent::Revived { attempt },
        6 => JobEvent::Lost { attempt, loss: Loss::JobNotFound },
        kind => webhook(kind, detail),
    }
}

fn start(detail: u8) -> Start {
    let runner = ["a", "b"].get(usize::from(detail >> 3 & 3)).and_then(|name| RunnerName::new(*name).ok());
    Start { at: at(detail & 7), runner }
}

fn at(second: u8) -> Timestamp {
    Timestamp::from_second(second.into()).expect("a time of our age")
}
