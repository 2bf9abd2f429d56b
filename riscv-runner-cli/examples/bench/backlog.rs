//! Waiting jobs by the million, written by one statement.

use riscv_runner_pg::PgStore;

use crate::{Outcome, payload::LABEL};

/// The accounts that the jobs are spread over: one pool key each.
const ACCOUNTS: u32 = 200;

/// Sets how many jobs wait; they are spread over 200 accounts, the oldest ones evenly.
pub(crate) async fn set(store: &PgStore, jobs: u32) -> Outcome<()> {
    clear(store).await?;
    add(store, i64::from(jobs)).await?;
    store.fold_demand().await?;
    for statement in
        ["VACUUM ANALYZE jobs", "VACUUM ANALYZE pool_demand", "VACUUM ANALYZE pool_demand_deltas"]
    {
        sqlx::query(statement).execute(store.pool()).await?;
    }
    sqlx::query("CHECKPOINT").execute(store.pool()).await?;
    Ok(())
}

/// Adds so many waiting jobs, with ids beyond those that the double of GitHub gives.
pub(crate) async fn add(store: &PgStore, jobs: i64) -> Outcome<()> {
    sqlx::query(
        "INSERT INTO jobs (job_id, run_id, entity_id, entity_name, entity_type, repo_id, repo_full_name, \
             repo_private, installation_id, job_labels, pool_key, k8s_pool, k8s_image, job_created_at) \
         SELECT 1000000000 + n, n, 1 + n % $2, 'account-' || (1 + n % $2), 'Organization', 1 + n % $2, \
             'account-' || (1 + n % $2) || '/project', false, 1 + n % $2, jsonb_build_array($3::text), \
             'org:' || (1 + n % $2) || '|' || $3, 'boards', 'registry.example/runner:1', \
             now() - interval '1 day' + n * interval '1 millisecond' \
         FROM generate_series(1, $1::bigint) n",
    )
    .bind(jobs)
    .bind(i64::from(ACCOUNTS))
    .bind(LABEL)
    .execute(store.pool())
    .await?;
    Ok(())
}

/// Forgets all jobs and workers.
pub(crate) async fn clear(store: &PgStore) -> Outcome<()> {
    sqlx::query("TRUNCATE jobs, workers").execute(store.pool()).await?;
    Ok(())
}

/// Forgets all workers, as if nothing had been reserved.
pub(crate) async fn forget_workers(store: &PgStore) -> Outcome<()> {
    sqlx::query("TRUNCATE workers").execute(store.pool()).await?;
    Ok(())
}
