//! Which spans each transition makes, and that none is made twice or without its parent.

#![expect(clippy::unwrap_used, reason = "a world that cannot be built fails its test")]

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use riscv_runner_core::{
    backoff::Backoff,
    delivery::{DeliveryRecord, Effect, IfAbsent, JobWrite, LogEntry, LogSource, Outcome, Recorded},
    entity::{Entity, EntityKind},
    failure::{Diagnostics, FailureInfo, FailureReason},
    ids::*,
    job::{End, JobEvent, JobFacts, JobPhase, JobState, Loss, Start, Step},
    labels::LabelSet,
    plan::Provision,
    ports::ProvisionStep,
    scope::{ScopeRef, Target},
    spans::{Evidence, Fact, Making, Span, SpanKey, Subject, Trouble, of_delivery, of_job, of_worker},
    worker::{KnownJob, Worker, WorkerStatus},
};
use serde_json::value::RawValue;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn facts() -> JobFacts {
    JobFacts {
        id: JobId::new(7).unwrap(),
        run: Some(RunId::new(70).unwrap()),
        entity: Entity {
            id: EntityId::new(1).unwrap(),
            kind: EntityKind::Organization,
            login: Login::new("acme").unwrap(),
        },
        installation: InstallationId::new(10).unwrap(),
        repo_id: RepoId::new(3).unwrap(),
        repo: RepoName::new("acme/tool").unwrap(),
        private: true,
        labels: LabelSet::new(["riscv"]).unwrap(),
        name: Some("build".to_owned()),
        html_url: Some("https://github.com/acme/tool/actions/runs/70/job/7".to_owned()),
        created_at: at(100),
    }
}

fn start(second: i64) -> Start {
    Start { at: at(second), runner: Some(RunnerName::new("runner-a").unwrap()) }
}

fn completed(second: i64, conclusion: &str, start: Option<Start>) -> JobEvent {
    JobEvent::Completed { end: End { at: at(second), conclusion: Some(conclusion.to_owned()) }, start }
}

/// `name began..ended`, and what went wrong.
fn told(spans: &[Span]) -> Vec<String> {
    let line = |span: &Span| {
        let trouble = span.trouble.as_ref().map(|trouble| format!(" {}", trouble.kind())).unwrap_or_default();
        format!("{} {}..{}{trouble}", span.key.name(), span.began.as_second(), span.ended.as_second())
    };
    spans.iter().map(line).collect()
}

fn check(before: Option<&JobState>, event: &JobEvent, write: JobWrite, expected: &[&str]) {
    let facts = facts();
    let spans = of_job(Evidence { facts: &facts, before, event, write, at: at(900) });
    assert_eq!(told(&spans), expected, "{event:?} {write:?}");
    assert!(spans.iter().all(|span| span.subject == Subject::Job(facts.id)));
}

const fn moved(from: JobPhase, to: JobPhase) -> JobWrite {
    JobWrite::Moved { from, to }
}

#[test]
fn each_move_of_a_job_ends_what_it_ends() {
    use JobPhase::{Completed, Failed, Pending, Running};
    check(None, &JobEvent::Queued, JobWrite::Inserted(Pending), &[]);
    check(None, &JobEvent::InProgress(start(160)), moved(Pending, Running), &["queued 100..160"]);
    check(
        None,
        &completed(200, "success", Some(start(160))),
        moved(Running, Completed),
        &["running 160..200", "job 100..200"],
    );
    check(
        None,
        &completed(200, "failure", Some(start(160))),
        moved(Running, Completed),
        &["running 160..200 failure", "job 100..200 failure"],
    );
    check(
        Some(&running()),
        &JobEvent::Requeued { attempt: 1 },
        moved(Running, Pending),
        &["running 160..900 requeued"],
    );
    check(Some(&running()), &lost(), moved(Running, Failed), &["job 100..900 job_not_found"]);
    check(None, &JobEvent::Revived { attempt: 1 }, moved(Failed, Pending), &[]);
}

