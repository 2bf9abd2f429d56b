//! Removal of old rows on a real server: what stays, and that nobody waits for it.

#![expect(clippy::unwrap_used, reason = "so that the parts that tests share read like tests")]

mod common;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use common::{assert_counts_are_exact, delivery, facts, store};
use jiff::Timestamp;
use riscv_runner_core::{
    job::JobEvent,
    policy::Timeouts,
    ports::{DeliveryStore, Remover, RetentionStore},
    retention::{BATCH, Expiring, pause_after},
};
use riscv_runner_pg::PgStore;
use sqlx::{AssertSqlSafe, Postgres, Transaction};

/// Long enough on any machine; whoever waits for the open transaction waits for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// Old rows of every kind that grows with use.
async fn fill(store: &PgStore, rows: u32) {
    let sql = format!(
        "INSERT INTO jobs (job_id, status, entity_id, entity_name, entity_type, repo_id, repo_full_name, \
             repo_private, installation_id, job_labels, pool_key, k8s_pool, k8s_image, created_at) \
         SELECT 1000000 + n, 'completed', 7, 'acme', 'Organization', 700, 'acme/tools', false, 70, '[\"x\"]', \
             'org:7|x', 'k1', 'img', now() - interval '400 days' FROM generate_series(1, {rows}) n; \
         INSERT INTO workers (pod_name, entity_id, entity_name, entity_type, installation_id, job_labels, \
             pool_key, k8s_pool, k8s_image, status, created_at) \
         SELECT 'old-' || n, 7, 'acme', 'Organization', 70, '[\"x\"]', 'org:7|x', 'k1', 'img', 'failed', \
             now() - interval '400 days' FROM generate_series(1, {rows}) n; \
         INSERT INTO installation_events (source, event, outcome, payload, received_at) \
         SELECT 'webhook', 'workflow_job', 'job_stored', jsonb_build_object('text', repeat(md5(n::text), 60)), \
             now() - interval '100 days' FROM generate_series(1, {rows}) n; \
         ANALYZE jobs; ANALYZE workers; ANALYZE installation_events"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(store.pool()).await.unwrap();
}

/// A transaction that a slow machine may keep open for longer than the store lets anybody.
async fn at_leisure(store: &PgStore) -> Transaction<'static, Postgres> {
    let mut transaction = store.pool().begin().await.unwrap();
    for setting in ["idle_in_transaction_session_timeout", "statement_timeout", "lock_timeout"] {
        let sql = format!("SET LOCAL {setting} = 0");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await.unwrap();
    }
    transaction
}

async fn number(store: &PgStore, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(store.pool()).await.unwrap()
}

/// The server's clock.
async fn now(store: &PgStore) -> Timestamp {
    let seconds = number(store, "SELECT extract(epoch FROM now())::bigint").await;
    Timestamp::from_second(seconds).unwrap()
}

async fn remove(store: &PgStore, kind: Expiring) -> u64 {
    let before = kind.cutoff(now(store).await, &Timeouts::default());
    store.remove_expired(Remover::Operator, kind, before, BATCH).await.unwrap()
}

