//! Deliveries: joins, duplicates, and what the log keeps.

use futures::{FutureExt, future::BoxFuture};
use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, IfAbsent, JobWrite, LogSource, Outcome},
    ids::{DeliveryGuid, JobId},
    job::{JobEvent, JobFacts, JobPhase, JobState, Step},
    ports::Store,
};

use super::fixture::{
    at, completed, delivery, in_progress, job, job_of_org, log, placement, record, start, tell,
};

/// Every order of `n` things.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for order in permutations(n - 1) {
        for place in 0..n {
            let mut longer = order.clone();
            longer.insert(place, n - 1);
            all.push(longer);
        }
    }
    all
}

pub(super) fn any_order_ends_in_the_same_row(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let events = [
            JobEvent::Queued,
            in_progress(20, "runner-a"),
            in_progress(20, "runner-a"),
            completed(30, Some((20, "runner-a"))),
        ];
        let mut rows = Vec::new();
        let mut id = 0;
        for order in permutations(events.len()) {
            for batched in [false, true] {
                id += 1;
                let facts = JobFacts { created_at: at(0), ..job_of_org(id) };
                let deliveries: Vec<DeliveryRecord> = order
                    .iter()
                    .map(|n| delivery(&format!("{id}-{n}"), &facts, events[*n].clone()))
                    .collect();
                if batched {
                    record(store, &deliveries).await;
                } else {
                    for one in &deliveries {
                        record(store, std::slice::from_ref(one)).await;
                    }
                }
                rows.push((order.clone(), batched, job(store, &facts).await.state));
            }
        }
        let (_, _, expected) = rows[0].clone();
        assert_eq!(expected.phase, JobPhase::Completed);
        assert_eq!(expected.start, Some(start(20, "runner-a")));
        for (order, batched, state) in rows {
            assert_eq!(state, expected, "order {order:?}, batched: {batched}");
        }
        assert!(store.demand().await.expect("demand is read").is_empty(), "all are over");
    }
    .boxed()
}

pub(super) fn events_of_one_job_fold_within_a_batch(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let (new, known) = (job_of_org(1), job_of_org(2));
        tell(store, "known", &known, JobEvent::Queued).await;
        let batch = [
            delivery("1", &new, JobEvent::Queued),
            delivery("2", &known, in_progress(5, "r2")),
            delivery("3", &new, in_progress(6, "r1")),
            delivery("4", &known, JobEvent::Queued),
            delivery("5", &known, completed(9, None)),
            delivery("6", &new, in_progress(6, "r1")),
        ];
        let done = record(store, &batch).await;
        let (pending, running, over) = (JobPhase::Pending, JobPhase::Running, JobPhase::Completed);
        let writes: Vec<_> = done.iter().map(|done| done.job.expect("a join")).collect();
        assert_eq!(
            writes,
            [
                JobWrite::Inserted(pending),
                JobWrite::Moved { from: pending, to: running },
                JobWrite::Moved { from: pending, to: running },
                JobWrite::Unchanged,
                JobWrite::Moved { from: running, to: over },
                JobWrite::Unchanged,
            ]
        );
        let outcomes: Vec<_> = done.iter().map(|done| done.outcome).collect();
        assert_eq!(
            outcomes,
            [
                Outcome::JobStored,
                Outcome::JobMarkedRunning,
                Outcome::JobMarkedRunning,
                Outcome::JobAlreadyExists,
                Outcome::JobMarkedCompleted,
                Outcome::JobAlreadyExists,
            ]
        );
        assert_eq!(job(store, &new).await.state.phase, running);
        assert_eq!(job(store, &known).await.state.phase, over);
    }
    .boxed()
}

pub(super) fn a_late_queued_is_no_phantom_demand(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let (over, running) = (job_of_org(1), job_of_org(2));
        let first = tell(store, "1", &over, completed(9, None)).await;
        assert_eq!(first.job, Some(JobWrite::Inserted(JobPhase::Completed)));
        assert_eq!(first.outcome, Outcome::JobMarkedCompleted);
        let second = tell(store, "2", &running, in_progress(5, "r")).await;
        assert_eq!(second.job, Some(JobWrite::Inserted(JobPhase::Running)));
        for (guid, facts) in [("3", &over), ("4", &running)] {
            let late = tell(store, guid, facts, JobEvent::Queued).await;
            assert_eq!((late.outcome, late.job), (Outcome::JobAlreadyExists, Some(JobWrite::Unchanged)));
        }
        let demand = store.demand().await.expect("demand is read");
        let counts: Vec<_> = demand.values().map(|demand| (demand.pending, demand.running)).collect();
        assert_eq!(counts, [(0, 1)]);
    }
    .boxed()
}

