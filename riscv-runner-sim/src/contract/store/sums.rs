//! Sums for pages: weeks, the last day, and labels that match no rule.

use std::{collections::BTreeMap, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use jiff::civil::date;
use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, LogEntry, Outcome},
    failure::{FailureInfo, FailureReason},
    ids::RepoName,
    job::JobFacts,
    ports::{Cas, LeaderProof, ReportWindow, Reservation, Reserved, Store, WorkerChange},
    worker::WorkerStatus,
};
use serde_json::{json, value::to_raw_value};

use super::fixture::{
    at, completed, in_progress, job_of_org, job_of_person, labels, lead, log, queue, record, reservation,
    reserve, tell, worker,
};

/// The first Monday after the fixture's day, in its seconds.
const MONDAY: i64 = 272_000;

async fn live(store: &dyn Store, proof: &LeaderProof, name: &str, facts: &JobFacts, from: i64) {
    let wish = Reservation { at: at(from), ..reservation(name, facts) };
    assert_eq!(store.reserve(proof, &[wish]).await.expect("the row is written"), [Reserved::Yes]);
}

async fn end(store: &dyn Store, proof: &LeaderProof, name: &str, change: &WorkerChange) {
    let done = store.change_worker(proof, &worker(name), WorkerStatus::Pending, change).await;
    assert_eq!(done.expect("the row is written"), Cas::Done);
}

fn window(start: i64, end: i64) -> ReportWindow {
    ReportWindow { start: at(start), end: at(end) }
}

pub(super) fn weeks_hold_what_was_lived_in_them(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        let (org, person) = (job_of_org(1), job_of_person(4, 11));
        queue(store, &[org.clone(), job_of_org(2), job_of_org(3), person.clone(), job_of_org(5)]).await;
        live(store, &proof, "a", &org, 1).await;
        end(store, &proof, "a", &WorkerChange::Completed { at: at(3601) }).await;
        live(store, &proof, "b", &org, MONDAY - 600).await;
        end(store, &proof, "b", &WorkerChange::Completed { at: at(MONDAY + 1200) }).await;
        live(store, &proof, "c", &org, MONDAY + 100).await;
        live(store, &proof, "d", &person, MONDAY + 900).await;
        live(store, &proof, "e", &org, MONDAY + 5000).await;
        let read = |window, now| async move {
            let rows = store.weekly_usage(window, at(now)).await.expect("the weeks are read");
            let row = |row: riscv_runner_core::ports::WeekRow| {
                (row.week, row.entity_name.to_string(), row.workers, row.seconds)
            };
            rows.into_iter().map(row).collect::<Vec<_>>()
        };
        let (first, second) = (date(2026, 5, 25), date(2026, 6, 1));
        let acme = || "acme".to_owned();
        assert_eq!(
            read(window(0, MONDAY + 1000), MONDAY + 400).await,
            [(first, acme(), 2, 3600 + 600), (second, acme(), 2, 1000 + 300)],
            "those that live, until now; what ends later, until the window does; nobody from the future"
        );
        assert_eq!(
            read(window(1801, MONDAY), MONDAY + 400).await,
            [(first, acme(), 2, 1800 + 600)],
            "what was lived before the window is not counted"
        );
        assert_eq!(
            read(window(MONDAY, MONDAY + 6000), MONDAY + 2000).await,
            [(second, acme(), 2, 1200 + 1900), (second, "jo".to_owned(), 1, 1100)],
            "by account"
        );
        assert_eq!(read(window(MONDAY + 604_800, MONDAY + 700_000), MONDAY + 2000).await, []);
    }
    .boxed()
}