#[tokio::test]
async fn pinned_rows_and_those_of_what_lives_stay_whatever_their_age() {
    let store = store().await;
    fill(&store, 20).await;
    for sql in [
        "UPDATE jobs SET pinned = true WHERE job_id = 1000001",
        "UPDATE jobs SET status = 'running' WHERE job_id = 1000002",
        "UPDATE workers SET pinned = true WHERE pod_name = 'old-1'",
        "UPDATE workers SET status = 'running' WHERE pod_name = 'old-2'",
        "UPDATE installation_events SET pinned = true WHERE id = (SELECT min(id) FROM installation_events)",
    ] {
        sqlx::query(sql).execute(store.pool()).await.unwrap();
    }
    store.record_deliveries(&[delivery("young", &facts(1), JobEvent::Queued)]).await.unwrap();
    sqlx::query("UPDATE installation_events SET received_at = now() WHERE delivery_guid = 'young'")
        .execute(store.pool())
        .await
        .unwrap();
    for (kind, left) in [(Expiring::Jobs, 18), (Expiring::Workers, 18), (Expiring::Events, 19)] {
        let before = kind.cutoff(now(&store).await, &Timeouts::default());
        assert_eq!(store.count_expired(kind, before).await.unwrap(), left, "{kind}");
        let removed = store.remove_expired(Remover::Operator, kind, before, BATCH).await.unwrap();
        assert_eq!(removed, left, "{kind}");
    }
    assert_eq!(number(&store, "SELECT count(*) FROM jobs").await, 3);
    assert_eq!(number(&store, "SELECT count(*) FROM workers").await, 2);
    assert_eq!(number(&store, "SELECT count(*) FROM installation_events").await, 2);
    assert_counts_are_exact(&store).await;
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_passed_by() {
    let store = store().await;
    fill(&store, 10).await;
    let mut holding = at_leisure(&store).await;
    sqlx::query("SELECT FROM jobs WHERE job_id = 1000003 FOR UPDATE").execute(&mut *holding).await.unwrap();
    let removed = tokio::time::timeout(PATIENCE, remove(&store, Expiring::Jobs)).await;
    assert_eq!(removed.expect("it does not wait"), 9);
    holding.rollback().await.unwrap();
    assert_eq!(remove(&store, Expiring::Jobs).await, 1, "the next round takes it");
}

#[tokio::test]
async fn intake_goes_on_while_a_batch_is_not_committed() {
    let store = store().await;
    fill(&store, 600).await;
    let mut removing = at_leisure(&store).await;
    for sql in [
        "DELETE FROM jobs WHERE created_at < now() - interval '1 day'",
        "DELETE FROM workers WHERE created_at < now() - interval '1 day'",
        "DELETE FROM installation_events WHERE received_at < now() - interval '1 day'",
    ] {
        sqlx::query(sql).execute(&mut *removing).await.unwrap();
    }
    let batch: Vec<_> =
        (1..=50).map(|id| delivery(&format!("g{id}"), &facts(id), JobEvent::Queued)).collect();
    let recorded = tokio::time::timeout(PATIENCE, store.record_deliveries(&batch)).await;
    assert!(recorded.expect("it does not wait").unwrap().iter().all(Result::is_ok));
    removing.commit().await.unwrap();
    assert_counts_are_exact(&store).await;
}

/// The median time of a batch of deliveries, over `rounds` of them.
async fn median(store: &PgStore, from: i64, rounds: i64) -> Duration {
    let mut times = Vec::new();
    for round in 0..rounds {
        let ids = (from + round * 20)..(from + round * 20 + 20);
        let batch: Vec<_> = ids.map(|id| delivery(&format!("g{id}"), &facts(id), JobEvent::Queued)).collect();
        let begun = Instant::now();
        let recorded = store.record_deliveries(&batch).await.unwrap();
        times.push(begun.elapsed());
        assert!(recorded.iter().all(Result::is_ok));
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// Both medians come from one run on one machine, so that it may be any machine.
#[expect(clippy::print_stdout, reason = "the figure of the run is worth reading")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn intake_is_hardly_slower_while_rows_are_removed() {
    const ROUNDS: i64 = 60;
    let store = store().await;
    fill(&store, 30_000).await;
    median(&store, 1, 10).await;
    let alone = median(&store, 10_000, ROUNDS).await;
    let enough = AtomicBool::new(false);
    let removing = async {
        let mut removed = 0;
        'all: for kind in [Expiring::Events, Expiring::Jobs, Expiring::Workers] {
            loop {
                let begun = Instant::now();
                let rows = remove(&store, kind).await;
                removed += rows;
                if enough.load(Ordering::Relaxed) {
                    break 'all;
                }
                if rows < u64::from(BATCH) {
                    break;
                }
                tokio::time::sleep(pause_after(begun.elapsed())).await;
            }
        }
        removed
    };
    let taking = async {
        let beside = median(&store, 100_000, ROUNDS).await;
        enough.store(true, Ordering::Relaxed);
        beside
    };
    let (removed, beside) = futures::join!(removing, taking);
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    println!("a batch of 20: {alone:?} alone, {beside:?} beside the removal of {removed} rows: x{ratio:.2}");
    assert!(removed >= u64::from(BATCH), "it removed meanwhile");
    assert!(ratio < 8.0, "x{ratio:.2}");
}
