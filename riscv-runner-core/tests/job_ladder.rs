//! The laws of the job ladder.

#![expect(clippy::unwrap_used, reason = "a world that cannot be built fails its test")]

use jiff::Timestamp;
use proptest::prelude::*;
use riscv_runner_core::{
    ids::RunnerName,
    job::{End, JobEvent, JobPhase, JobState, Loss, Start, Step},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn start() -> impl Strategy<Value = Start> {
    (0_i64..4, proptest::option::of("[ab]")).prop_map(|(second, runner)| Start {
        at: at(second),
        runner: runner.map(|name| RunnerName::new(name).unwrap()),
    })
}

fn end() -> impl Strategy<Value = End> {
    (0_i64..4, proptest::option::of("success|failure|cancelled"))
        .prop_map(|(second, conclusion)| End { at: at(second), conclusion })
}

fn webhook() -> impl Strategy<Value = JobEvent> {
    prop_oneof![
        Just(JobEvent::Queued),
        start().prop_map(JobEvent::InProgress),
        (end(), proptest::option::of(start())).prop_map(|(end, start)| JobEvent::Completed { end, start }),
    ]
}

fn any_event() -> impl Strategy<Value = JobEvent> {
    prop_oneof![
        3 => webhook(),
        1 => start().prop_map(JobEvent::ConfirmedRunning),
        1 => (1_u32..4).prop_map(|attempt| JobEvent::Requeued { attempt }),
        1 => (1_u32..4).prop_map(|attempt| JobEvent::Revived { attempt }),
        1 => (1_u32..4).prop_map(|attempt| JobEvent::Lost { attempt, loss: Loss::JobNotFound }),
    ]
}

fn fold(events: &[JobEvent]) -> Option<JobState> {
    events.iter().fold(None, |state: Option<JobState>, event| match state {
        None => JobState::from_event(event),
        Some(state) => Some(match state.on(event) {
            Step::Move(next) => next,
            Step::Stay | Step::Late => state,
        }),
    })
}

proptest! {
    #[test]
    fn any_order_and_repetition_of_deliveries_ends_in_the_same_state(
        (events, shuffled) in proptest::collection::vec(webhook(), 1..8).prop_flat_map(|events| {
            let twice: Vec<_> = events.iter().chain(&events).cloned().collect();
            (Just(events), Just(twice).prop_shuffle())
        })
    ) {
        prop_assert_eq!(fold(&events), fold(&shuffled));
    }

    #[test]
    fn no_event_descends_the_ladder(events in proptest::collection::vec(any_event(), 1..20)) {
        let mut state: Option<JobState> = None;
        for event in &events {
            let next = fold_one(state.clone(), event);
            if let (Some(before), Some(after)) = (&state, &next) {
                prop_assert!(after.rank() >= before.rank(), "{before:?} {event:?} {after:?}");
            }
            state = next;
        }
    }

    #[test]
    fn an_event_heard_twice_in_a_row_changes_nothing_the_second_time(
        events in proptest::collection::vec(any_event(), 0..10), last in any_event()
    ) {
        let once = fold_one(fold(&events), &last);
        let twice = fold_one(once.clone(), &last);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn completion_outranks_everything(events in proptest::collection::vec(any_event(), 0..10), end in end()) {
        let done = fold_one(fold(&events), &JobEvent::Completed { end, start: None });
        prop_assert_eq!(done.map(|state| state.phase), Some(JobPhase::Completed));
    }
}

fn fold_one(state: Option<JobState>, event: &JobEvent) -> Option<JobState> {
    match state {
        None => JobState::from_event(event),
        Some(state) => Some(match state.on(event) {
            Step::Move(next) => next,
            Step::Stay | Step::Late => state,
        }),
    }
}

fn by(runner: &str, second: i64) -> Start {
    Start { at: at(second), runner: Some(RunnerName::new(runner).unwrap()) }
}

#[test]
fn a_requeued_job_waits_again_and_hears_no_more_of_its_former_runner() {
    let running = fold(&[JobEvent::Queued, JobEvent::InProgress(by("a", 1))]).unwrap();
    let Step::Move(requeued) = running.on(&JobEvent::Requeued { attempt: 1 }) else { panic!("not requeued") };
    assert_eq!((requeued.attempt, requeued.phase), (2, JobPhase::Pending));
    assert_eq!(requeued.on(&JobEvent::InProgress(by("a", 1))), Step::Late);
    let Step::Move(again) = requeued.on(&JobEvent::InProgress(by("b", 2))) else { panic!("not running") };
    assert_eq!(again.phase, JobPhase::Running);
    // GitHub itself says so: then it was the former runner after all.
    let Step::Move(confirmed) = requeued.on(&JobEvent::ConfirmedRunning(by("a", 1))) else {
        panic!("not running")
    };
    assert_eq!(confirmed.phase, JobPhase::Running);
}

#[test]
fn evidence_of_an_earlier_attempt_is_late() {
    let running = fold(&[JobEvent::Queued, JobEvent::InProgress(by("a", 1))]).unwrap();
    assert_eq!(running.on(&JobEvent::Requeued { attempt: 2 }), Step::Late);
    assert_eq!(running.on(&JobEvent::Lost { attempt: 2, loss: Loss::JobNotFound }), Step::Late);
}

#[test]
fn a_job_given_up_may_come_back_or_complete() {
    let lost = fold(&[JobEvent::Queued, JobEvent::Lost { attempt: 1, loss: Loss::JobNotFound }]).unwrap();
    assert_eq!(lost.phase, JobPhase::Failed);
    let Step::Move(back) = lost.on(&JobEvent::Revived { attempt: 1 }) else { panic!("not revived") };
    assert_eq!((back.attempt, back.phase, back.loss), (2, JobPhase::Pending, None));
    let end = End { at: at(9), conclusion: Some("success".into()) };
    let Step::Move(done) = lost.on(&JobEvent::Completed { end, start: None }) else {
        panic!("not completed")
    };
    assert_eq!((done.phase, done.loss), (JobPhase::Completed, None));
}