#[test]
fn what_was_missed_is_made_up_for_at_the_end() {
    use JobPhase::{Completed, Failed, Pending, Running};
    let whole = ["queued 100..160", "running 160..200", "job 100..200"];
    let event = completed(200, "success", Some(start(160)));
    for write in [JobWrite::Inserted(Completed), moved(Pending, Completed), moved(Failed, Completed)] {
        check(None, &event, write, &whole);
    }
    check(None, &JobEvent::InProgress(start(160)), JobWrite::Inserted(Running), &["queued 100..160"]);
    check(
        None,
        &completed(150, "cancelled", None),
        moved(Pending, Completed),
        &["queued 100..150", "job 100..150"],
    );
    let held = running();
    check(
        Some(&held),
        &completed(200, "success", None),
        moved(Running, Completed),
        &["running 160..200", "job 100..200"],
    );
}

#[test]
fn what_changes_no_phase_makes_no_span() {
    let event = completed(200, "success", Some(start(160)));
    for write in [
        JobWrite::Unchanged,
        JobWrite::NoRow,
        moved(JobPhase::Completed, JobPhase::Completed),
        moved(JobPhase::Running, JobPhase::Running),
    ] {
        check(None, &event, write, &[]);
    }
}

fn running() -> JobState {
    let Step::Move(state) =
        JobState::from_event(&JobEvent::Queued).unwrap().on(&JobEvent::InProgress(start(160)))
    else {
        unreachable!("a queued job can start");
    };
    state
}

fn lost() -> JobEvent {
    JobEvent::Lost { attempt: 1, loss: Loss::JobNotFound }
}

fn record(event: JobEvent, guid: &str) -> DeliveryRecord {
    DeliveryRecord {
        log: LogEntry {
            source: LogSource::Webhook,
            guid: Some(DeliveryGuid::new(guid).unwrap()),
            event: "workflow_job.completed".to_owned(),
            installation: None,
            app: None,
            entity: None,
            payload: RawValue::NULL.to_owned(),
            received_at: at(201),
        },
        effect: Effect::Join {
            facts: Box::new(facts()),
            event,
            if_absent: IfAbsent::Ignore(Outcome::JobNotFound),
        },
        installation: None,
    }
}

#[test]
fn a_repeated_delivery_has_a_span_of_its_own_and_no_other() {
    let record = record(completed(200, "success", Some(start(160))), "g-1");
    let write = |job, outcome| Recorded { outcome, job: Some(job) };
    let first = write(moved(JobPhase::Running, JobPhase::Completed), Outcome::JobMarkedCompleted);
    assert_eq!(
        told(&of_delivery(&record, first, at(202))),
        ["running 160..200", "job 100..200", "delivery 201..202"]
    );
    let again = write(JobWrite::Unchanged, Outcome::DuplicateDelivery);
    let spans = of_delivery(&record, again, at(202));
    assert_eq!(told(&spans), ["delivery 201..202"]);
    assert!(spans[0].facts.contains(&Fact::Outcome(Outcome::DuplicateDelivery)));
    assert!(spans[0].facts.contains(&Fact::Delivery(DeliveryGuid::new("g-1").unwrap())));
}

#[test]
fn a_job_that_is_not_ours_makes_no_span() {
    let record = record(completed(200, "success", None), "g-1");
    for job in [None, Some(JobWrite::NoRow)] {
        assert_eq!(of_delivery(&record, Recorded { outcome: Outcome::JobNotFound, job }, at(202)), []);
    }
}

#[test]
fn the_root_says_what_the_job_was() {
    let facts = facts();
    let (event, write) = (completed(200, "timed_out", None), JobWrite::Inserted(JobPhase::Completed));
    let spans = of_job(Evidence { facts: &facts, before: None, event: &event, write, at: at(900) });
    let root = spans.iter().find(|span| span.key == SpanKey::Job).unwrap();
    assert_eq!(root.parent(), None);
    assert_eq!(root.trouble, Some(Trouble::Concluded("timed_out".to_owned())));
    for fact in [
        Fact::Repository(facts.repo.clone()),
        Fact::Run(RunId::new(70).unwrap()),
        Fact::JobName("build".to_owned()),
        Fact::Conclusion("timed_out".to_owned()),
    ] {
        assert!(root.facts.contains(&fact), "{fact:?}: {root:?}");
    }
}

