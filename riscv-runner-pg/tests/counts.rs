//! The counts of demand stay exact through everything that happens to rows of jobs.

mod common;

use common::{assert_counts_are_exact, completed, delivery, facts, in_progress, store};
use riscv_runner_core::{
    job::JobEvent,
    ports::{DeliveryStore, SchedulingStore},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_stay_exact_while_readers_fold_them() {
    let store = store().await;
    let write = async {
        for round in 0..120 {
            let event = [JobEvent::Queued, in_progress("r"), completed()][round / 40].clone();
            let batch: Vec<_> = (1..=5)
                .map(|n| (round % 40) as i64 * 5 + n)
                .map(|id| delivery(&format!("{round}-{id}"), &facts(id), event.clone()))
                .collect();
            store.record_deliveries(&batch).await.unwrap();
        }
    };
    let fold = async {
        for _ in 0..60 {
            store.fold_demand().await.unwrap();
            let demand = store.demand().await.unwrap();
            let total: u32 = demand.values().map(|demand| demand.pending + demand.running).sum();
            assert!(total <= 200, "a fold must never be seen half done: {total}");
        }
    };
    let fold_too = async {
        for _ in 0..60 {
            store.fold_demand().await.unwrap();
        }
    };
    futures::join!(write, fold, fold_too);
    assert_counts_are_exact(&store).await;
    store.fold_demand().await.unwrap();
    assert!(store.demand().await.unwrap().is_empty());
    assert_counts_are_exact(&store).await;
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pool_demand) + (SELECT count(*) FROM pool_demand_deltas)",
    )
    .fetch_one(store.pool())
    .await
    .unwrap();
    assert_eq!(left, 0, "totals of zero are forgotten");
}

#[tokio::test]
async fn rows_changed_by_hand_are_counted_too() {
    let store = store().await;
    let batch: Vec<_> = (1..=6).map(|id| delivery(&format!("g{id}"), &facts(id), JobEvent::Queued)).collect();
    store.record_deliveries(&batch).await.unwrap();
    for statement in [
        "DELETE FROM jobs WHERE job_id = 1",
        "UPDATE jobs SET pool_key = 'org:8|x', k8s_pool = 'k3' WHERE job_id IN (2, 3)",
        "UPDATE jobs SET status = CASE job_id WHEN 4 THEN 'running' ELSE 'failed' END::status_enum \
         WHERE job_id IN (4, 5)",
        "UPDATE jobs SET html_url = 'x'",
    ] {
        sqlx::query(statement).execute(store.pool()).await.unwrap();
        assert_counts_are_exact(&store).await;
    }
    assert_eq!(store.demand().await.unwrap().len(), 2);
    // An operator's session without our search path.
    let schema: String =
        sqlx::query_scalar("SELECT current_schema()::text").fetch_one(store.pool()).await.unwrap();
    let mut session = store.pool().acquire().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "SET search_path = public; DELETE FROM {schema}.jobs WHERE job_id = 6; \
         SET search_path = {schema}"
    )))
    .execute(&mut *session)
    .await
    .unwrap();
    drop(session);
    assert_counts_are_exact(&store).await;
    sqlx::query("TRUNCATE jobs").execute(store.pool()).await.unwrap();
    assert!(store.demand().await.unwrap().is_empty());
}
