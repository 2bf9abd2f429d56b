//! What PostgreSQL makes of the statements of a cycle and of the log: none of them may read the backlog or
//! the history.

use std::time::Duration;

use jiff::Timestamp;
use riscv_runner_core::{
    ids::{ImageRef, Login, PoolName, ReplicaName, WorkerName},
    labels::LabelSet,
    ports::{
        HeadRequest, LeaderProof, LeaseStore, PoolShare, ReportStore, Reservation, Reserved, SchedulingStore,
    },
    scope::{ScopeRef, Target},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    PgConfig, PgStore, demand, events, jobs, migrate, stats, testing::ThrowAwayPostgres, unrouted, workers,
};

/// 100,000 waiting and 100,000 ended jobs over 100 keys, 2,000 ended workers and 50 live ones.
const FILL: &str = r#"
    INSERT INTO jobs (job_id, status, entity_id, entity_name, entity_type, repo_id, repo_full_name, repo_private,
        installation_id, job_labels, pool_key, k8s_pool, k8s_image, job_created_at, runner_name)
    SELECT n, CASE WHEN n <= 100000 THEN 'pending' ELSE 'completed' END::status_enum, 7, 'acme', 'Organization', 700,
        'acme/tools', false, 70, jsonb_build_array('l' || n % 100), 'org:7|l' || n % 100, 'k1', 'img',
        to_timestamp(1780000000 + n), CASE WHEN n > 100000 THEN 'w-' || n END
    FROM generate_series(1, 200000) n;
    INSERT INTO workers (pod_name, entity_id, entity_name, entity_type, installation_id, job_labels, pool_key,
        k8s_pool, k8s_image, status)
    SELECT 'w-' || 100000 + n, 7, 'acme', 'Organization', 70, jsonb_build_array('l' || n % 100), 'org:7|l' || n % 100,
        'k1', 'img', CASE WHEN n <= 50 THEN 'running' ELSE 'completed' END::status_enum
    FROM generate_series(1, 2050) n;
    ANALYZE jobs; ANALYZE workers;
"#;

async fn filled() -> (PgConfig, PgStore) {
    let config = ThrowAwayPostgres::shared().fresh_config();
    migrate(&config).await.unwrap();
    let store = PgStore::connect(&config).await.unwrap();
    sqlx::raw_sql(FILL).execute(store.pool()).await.unwrap();
    store.fold_demand().await.unwrap();
    sqlx::raw_sql("ANALYZE pool_demand; ANALYZE pool_demand_deltas").execute(store.pool()).await.unwrap();
    (config, store)
}

/// The plan of a statement with these arguments, as it is planned for them or for any.
async fn plan(config: &PgConfig, mode: &str, sql: &str, arguments: &str) -> String {
    let options = config.connect_options().unwrap().options([("plan_cache_mode", mode)]);
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let prepare = format!("PREPARE statement AS {sql}");
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection).await.unwrap();
    let explain = format!("EXPLAIN EXECUTE statement{arguments}");
    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    lines.join("\n")
}