#[test]
fn an_end_before_the_beginning_is_a_difference_of_clocks() {
    check(
        None,
        &JobEvent::InProgress(start(90)),
        moved(JobPhase::Pending, JobPhase::Running),
        &["queued 100..100"],
    );
}

fn event() -> impl Strategy<Value = JobEvent> {
    prop_oneof![
        Just(JobEvent::Queued),
        (150_i64..154).prop_map(|second| JobEvent::InProgress(start(second))),
        (200_i64..204, proptest::option::of(150_i64..154)).prop_map(|(second, began)| completed(
            second,
            "success",
            began.map(start)
        )),
        (1_u32..3).prop_map(|attempt| JobEvent::Requeued { attempt }),
        (1_u32..3).prop_map(|attempt| JobEvent::Lost { attempt, loss: Loss::JobNotFound }),
    ]
}

proptest! {
    /// Whatever happens in whatever order: each span is made once, the root by the end alone, and all belong
    /// below it. A job that we gave up or that GitHub took back may tell of the same wait again, and end twice.
    #[test]
    fn no_span_is_made_twice(events in proptest::collection::vec(event(), 0..12)) {
        let facts = facts();
        let mut state: Option<JobState> = None;
        let mut seen = BTreeSet::new();
        let mut again = false;
        for event in &events {
            let before = state.clone();
            let write = match &before {
                None => match JobState::from_event(event) {
                    Some(new) => {
                        let phase = new.phase;
                        state = Some(new);
                        JobWrite::Inserted(phase)
                    }
                    None => JobWrite::NoRow,
                },
                Some(held) => match held.on(event) {
                    Step::Move(next) => {
                        let write = moved(held.phase, next.phase);
                        state = Some(next);
                        write
                    }
                    Step::Stay | Step::Late => JobWrite::Unchanged,
                },
            };
            let evidence = Evidence { facts: &facts, before: before.as_ref(), event, write, at: at(900) };
            let went_back = again;
            for span in of_job(evidence) {
                again |= matches!(span.trouble, Some(Trouble::Lost(_) | Trouble::Requeued));
                let is_new = seen.insert(span.key.clone());
                prop_assert!(is_new || went_back, "{:?} twice in {:?}", span.key, events);
                prop_assert!(span.parent().is_none_or(|parent| parent == SpanKey::Job));
            }
        }
        let ended = state.is_some_and(|state| !state.phase.is_demand());
        prop_assert!(seen.contains(&SpanKey::Job) || !ended);
        prop_assert!(again || seen.contains(&SpanKey::Job) == ended);
    }
}

fn name(text: &str) -> WorkerName {
    WorkerName::new(text).unwrap()
}

fn scope() -> ScopeRef {
    ScopeRef {
        installation: InstallationId::new(10).unwrap(),
        entity: EntityId::new(1).unwrap(),
        login: Login::new("someone").unwrap(),
        target: Target::Repository {
            id: RepoId::new(3).unwrap(),
            name: RepoName::new("someone/tool").unwrap(),
        },
    }
}

fn provision(job: Option<i64>) -> Provision {
    Provision {
        name: name("rr-a"),
        scope: scope(),
        labels: LabelSet::new(["riscv"]).unwrap(),
        pool: PoolName::new("k1").unwrap(),
        image: ImageRef::new("runner:1").unwrap(),
        job: job.map(|id| JobId::new(id).unwrap()),
        entity_cap: None,
        pool_cap: None,
        warm: 0,
        avoid: Vec::new(),
        on_failure: Backoff { failures: 1, since: at(0), until: at(0) },
    }
}

