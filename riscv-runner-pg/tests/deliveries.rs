//! Batches of deliveries on a real server: poison, cost, meeting writers, notifications.

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{assert_counts_are_exact, completed, delivery, facts, in_progress, migrated, store};
use riscv_runner_core::{
    delivery::Outcome,
    engine::wake::Wake,
    job::JobEvent,
    ports::{DeliveryStore, PortErrorKind, ReportStore, SchedulingStore},
};
use riscv_runner_pg::{Listeners, PgStore, listen};
use serde_json::value::RawValue;
use sqlx::postgres::PgListener;

#[tokio::test]
async fn a_poisonous_record_fails_alone() {
    let store = store().await;
    let mut batch: Vec<_> =
        (1..=9).map(|id| delivery(&format!("g{id}"), &facts(id), JobEvent::Queued)).collect();
    batch[4].log.payload = RawValue::from_string(r#"{"name":"\u0000"}"#.to_owned()).unwrap();
    let mut nul = facts(8);
    nul.name = Some("a\0b".to_owned());
    batch[7] = delivery("g8", &nul, JobEvent::Queued);
    let results = store.record_deliveries(&batch).await.unwrap();
    for (n, result) in results.iter().enumerate() {
        match result {
            Ok(done) => assert_eq!(done.outcome, Outcome::JobStored),
            Err(error) => {
                assert!([4, 7].contains(&n), "{error}");
                assert_eq!(error.kind(), PortErrorKind::Bug, "asking again does not help");
            }
        }
    }
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 2);
    assert_eq!(store.job(facts(5).id).await.unwrap(), None, "neither the job nor its event");
    let demand = store.demand().await.unwrap();
    assert_eq!(demand.values().map(|demand| demand.pending).sum::<u32>(), 7);

    // Also among jobs that are known already, in the transaction that locks them.
    let mut batch: Vec<_> =
        (1..=3).map(|id| delivery(&format!("h{id}"), &facts(id), in_progress("r"))).collect();
    batch[1].log.payload = RawValue::from_string(r#""\u0000""#.to_owned()).unwrap();
    let results = store.record_deliveries(&batch).await.unwrap();
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_counts_are_exact(&store).await;
}

#[tokio::test]
async fn a_row_that_cannot_be_understood_fails_its_own_delivery_alone() {
    let store = store().await;
    let queued: Vec<_> =
        (1..=5).map(|id| delivery(&format!("q{id}"), &facts(id), JobEvent::Queued)).collect();
    store.record_deliveries(&queued).await.unwrap();
    let odd = "UPDATE jobs SET former_runners = ARRAY[''] WHERE job_id = 3";
    sqlx::raw_sql(odd).execute(store.pool()).await.unwrap();
    let batch: Vec<_> = (1..=5).map(|id| delivery(&format!("p{id}"), &facts(id), in_progress("r"))).collect();
    let results = store.record_deliveries(&batch).await.unwrap();
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, true, true]);
    assert_eq!(results[2].as_ref().unwrap_err().kind(), PortErrorKind::Bug);
}

#[tokio::test]
async fn a_batch_costs_the_same_whatever_its_size() {
    let store = store().await;
    let mut costs = BTreeSet::new();
    let mut next = 1;
    for size in [1, 10, 128] {
        let new: Vec<_> = (next..next + size).map(facts).collect();
        next += size;
        let mut cost = Vec::new();
        for (kind, event) in [("q", JobEvent::Queued), ("p", in_progress("r")), ("c", completed())] {
            let before = store.statements();
            let batch: Vec<_> =
                new.iter().map(|job| delivery(&format!("{kind}{}", job.id), job, event.clone())).collect();
            assert!(store.record_deliveries(&batch).await.unwrap().iter().all(Result::is_ok));
            cost.push(store.statements() - before);
        }
        costs.insert(cost);
    }
    assert_eq!(costs, BTreeSet::from([vec![1, 3, 3]]), "statements for queued, in_progress, completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_meet_neither_block_each_other_nor_lose_anything() {
    let config = migrated().await;
    let (one, two) = (PgStore::connect(&config).await.unwrap(), PgStore::connect(&config).await.unwrap());
    let ids: Vec<i64> = (1..=60).collect();
    let run = async |store: &PgStore, writer: usize| {
        for round in 0..6 {
            let event = [JobEvent::Queued, in_progress("r"), completed()][(round + writer) % 3].clone();
            let mut batch: Vec<_> =
                ids.iter().map(|id| delivery(&format!("{round}-{id}"), &facts(*id), event.clone())).collect();
            if writer == 1 {
                batch.reverse();
            }
            let results = store.record_deliveries(&batch).await.unwrap();
            assert!(results.iter().all(Result::is_ok), "{:?}", results.iter().find(|r| r.is_err()));
        }
    };
    futures::future::join(run(&one, 0), run(&two, 1)).await;
    let events: i64 =
        sqlx::query_scalar("SELECT count(*) FROM installation_events").fetch_one(one.pool()).await.unwrap();
    assert_eq!(events, 6 * 60, "each GUID once");
    assert!(one.demand().await.unwrap().is_empty(), "all are over");
    assert_counts_are_exact(&one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_gives_work_wakes_the_listener() {
    let mut config = migrated().await;
    config.notify = true;
    let store = PgStore::connect(&config).await.unwrap();
    let wake = Wake::default();
    let listener = tokio::spawn(listen(config.clone(), Listeners { work: wake.clone(), orders: Vec::new() }));
    let bound = Duration::from_secs(20);
    let woken = async || tokio::time::timeout(bound, wake.woken()).await;
    woken().await.expect("once it listens");
    for (guid, event) in [("1", JobEvent::Queued), ("2", in_progress("r")), ("3", completed())] {
        store.record_deliveries(&[delivery(guid, &facts(1), event)]).await.unwrap();
        woken().await.expect("work was recorded");
    }
    // A lost connection: one wake-up after it is back, for notifications may have been missed.
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND pid <> pg_backend_pid()")
        .execute(store.pool())
        .await
        .unwrap();
    woken().await.expect("after the reconnect");
    store.record_deliveries(&[delivery("4", &facts(2), JobEvent::Queued)]).await.unwrap();
    woken().await.expect("it listens again");
    listener.abort();
}

#[tokio::test]
async fn a_commit_notifies_once_and_only_for_work() {
    let mut config = migrated().await;
    let quiet = PgStore::connect(&config).await.unwrap();
    config.notify = true;
    let store = PgStore::connect(&config).await.unwrap();
    let channel = config.schema.channel();
    let mut listener = PgListener::connect_with(store.pool()).await.unwrap();
    listener.listen(&channel).await.unwrap();
    let new: Vec<_> = (1..=9).map(|id| delivery(&format!("q{id}"), &facts(id), JobEvent::Queued)).collect();
    let known: Vec<_> = (1..=9).map(|id| delivery(&format!("p{id}"), &facts(id), in_progress("r"))).collect();
    let nothing: Vec<_> =
        (1..=9).map(|id| delivery(&format!("n{id}"), &facts(id), JobEvent::Queued)).collect();
    for batch in [&new, &known, &nothing] {
        store.record_deliveries(batch).await.unwrap();
    }
    quiet.record_deliveries(&[delivery("x", &facts(99), JobEvent::Queued)]).await.unwrap();
    sqlx::query("SELECT pg_notify($1, 'end')").bind(&channel).execute(store.pool()).await.unwrap();
    let mut notified = 0;
    while listener.recv().await.unwrap().payload() != "end" {
        notified += 1;
    }
    assert_eq!(notified, 2, "one for the new jobs, one for those that run");
}