#[tokio::test]
async fn no_statement_of_a_cycle_reads_the_backlog() {
    let (config, _store) = filled().await;
    let heads = "(ARRAY['org:7|l1', 'org:7|l2'], ARRAY[3, 0]::bigint[], ARRAY[5, 5]::bigint[], ARRAY[]::text[], \
                 ARRAY['k1'], ARRAY[4]::bigint[], ARRAY[NULL]::bigint[], ARRAY[7, 7]::bigint[])";
    let old = "(now(), '-infinity'::timestamptz, 0, 5000)";
    for (sql, arguments) in [
        (demand::DEMAND, ""),
        (demand::WAITING, heads),
        (workers::LIVE, ""),
        (jobs::DOUBTFUL_RUNNING, old),
        (jobs::DOUBTFUL_PENDING, old),
    ] {
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = plan(&config, mode, sql, arguments).await;
            for reading_all in
                ["Seq Scan on jobs", "Seq Scan on workers", "Hash Join", "Bitmap Heap Scan on jobs"]
            {
                let is_small = reading_all == "Hash Join" && !plan.contains("on jobs");
                assert!(is_small || !plan.contains(reading_all), "{mode}: {reading_all} in\n{plan}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_is_counted_no_further_than_some_way_behind_its_page() {
    use riscv_runner_core::ports::{COUNTED_BEHIND, Page, ReportWindow, RowFilter, Total};

    let (_config, store) = filled().await;
    let window = ReportWindow { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
    let read = async |page| store.jobs(window, &RowFilter::default(), page).await.unwrap();
    let (rows, total) = read(Page { page: 3, per_page: 100 }).await;
    assert_eq!((rows.len(), total), (100, Total::AtLeast(400 + COUNTED_BEHIND)));
    let (rows, total) = read(Page { page: 199, per_page: 1000 }).await;
    assert_eq!((rows.len(), total), (1000, Total::Exactly(200_000)));
    let before = store.statements();
    let (rows, total) = read(Page { page: 201, per_page: 1000 }).await;
    assert_eq!((rows.len(), total), (0, Total::Exactly(200_000)));
    assert_eq!(store.statements() - before, 1, "behind the end there is nothing to read");
}

#[tokio::test]
async fn doubtful_jobs_are_read_by_phase_and_each_has_its_turn() {
    use riscv_runner_core::{job::JobPhase, ports::DoubtfulQuery};

    let (config, store) = filled().await;
    let runs = "UPDATE jobs SET status = 'running' WHERE job_id = 100000; ANALYZE jobs;";
    sqlx::raw_sql(runs).execute(store.pool()).await.unwrap();
    for sql in [jobs::DOUBTFUL_RUNNING, jobs::DOUBTFUL_PENDING] {
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = plan(&config, mode, sql, "(now(), '2026-01-01'::timestamptz, 7, 5000)").await;
            assert!(plan.contains("jobs_doubtful") && !plan.contains("Sort"), "{mode}:\n{plan}");
        }
    }
    let mut query =
        DoubtfulQuery { phase: JobPhase::Running, before: Timestamp::MAX, after: None, limit: 5000 };
    let running = store.doubtful_jobs(&query).await.unwrap();
    assert_eq!(running.jobs.iter().map(|row| row.job.facts.id.get()).collect::<Vec<_>>(), [100_000]);
    query.phase = JobPhase::Pending;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let read = store.doubtful_jobs(&query).await.unwrap();
        seen.extend(read.jobs.iter().map(|row| row.job.facts.id.get()));
        query.after = read.next;
    }
    assert_eq!((seen.len(), query.after), (99_999, None), "all of them, in 20 reads");
}

/// A year of 100,000 jobs and as many workers, and of 200,000 rows of the log, half of them of jobs that
/// no rule knew; one in 365 is of the last day.
const YEAR: &str = r#"
    INSERT INTO jobs (job_id, status, entity_id, entity_name, entity_type, repo_id, repo_full_name, repo_private,
        installation_id, job_labels, pool_key, k8s_pool, k8s_image, job_created_at, job_started_at, job_completed_at)
    SELECT n, 'completed', 7, 'acme', 'Organization', 700, 'acme/tools', false, 70, '["l"]', 'org:7|l', 'k1', 'img',
        at, at + interval '1 minute', at + interval '9 minutes'
    FROM generate_series(1, 100000) n, LATERAL (SELECT to_timestamp(1748464000 + n * 315)) times (at);
    INSERT INTO workers (pod_name, entity_id, entity_name, entity_type, installation_id, job_labels, pool_key,
        k8s_pool, k8s_image, status, created_at, completed_at)
    SELECT 'w-' || n, 7, 'acme', 'Organization', 70, '["l"]', 'org:7|l', 'k1', 'img',
        CASE WHEN n > 99990 THEN 'running' ELSE 'completed' END::status_enum,
        at, CASE WHEN n <= 99990 THEN at + interval '9 minutes' END
    FROM generate_series(1, 100000) n, LATERAL (SELECT to_timestamp(1748464000 + n * 315)) times (at);
    INSERT INTO installation_events (source, event, outcome, entity_id, entity_name, entity_type, payload, received_at)
    SELECT 'webhook', 'workflow_job.queued', CASE WHEN n % 2 = 0 THEN 'ignored_no_label' ELSE 'job_stored' END,
        7, 'acme', 'Organization',
        jsonb_build_object('workflow_job', jsonb_build_object('id', n, 'labels', jsonb_build_array('ubunut')),
            'repository', jsonb_build_object('full_name', 'acme/tools')),
        to_timestamp(1748464000 + n * 157)
    FROM generate_series(1, 200000) n;
    ANALYZE jobs; ANALYZE workers; ANALYZE installation_events;
"#;

#[tokio::test]
async fn sums_for_pages_read_their_window_by_index() {
    let config = ThrowAwayPostgres::shared().fresh_config();
    migrate(&config).await.unwrap();
    let store = PgStore::connect(&config).await.unwrap();
    sqlx::raw_sql(YEAR).execute(store.pool()).await.unwrap();
    let day = "('2026-05-27T00:00:00Z'::timestamptz, '2026-05-28T00:00:00Z'::timestamptz)";
    let weeks = "('2026-05-11T00:00:00Z'::timestamptz, '2026-05-29T00:00:00Z'::timestamptz, \
                  '2026-05-28T20:00:00Z'::timestamptz)";
    for (sql, arguments, index) in [
        (stats::WEEKLY, weeks, "workers_ended"),
        (stats::WEEKLY, weeks, "workers_live"),
        (stats::WAITS, day, "jobs_lately"),
        (stats::ENDED, day, "jobs_ended"),
        (stats::RESERVED, day, "workers_newest"),
        (stats::FAILED, day, "workers_ended"),
        (unrouted::UNROUTED, "('2026-05-27T00:00:00Z'::timestamptz, 20000)", "installation_events_unrouted"),
    ] {
        let plan = plan(&config, "force_custom_plan", sql, arguments).await;
        assert!(plan.contains(index) && !plan.contains("Seq Scan on"), "{index} in\n{plan}");
    }
    let read = store.unrouted("2026-05-27T00:00:00Z".parse().unwrap(), 20_000).await.unwrap();
    assert_eq!(read.len(), 1);
}

/// What removal would read if it took a table from its beginning: most of it is young.
#[tokio::test]
async fn removal_finds_what_is_over_by_an_index() {
    use riscv_runner_core::retention::Expiring;

    let (config, store) = filled().await;
    let aged = "INSERT INTO installation_events (source, event, outcome, received_at) \
                SELECT 'webhook', 'ping', 'pong', to_timestamp(1780000000 + n) FROM generate_series(1, 50000) n; \
                INSERT INTO control_audit (verb, target_kind, reason, actor, ordered_at) \
                SELECT 'pause', 'everything', 'r', 'a', to_timestamp(1780000000 + n) FROM generate_series(1, 20000) n; \
                UPDATE jobs SET created_at = job_created_at; \
                UPDATE workers SET created_at = created_at - random() * interval '1 day'; \
                ANALYZE installation_events; ANALYZE control_audit; ANALYZE jobs; ANALYZE workers;";
    sqlx::raw_sql(aged).execute(store.pool()).await.unwrap();
    for kind in [Expiring::Events, Expiring::Jobs, Expiring::Workers, Expiring::Orders] {
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let arguments = "(to_timestamp(1780000600), 500)";
            let plan = plan(&config, mode, crate::retention::removal(kind), arguments).await;
            assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{mode} {kind}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn a_cycle_is_as_many_statements_and_rows_at_any_backlog() {
    let (_config, full) = filled().await;
    let config = ThrowAwayPostgres::shared().fresh_config();
    migrate(&config).await.unwrap();
    let empty = PgStore::connect(&config).await.unwrap();
    let mut costs = Vec::new();
    for store in [&empty, &full] {
        let before = store.statements();
        let demand = store.demand().await.unwrap();
        let workers = store.live_workers().await.unwrap();
        store.standing().await.unwrap();
        let heads: Vec<_> =
            demand.keys().map(|key| HeadRequest { key: key.clone(), skip: 0, limit: 50 }).collect();
        let heads = if heads.is_empty() {
            let labels = riscv_runner_core::labels::LabelSet::new(["x"]).unwrap();
            let scope = riscv_runner_core::scope::Scope::Organization("1".parse().unwrap());
            vec![HeadRequest { key: riscv_runner_core::scope::PoolKey { scope, labels }, skip: 0, limit: 50 }]
        } else {
            heads
        };
        let share = PoolShare { pool: PoolName::new("k1").unwrap(), entity: None, rows: 50 };
        let waiting = store.waiting(&heads, &[], &[share]).await.unwrap();
        let reserved = store.reserve(&lead(store).await, &[wish()]).await.unwrap();
        // Taking the lease is no part of a cycle.
        costs.push(store.statements() - before - 1);
        assert_eq!(
            reserved,
            [if std::ptr::eq(store, &raw const full) { Reserved::Yes } else { Reserved::DemandMet }]
        );
        if std::ptr::eq(store, &raw const full) {
            assert_eq!(demand.values().map(|demand| demand.pending).sum::<u32>(), 100_000);
            assert_eq!(workers.len(), 50);
            assert_eq!(waiting.values().map(Vec::len).sum::<usize>(), 50, "as many as there are slots");
        }
    }
    assert_eq!(costs, [5, 5]);
}

async fn lead(store: &PgStore) -> LeaderProof {
    let holder = ReplicaName::new("one").unwrap();
    let ttl = Duration::from_secs(60);
    store.acquire_lease(&holder, ttl, Timestamp::UNIX_EPOCH).await.unwrap().expect("nobody else leads")
}

fn wish() -> Reservation {
    Reservation {
        name: WorkerName::new("rr-1").unwrap(),
        scope: ScopeRef {
            entity: "7".parse().unwrap(),
            login: Login::new("acme").unwrap(),
            installation: "70".parse().unwrap(),
            target: Target::Organization,
        },
        labels: LabelSet::new(["l1"]).unwrap(),
        pool: PoolName::new("k1").unwrap(),
        image: ImageRef::new("img").unwrap(),
        entity_cap: Some(1000),
        pool_cap: Some(1000),
        warm: 0,
        at: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn a_reservation_reads_neither_backlog_nor_history() {
    let (_config, store) = filled().await;
    let epoch = lead(&store).await.epoch().get();
    let mut transaction = store.pool().begin().await.unwrap();
    // Often enough for the function's statements to be planned for any argument.
    for n in 0..12 {
        let results: Vec<String> = sqlx::query_scalar(
            "SELECT reserve_workers($1, ARRAY['rr-' || $2], '{7}', '{acme}', '{Organization}', '{70}', '{null}', \
                    '{null}', ARRAY['[\"l1\"]'], '{org:7|l1}', '{k1}', '{img}', ARRAY[now()], '{100}', '{null}', '{0}')",
        )
        .bind(epoch)
        .bind(n.to_string())
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
        assert_eq!(results, ["reserved"]);
    }
    let (scans, read): (i64, i64) = sqlx::query_as(
        "SELECT sum(seq_scan)::bigint, sum(idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables \
         WHERE relname IN ('jobs', 'workers')",
    )
    .fetch_one(&mut *transaction)
    .await
    .unwrap();
    assert_eq!(scans, 0, "neither table is read whole");
    assert!(read < 12 * 500, "{read} rows fetched for 12 reservations beside 50 live workers");
}

/// 200,000 deliveries of jobs of 200 accounts, and a few of their installations.
const FILL_LOG: &str = r#"
    INSERT INTO installation_events (source, event, outcome, installation_id, app_id, entity_type, entity_id,
        entity_name, payload, received_at, delivery_guid)
    SELECT 'webhook', CASE WHEN n % 500 = 0 THEN 'installation.created' ELSE 'workflow_job.queued' END, 'job_stored',
        n % 200 + 1, 1, 'Organization', n % 200 + 1, 'account-' || n % 200,
        jsonb_build_object('workflow_job', jsonb_build_object('id', n)), to_timestamp(1780000000 + n), 'g-' || n
    FROM generate_series(1, 200000) n;
    ANALYZE installation_events;
"#;

#[tokio::test]
async fn no_read_of_the_log_reads_it_whole() {
    let config = ThrowAwayPostgres::shared().fresh_config();
    migrate(&config).await.unwrap();
    let store = PgStore::connect(&config).await.unwrap();
    sqlx::raw_sql(FILL_LOG).execute(store.pool()).await.unwrap();
    let window = "'-infinity', 'infinity', NULL, NULL";
    let page = |whose: &str| format!("({window}, 100, 0{whose})");
    let count = |whose: &str| format!("({window}{whose})");
    for (sql, arguments) in [
        (events::OF_EVERYBODY.0, page("")),
        (events::OF_ENTITY.0, page(", 7")),
        (events::OF_ENTITY.1, count(", 7")),
        (events::OF_INSTALLATION.0, page(", 7")),
        (events::OF_INSTALLATION.1, count(", 7")),
        (events::OF_JOB.0, page(", 7007")),
        (events::OF_JOB.1, count(", 7007")),
        (events::HISTORY, "(7, 7, 'infinity')".to_owned()),
        (events::ENTITY_OF_INSTALLATION, "(7)".to_owned()),
        (events::ENTITIES_NAMED, "('account-7')".to_owned()),
        (events::DELIVERIES_AFTER, "(100, '-infinity', 100)".to_owned()),
    ] {
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = plan(&config, mode, sql, &arguments).await;
            assert!(!plan.contains("Seq Scan on installation_events"), "{mode}: {sql}\n{plan}");
        }
    }
    store.close().await;
}