pub(super) fn the_last_day_is_counted(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        let empty = store.lately(window(0, 86_400)).await.expect("nothing is read");
        assert_eq!(empty, riscv_runner_core::ports::Lately::default());
        for id in 1..=4 {
            queue(store, &[job_of_org(id)]).await;
        }
        // Created at 1, 2 and 3; the fourth still waits, and the fifth is of another day.
        tell(store, "s1", &job_of_org(1), in_progress(11, "a")).await;
        tell(store, "s2", &job_of_org(2), in_progress(42, "b")).await;
        tell(store, "s3", &job_of_org(3), in_progress(303, "c")).await;
        queue(store, &[job_of_org(90_000)]).await;
        tell(store, "s5", &job_of_org(90_000), in_progress(90_001, "d")).await;
        tell(store, "e1", &job_of_org(1), completed(100, None)).await;
        tell(store, "e2", &job_of_org(2), completed(3_700, None)).await;
        tell(store, "e3", &job_of_org(3), completed(3_800, None)).await;
        reserve(store, &proof, &["w1"], &job_of_org(4)).await;
        let change = WorkerChange::Failed {
            at: at(50),
            reason: FailureReason::RunnerLost,
            info: Box::new(FailureInfo::message("gone")),
            backoff: None,
            quarantine: None,
        };
        end(store, &proof, "w1", &change).await;
        let day = store.lately(window(0, 86_400)).await.expect("the day is read");
        let waits = day.waits.expect("jobs found runners");
        assert_eq!((waits.jobs, waits.p50.as_secs(), waits.p95.as_secs()), (3, 40, 300));
        assert_eq!(day.ended_by_hour, BTreeMap::from([(0, 1), (1, 2)]));
        assert_eq!((day.workers, day.failures), (1, BTreeMap::from([(FailureReason::RunnerLost, 1)])));
        let later = store.lately(window(3_750, 86_400)).await.expect("a part is read");
        assert_eq!((later.waits, later.workers, later.failures.len()), (None, 0, 0));
        assert_eq!(later.ended_by_hour, BTreeMap::from([(0, 1)]), "hours count from the window's start");
        assert_eq!(waits.p50, Duration::from_secs(40));
    }
    .boxed()
}

pub(super) fn a_worker_is_found_by_its_name(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1)]).await;
        reserve(store, &proof, &["a"], &job_of_org(1)).await;
        tell(store, "1", &job_of_org(1), in_progress(5, "a")).await;
        let row = store.worker(&worker("a")).await.expect("it is read").expect("it has a row");
        assert_eq!((row.worker.name, row.worker.created_at), (worker("a"), at(1)));
        assert_eq!(row.worker.job.map(|job| job.id), Some(job_of_org(1).id));
        assert_eq!(store.worker(&worker("b")).await.expect("nothing is read"), None);
    }
    .boxed()
}

/// A row of the log as intake writes it for a job that no rule knows.
fn ignored(guid: &str, action: &str, facts: &JobFacts, second: i64) -> DeliveryRecord {
    let payload = json!({
        "workflow_job": { "id": facts.id, "labels": facts.labels },
        "repository": { "id": facts.repo_id, "full_name": facts.repo },
    });
    let entry = LogEntry {
        entity: Some(facts.entity.clone()),
        payload: to_raw_value(&payload).expect("JSON"),
        received_at: at(second),
        ..log(guid, &format!("workflow_job.{action}"))
    };
    DeliveryRecord { log: entry, effect: Effect::Nothing(Outcome::IgnoredNoLabel), installation: None }
}

pub(super) fn unrouted_labels_are_those_that_nobody_took(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let of = |id, text: &[&str]| JobFacts { labels: labels(text), ..job_of_org(id) };
        let (typo, upper) = (of(1, &["ubunut-riscv"]), of(2, &["Ubunut-RISCV"]));
        let other = JobFacts { repo: RepoName::new("acme/other").expect("a name"), ..upper.clone() };
        let hosted = of(3, &["ubuntu-latest"]);
        let person = JobFacts { labels: labels(&["riscv"]), ..job_of_person(4, 11) };
        let batch = [
            ignored("1", "queued", &typo, 10),
            ignored("2", "queued", &other, 20),
            ignored("3", "queued", &hosted, 30),
            ignored("4", "in_progress", &hosted, 31),
            ignored("5", "queued", &person, 40),
            // Its queued is not among the rows, so nobody knows whether it was taken.
            ignored("6", "completed", &of(5, &["windows-latest"]), 41),
            DeliveryRecord {
                log: log("7", "ping"),
                effect: Effect::Nothing(Outcome::Pong),
                installation: None,
            },
            // Cancelled while it waited.
            ignored("8", "completed", &person, 50),
        ];
        record(store, &batch).await;
        let found = store.unrouted(at(0), 100).await.expect("the log is read");
        let told: Vec<_> = found
            .iter()
            .map(|row| (row.entity_name.as_str(), row.repo_full_name.as_str(), row.jobs, row.last_queued_at))
            .collect();
        assert_eq!(told, [("jo", "jo/r11", 1, at(40)), ("acme", "acme/other", 2, at(20))]);
        assert_eq!(found[1].job_labels, labels(&["ubunut-riscv"]), "without regard to case");
        assert_eq!(found[1].first_queued_at, at(10));
        let lately = store.unrouted(at(15), 100).await.expect("the log is read");
        assert_eq!(lately.iter().map(|row| row.jobs).collect::<Vec<_>>(), [1, 1]);
        let newest = store.unrouted(at(0), 4).await.expect("the log is read");
        assert_eq!(newest.len(), 1, "no more rows are read than asked for: {newest:?}");
    }
    .boxed()
}