#[test]
fn a_worker_is_made_in_steps_below_the_job_that_asked_for_it() {
    let mut making = Making::default();
    assert_eq!(making.spans(&provision(Some(7))), []);
    for (step, second) in ProvisionStep::ALL.into_iter().zip(10..) {
        making.took(step, at(second), at(second + 1));
    }
    let spans = making.spans(&provision(Some(7)));
    assert_eq!(
        told(&spans),
        ["provision 10..14", "reserve 10..11", "mint 11..12", "create 12..13", "confirm 13..14"]
    );
    assert_eq!(spans[0].parent(), Some(SpanKey::Job));
    assert!(spans[1..].iter().all(|span| span.parent() == Some(spans[0].key.clone())));
    assert!(spans[0].facts.contains(&Fact::Repository(RepoName::new("someone/tool").unwrap())));
    let warm = making.spans(&provision(None));
    assert_eq!((&warm[0].subject, warm[0].parent()), (&Subject::Worker(name("rr-a")), None));
}

#[test]
fn a_worker_that_could_not_be_made_says_at_which_step() {
    let mut making = Making::default();
    making.took(ProvisionStep::Reserve, at(10), at(11));
    let why = Trouble::Failed(FailureReason::RateLimited, "403".to_owned());
    making.failed(ProvisionStep::Mint, at(11), at(12), why);
    let told = told(&making.spans(&provision(Some(7))));
    assert_eq!(told, ["provision 10..12 rate_limited", "reserve 10..11", "mint 11..12 rate_limited"]);
}

fn worker() -> Worker {
    Worker {
        name: name("rr-a"),
        scope: scope(),
        labels: LabelSet::new(["riscv"]).unwrap(),
        pool: PoolName::new("k1").unwrap(),
        image: ImageRef::new("runner:1").unwrap(),
        status: WorkerStatus::Completed,
        node: Some(NodeName::new("k1-01").unwrap()),
        pod_uid: Some("u".parse().unwrap()),
        runner: None,
        created_at: at(10),
        running_at: Some(at(20)),
        completed_at: Some(at(90)),
        online_at: None,
        gone_at: None,
        failure: None,
        job: Some(KnownJob { id: JobId::new(7).unwrap(), phase: JobPhase::Completed }),
    }
}

#[test]
fn a_worker_belongs_to_the_trace_of_the_job_that_it_ran() {
    let spans = of_worker(&worker());
    assert_eq!(told(&spans), ["worker 10..90", "pod starting 10..20"]);
    assert_eq!(spans[0].subject, Subject::Job(JobId::new(7).unwrap()));
    assert_eq!(spans[0].parent(), Some(SpanKey::Job));
    assert_eq!(spans[1].parent(), Some(spans[0].key.clone()));
    let idle = of_worker(&Worker { job: None, ..worker() });
    assert_eq!((&idle[0].subject, idle[0].parent()), (&Subject::Worker(name("rr-a")), None));
    assert_eq!(idle[1].parent(), Some(idle[0].key.clone()));
    assert_eq!(of_worker(&Worker { completed_at: None, ..worker() }), []);
}

#[test]
fn a_worker_that_failed_says_why_and_one_that_was_not_needed_is_no_failure() {
    let seen = Diagnostics { pod_message: Some("out of memory".to_owned()), ..Diagnostics::default() };
    let failed = |reason, running_at| Worker {
        failure: Some((reason, FailureInfo::pod(reason, seen.clone()))),
        running_at,
        ..worker()
    };
    let spans = of_worker(&failed(FailureReason::PodFailed, Some(at(20))));
    assert_eq!(told(&spans), ["worker 10..90 pod_failed", "pod starting 10..20"]);
    assert_eq!(spans[0].trouble.as_ref().unwrap().to_string(), "pod_failed: out of memory");
    let stuck = of_worker(&failed(FailureReason::PodStuckPending, None));
    assert_eq!(told(&stuck), ["worker 10..90 pod_stuck_pending", "pod starting 10..90 pod_stuck_pending"]);
    let surplus = of_worker(&failed(FailureReason::RunnerSurplus, Some(at(20))));
    assert_eq!(told(&surplus), ["worker 10..90", "pod starting 10..20"]);
    assert!(surplus[0].facts.contains(&Fact::Ended(FailureReason::RunnerSurplus)));
}