pub(super) fn a_guid_is_logged_once(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let facts = job_of_org(1);
        assert_eq!(tell(store, "g", &facts, JobEvent::Queued).await.outcome, Outcome::JobStored);
        let before = job(store, &facts).await;
        assert_eq!(tell(store, "g", &facts, JobEvent::Queued).await.outcome, Outcome::DuplicateDelivery);
        assert_eq!(job(store, &facts).await, before);
        let other = job_of_org(2);
        let twice = [delivery("h", &other, JobEvent::Queued), delivery("h", &other, JobEvent::Queued)];
        let outcomes: Vec<_> = record(store, &twice).await.iter().map(|done| done.outcome).collect();
        assert_eq!(outcomes, [Outcome::JobStored, Outcome::DuplicateDelivery]);
        let guids = ["h", "unknown", "g"].map(|guid| DeliveryGuid::new(guid).expect("a GUID"));
        let mut known = store.known_deliveries(&guids).await.expect("the log is read");
        known.sort();
        assert_eq!(known, [guids[2].clone(), guids[0].clone()]);
    }
    .boxed()
}

pub(super) fn events_of_jobs_never_accepted_make_no_row(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let facts = job_of_org(1);
        for (guid, event) in [("1", in_progress(5, "r")), ("2", completed(9, None))] {
            let refused = DeliveryRecord {
                log: log(guid, "workflow_job"),
                effect: Effect::Join {
                    facts: Box::new(facts.clone()),
                    event,
                    if_absent: IfAbsent::Ignore(Outcome::IgnoredNoLabel),
                },
                installation: None,
            };
            let done = record(store, &[refused]).await.remove(0);
            assert_eq!((done.outcome, done.job), (Outcome::IgnoredNoLabel, Some(JobWrite::NoRow)));
        }
        assert_eq!(store.job(facts.id).await.expect("the store is read"), None);
        let known = [DeliveryGuid::new("1").expect("a GUID")];
        assert_eq!(store.known_deliveries(&known).await.expect("the log is read"), known);

        // What was accepted before a rule changed is followed to its end.
        tell(store, "3", &facts, JobEvent::Queued).await;
        let later = DeliveryRecord {
            log: log("4", "workflow_job"),
            effect: Effect::Join {
                facts: Box::new(facts.clone()),
                event: completed(9, None),
                if_absent: IfAbsent::Ignore(Outcome::IgnoredNoLabel),
            },
            installation: None,
        };
        assert_eq!(record(store, &[later]).await[0].outcome, Outcome::JobMarkedCompleted);
    }
    .boxed()
}

pub(super) fn every_detail_of_a_job_is_read_back(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let large = JobId::new(9_007_199_254_740_993).expect("a job id");
        let bare = JobFacts {
            id: large,
            run: None,
            private: true,
            name: None,
            html_url: None,
            labels: super::fixture::labels(&["A,b", "c\\d", "Ünï"]),
            created_at: at(5),
            ..super::fixture::job_of_person(1, 11)
        };
        for facts in [job_of_org(1), bare] {
            tell(store, &format!("q{}", facts.id), &facts, JobEvent::Queued).await;
            tell(store, &format!("c{}", facts.id), &facts, completed(30, Some((20, "r")))).await;
            let row = job(store, &facts).await;
            assert_eq!(row.facts, facts);
            assert_eq!(row.facts.labels.originals(), facts.labels.originals(), "the spelling is kept");
            assert_eq!(row.placement, placement("k1"));
            let queued = JobState::from_event(&JobEvent::Queued).expect("a first event");
            let Step::Move(expected) = queued.on(&completed(30, Some((20, "r")))) else {
                panic!("completion moves a queued job")
            };
            assert_eq!(row.state, expected);
        }
        assert_eq!(store.job(JobId::new(404).expect("a job id")).await.expect("the store is read"), None);
    }
    .boxed()
}

pub(super) fn deliveries_without_a_job_are_logged(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        assert_eq!(store.last_delivery_at().await.expect("the log is read"), None);
        let mut of_scheduler = log("unused", "auth_attempt.404");
        of_scheduler.source = LogSource::Scheduler;
        of_scheduler.guid = None;
        of_scheduler.entity = None;
        of_scheduler.app = None;
        of_scheduler.received_at = at(99);
        let mut ping = log("ping", "ping");
        ping.received_at = at(50);
        let batch = [
            DeliveryRecord {
                log: of_scheduler.clone(),
                effect: Effect::Nothing(Outcome::Auth404),
                installation: None,
            },
            DeliveryRecord { log: ping, effect: Effect::Nothing(Outcome::Pong), installation: None },
            DeliveryRecord {
                log: of_scheduler,
                effect: Effect::Nothing(Outcome::Auth404),
                installation: None,
            },
        ];
        let done = record(store, &batch).await;
        let outcomes: Vec<_> = done.iter().map(|done| (done.outcome, done.job)).collect();
        assert_eq!(outcomes, [(Outcome::Auth404, None), (Outcome::Pong, None), (Outcome::Auth404, None)]);
        assert_eq!(store.last_delivery_at().await.expect("the log is read"), Some(at(50)));
        assert!(record(store, &[]).await.is_empty());
    }
    .boxed()
}
