//! Migrations: from nothing, from the reference service's tables with rows in them, and twice at once.

#![expect(clippy::unwrap_used, reason = "so that the parts that tests share read like tests")]

mod common;

use std::time::Duration;

use common::{assert_counts_are_exact, at};
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::JobWrite,
    entity::{Entity, EntityKind},
    failure::FailureInfo,
    ids::{EntityId, InstallationId, RepoId, WorkerName},
    job::{JobEvent, JobFacts, JobPhase, Loss},
    labels::LabelSet,
    ports::{
        Cas, DeliveryStore, HeadRequest, LeaseStore, Page, PortErrorKind, ReportStore, ReportWindow,
        Reservation, Reserved, RowFilter, SchedulingStore, Total,
    },
    worker::KnownJob,
};
use riscv_runner_pg::{PgConfig, PgStore, migrate, pending_migrations, testing::ThrowAwayPostgres};
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

async fn admin(config: &PgConfig) -> PgConnection {
    let mut connection = PgConnection::connect(config.url.expose_secret()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("SET search_path = {}", config.schema)))
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

#[tokio::test]
async fn an_empty_database_is_brought_up_to_date_once() {
    let config = ThrowAwayPostgres::shared().fresh_config();
    let pending = pending_migrations(&config).await.unwrap();
    assert!(!pending.is_empty());
    let first = migrate(&config).await.unwrap();
    assert!(first.created_schema);
    assert_eq!((first.applied, first.already_applied), (pending.clone(), 0));
    assert_eq!(pending_migrations(&config).await.unwrap(), []);
    let second = migrate(&config).await.unwrap();
    assert!(!second.created_schema && second.applied.is_empty());
    assert_eq!(second.already_applied, pending.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_migrate_at_once_wait_for_each_other() {
    let config = ThrowAwayPostgres::shared().fresh_config();
    let reports = futures::future::join_all((0..4).map(|_| migrate(&config))).await;
    let reports: Vec<_> = reports.into_iter().map(Result::unwrap).collect();
    assert_eq!(reports.iter().filter(|report| !report.applied.is_empty()).count(), 1);
    assert_eq!(reports.iter().filter(|report| report.created_schema).count(), 1);
}

/// Whoever is killed while it migrates must not keep the locks of its step, nor its place in the line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_gives_up_a_migration_whose_process_is_gone() {
    let config = ThrowAwayPostgres::shared().fresh_config();
    let mut other = admin(&config).await;
    let lock = "SELECT pg_advisory_lock(hashtextextended('riscv-runner migrates ' || $1, 0))";
    sqlx::query(lock).bind(config.schema.as_str()).execute(&mut other).await.unwrap();
    let waiting = async |other: &mut PgConnection| -> i64 {
        let waiting = "SELECT count(*) FROM pg_locks AS held JOIN pg_locks AS wanted \
                       USING (locktype, database, classid, objid, objsubid) \
                       WHERE held.pid = pg_backend_pid() AND held.granted \
                       AND held.locktype = 'advisory' AND NOT wanted.granted";
        sqlx::query_scalar(waiting).fetch_one(other).await.unwrap()
    };
    let migrating = config.clone();
    let migration = tokio::spawn(async move { migrate(&migrating).await.map(drop) });
    for (wanted, what) in [(1, "it waits for the other"), (0, "it does not wait once it is gone")] {
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        while waiting(&mut other).await != wanted {
            assert!(tokio::time::Instant::now() < end, "{what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        migration.abort();
    }
}

#[tokio::test]
async fn schemas_of_one_database_do_not_meet() {
    let server = ThrowAwayPostgres::shared();
    let (prod, staging) = (server.fresh_config(), server.fresh_config());
    migrate(&prod).await.unwrap();
    migrate(&staging).await.unwrap();
    let (prod, staging) = (PgStore::connect(&prod).await.unwrap(), PgStore::connect(&staging).await.unwrap());
    let record = common::delivery("g", &common::facts(1), JobEvent::Queued);
    DeliveryStore::record_deliveries(&prod, &[record]).await.unwrap();
    assert_eq!(prod.demand().await.unwrap().len(), 1);
    assert!(staging.demand().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_schema_of_another_program_is_refused() {
    let config = ThrowAwayPostgres::shared().fresh_config();
    migrate(&config).await.unwrap();
    let mut connection = admin(&config).await;
    for (change, word) in [
        ("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 2", "is not the one"),
        (
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (999, 'later', true, '\\x00', 0)",
            "does not know",
        ),
    ] {
        sqlx::raw_sql(change).execute(&mut connection).await.unwrap();
        for error in [migrate(&config).await.unwrap_err(), pending_migrations(&config).await.unwrap_err()] {
            assert_eq!(error.kind(), PortErrorKind::Denied);
            assert!(error.to_string().contains(word), "{error}");
        }
        mend(&mut connection).await;
    }
    assert_eq!(pending_migrations(&config).await.unwrap(), []);
}

/// Takes the list of steps from a schema that was just migrated.
async fn mend(connection: &mut PgConnection) {
    let other = ThrowAwayPostgres::shared().fresh_config();
    migrate(&other).await.unwrap();
    let schema = &other.schema;
    sqlx::raw_sql(AssertSqlSafe(format!(
        "TRUNCATE _sqlx_migrations; INSERT INTO _sqlx_migrations SELECT * FROM {schema}._sqlx_migrations"
    )))
    .execute(connection)
    .await
    .unwrap();
}

/// The tables as the reference service made them, before the columns that it added later.
const REFERENCE: &str = r#"
    CREATE TYPE status_enum AS ENUM ('pending', 'running', 'completed', 'failed');
    CREATE TYPE provider_enum AS ENUM ('github', 'gitlab', 'azdo');
    CREATE TYPE entity_type_enum AS ENUM ('Organization', 'User');
    CREATE TABLE jobs (job_id bigint PRIMARY KEY, status status_enum NOT NULL DEFAULT 'pending', failure_info jsonb,
        provider provider_enum NOT NULL, entity_id bigint NOT NULL, entity_name text NOT NULL,
        entity_type entity_type_enum NOT NULL, repo_full_name text NOT NULL, installation_id bigint NOT NULL,
        job_labels jsonb NOT NULL, k8s_pool text, k8s_image text, k8s_pod text, html_url text,
        created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE workers (pod_name text PRIMARY KEY, provider provider_enum NOT NULL, entity_id bigint NOT NULL,
        entity_name text NOT NULL, entity_type text NOT NULL, installation_id bigint NOT NULL, repo_full_name text,
        job_labels jsonb NOT NULL, k8s_pool text, k8s_image text, k8s_node text, status status_enum NOT NULL,
        failure_info jsonb, created_at timestamptz NOT NULL DEFAULT now(), running_at timestamptz,
        completed_at timestamptz, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE installation_events (id bigserial PRIMARY KEY, source text NOT NULL, event text NOT NULL,
        outcome text NOT NULL, installation_id bigint, app_id bigint, entity_type text, entity_id bigint,
        entity_name text, payload jsonb, received_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO jobs (job_id, status, failure_info, provider, entity_id, entity_name, entity_type, repo_full_name,
        installation_id, job_labels, k8s_pool, k8s_image, created_at) VALUES
        (1, 'pending', NULL, 'github', 7, 'acme', 'Organization', 'acme/tools', 70, '["Rva23", "a,b"]', 'k1', 'img', to_timestamp(1780000001)),
        (2, 'running', NULL, 'github', 9, 'jo', 'User', 'jo/known', 90, '["x"]', 'k1', 'img', to_timestamp(1780000002)),
        (3, 'pending', NULL, 'github', 9, 'jo', 'User', 'jo/forgotten', 90, '["x"]', 'k1', 'img', to_timestamp(1780000003)),
        (4, 'completed', NULL, 'github', 9, 'jo', 'User', 'jo/known', 90, '["x"]', 'k1', NULL, to_timestamp(1780000004)),
        (5, 'failed', '{"version": 1, "message": "job_not_found"}', 'github', 7, 'acme', 'Organization', 'acme/tools', 70, '["x"]', 'k1', 'img', to_timestamp(1780000005));
    INSERT INTO workers (pod_name, provider, entity_id, entity_name, entity_type, installation_id, repo_full_name,
        job_labels, k8s_pool, k8s_image, status, failure_info) VALUES
        ('w-1', 'github', 7, 'acme', 'Organization', 70, NULL, '["a,b", "rva23"]', 'k1', 'img', 'running', NULL),
        ('w-2', 'github', 9, 'jo', 'User', 90, 'jo/known', '["x"]', 'k1', 'img', 'pending', NULL),
        ('w-3', 'github', 9, 'jo', 'User', 90, 'jo/known', '["x"]', 'k1', 'img', 'failed',
            '{"version": 2, "reason": "runner_idle", "containers": {}, "events": []}');
    INSERT INTO installation_events (source, event, outcome, payload) VALUES
        ('webhook', 'workflow_job.queued', 'job_stored', '{"repository": {"id": 1234, "full_name": "jo/known", "private": false}}'),
        ('webhook', 'ping', 'ok', NULL), ('webhook', 'ping', 'ok', '{"repository": "odd"}');
"#;

/// The reference service's tables, with its rows.
async fn adopt_reference(config: &PgConfig) {
    let mut connection = PgConnection::connect(config.url.expose_secret()).await.unwrap();
    let schema = &config.schema;
    let sql = format!("CREATE SCHEMA {schema}; SET search_path = {schema}; {REFERENCE}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_database_of_the_reference_service_is_adopted_with_its_rows() {
    let config = ThrowAwayPostgres::shared().fresh_config();
    adopt_reference(&config).await;
    let report = migrate(&config).await.unwrap();
    assert!(!report.created_schema);

    let store = PgStore::connect(&config).await.unwrap();
    assert_counts_are_exact(&store).await;
    let window = ReportWindow { start: at(0), end: at(1000) };
    let (jobs, n) = store.jobs(window, &RowFilter::default(), Page { page: 0, per_page: 10 }).await.unwrap();
    assert_eq!((jobs.len(), n), (5, Total::Exactly(5)), "every row can be read");
    // The keys that the migration wrote are those that the domain computes from the rows.
    let keys: Vec<(i64, String)> =
        sqlx::query_as("SELECT job_id, pool_key FROM jobs").fetch_all(store.pool()).await.unwrap();
    for row in &jobs {
        let id = row.job.facts.id.get();
        assert!(keys.contains(&(id, row.job.facts.key().to_string())), "job {id}: {keys:?}");
        assert_eq!(row.job.facts.created_at, at(id));
    }
    let job = |id: i64| &jobs.iter().find(|row| row.job.facts.id.get() == id).unwrap().job;
    assert_eq!((job(2).facts.repo_id.get(), job(2).facts.private), (1234, false));
    assert!(job(3).facts.private, "what is not known to be public is private");
    assert_ne!(job(3).facts.key(), job(2).facts.key());
    assert_eq!((job(5).state.phase, &job(5).state.loss), (JobPhase::Failed, &None::<Loss>));

    let live = store.live_workers().await.unwrap();
    assert_eq!(live.len(), 2);
    assert!(live.values().any(|worker| worker.key() == job(1).facts.key()));
    assert!(live.values().any(|worker| worker.key() == job(2).facts.key()));
    let ended = store.workers_named(&["w-3".parse().unwrap()]).await.unwrap();
    assert_eq!(ended.values().next().unwrap().failure.as_ref().unwrap().0.as_str(), "runner_idle");

    // It goes on from there: with what is there, and with new rows.
    let heads = [HeadRequest { key: job(1).facts.key(), skip: 0, limit: 5 }];
    let waiting = store.waiting(&heads, &[], &[]).await.unwrap();
    assert_eq!(waiting[&job(1).facts.key()][0].id, job(1).facts.id);
    let done = common::delivery("g", &job(1).facts, common::completed());
    let results = DeliveryStore::record_deliveries(&store, &[done]).await.unwrap();
    assert!(results[0].is_ok());
    let queued = common::delivery("g6", &common::facts(6), JobEvent::Queued);
    let results = DeliveryStore::record_deliveries(&store, &[queued]).await.unwrap();
    assert_eq!(results[0].as_ref().unwrap().job, Some(JobWrite::Inserted(JobPhase::Pending)));
    let proof = store.acquire_lease(&"r".parse().unwrap(), TTL, at(2000)).await.unwrap().unwrap();
    let reserved = store.reserve(&proof, &[reservation("w-4", &common::facts(6))]).await.unwrap();
    assert_eq!(reserved, [Reserved::Yes]);
    let mut found = store.live_workers().await.unwrap().remove(&"w-4".parse().unwrap()).unwrap();
    found.name = "w-5".parse().unwrap();
    assert_eq!(store.adopt_worker(&proof, &found).await.unwrap(), Cas::Done);
    assert_counts_are_exact(&store).await;
}

const TTL: Duration = Duration::from_secs(8);

fn reservation(name: &str, facts: &JobFacts) -> Reservation {
    Reservation {
        name: name.parse().unwrap(),
        scope: facts.scope_ref(),
        labels: facts.labels.clone(),
        pool: "k1".parse().unwrap(),
        image: "img".parse().unwrap(),
        entity_cap: None,
        pool_cap: None,
        warm: 0,
        at: at(2000),
    }
}

/// What the reference service writes of a job of a person's repository, of one of an organization, of workers,
/// of a job that starts, of one that was cancelled in the queue, and of a worker whose pod was never bound.
const OF_THE_REFERENCE: [&str; 6] = [
    "INSERT INTO jobs (job_id, provider, entity_id, entity_name, entity_type, repo_full_name, installation_id, \
        job_labels, k8s_pool, k8s_image, html_url, job_name, job_created_at) \
     VALUES (21, 'github', 9, 'jo', 'User', 'Jo/Known', 90, '[\"x\"]', 'k1', 'img', 'u', 'build', to_timestamp(1780000021)), \
            (22, 'github', 9, 'jo', 'User', 'jo/new', 90, '[\"x\"]', 'k1', 'img', 'u', 'build', to_timestamp(1780000022))",
    "INSERT INTO jobs (job_id, status, provider, entity_id, entity_name, entity_type, repo_full_name, \
        installation_id, job_labels, k8s_pool, k8s_image, html_url) \
     VALUES (23, 'pending', 'github', 7, 'acme', 'Organization', 'acme/tools', 70, '[\"Rva23\", \"a,b\"]', 'k1', 'img', 'u') \
     ON CONFLICT (job_id) DO NOTHING",
    "INSERT INTO workers (pod_name, provider, entity_id, entity_name, entity_type, installation_id, repo_full_name, \
        job_labels, k8s_pool, k8s_image, status) \
     VALUES ('w-21', 'github', 9, 'jo', 'User', 90, 'jo/known', '[\"x\"]', 'k1', 'img', 'pending'), \
            ('w-23', 'github', 7, 'acme', 'Organization', 70, NULL, '[\"a,b\", \"rva23\"]', 'k1', 'img', 'pending')",
    "UPDATE jobs SET status = 'running', k8s_pod = 'w-23', updated_at = now() WHERE job_id = 23",
    "UPDATE jobs SET status = 'completed', k8s_pod = coalesce(k8s_pod, ''), job_started_at = to_timestamp(1780000030), \
        job_completed_at = to_timestamp(1780000030), job_conclusion = 'cancelled', updated_at = now() WHERE job_id = 22",
    "INSERT INTO workers (pod_name, provider, entity_id, entity_name, entity_type, installation_id, repo_full_name, \
        job_labels, k8s_pool, k8s_image, status, k8s_node, completed_at, failure_info) \
     VALUES ('w-24', 'github', 7, 'acme', 'Organization', 70, NULL, '[\"x\"]', 'k1', 'img', 'failed', '', now(), \
        '{\"version\": 2, \"containers\": {\"runner\": {\"exit_code\": 1, \"logs\": \"l\"}}, \
          \"events\": [{\"type\": \"Normal\", \"reason\": \"Scheduled\", \"message\": \"m\", \"count\": null}]}')",
];

#[tokio::test]
async fn the_reference_service_writes_on_beside_us_and_after_us() {
    for adopted in [true, false] {
        let config = ThrowAwayPostgres::shared().fresh_config();
        if adopted {
            adopt_reference(&config).await;
        }
        migrate(&config).await.unwrap();
        let store = PgStore::connect(&config).await.unwrap();
        let known = JobFacts { repo_id: RepoId::new(1234).unwrap(), ..job_of_jo() };
        let queued = common::delivery("g", &known, JobEvent::Queued);
        DeliveryStore::record_deliveries(&store, &[queued]).await.unwrap();
        for statement in OF_THE_REFERENCE {
            sqlx::raw_sql(statement).execute(store.pool()).await.unwrap();
        }
        let window = ReportWindow { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
        let page = Page { page: 0, per_page: 50 };
        let (jobs, _) = store.jobs(window, &RowFilter::default(), page).await.unwrap();
        let job = |id: i64| &jobs.iter().find(|row| row.job.facts.id.get() == id).unwrap().job;
        assert_eq!(job(21).facts.key(), known.key(), "the repository is known");
        assert_ne!(job(22).facts.key(), known.key());
        assert!(job(22).facts.private, "what is not known to be public is private");
        assert_eq!(job(21).facts.created_at, at(21));
        assert_eq!(job(22).state.start.as_ref().map(|start| &start.runner), Some(&None), "no runner took it");
        let unbound = store.worker(&"w-24".parse().unwrap()).await.unwrap().unwrap().worker;
        let failure = unbound.failure.map(|(_, info)| info);
        assert_eq!((unbound.node, matches!(failure, Some(FailureInfo::V2(_)))), (None, true), "{failure:?}");
        let live = store.live_workers().await.unwrap();
        let worker = |name: &str| &live[&name.parse::<WorkerName>().unwrap()];
        assert_eq!(worker("w-21").key(), job(21).facts.key());
        assert_eq!(worker("w-23").key(), job(23).facts.key());
        let runs = KnownJob { id: job(23).facts.id, phase: JobPhase::Running };
        assert_eq!(worker("w-23").job, Some(runs), "its pod is the runner that we look for");
        let keys: Vec<(i64, String)> =
            sqlx::query_as("SELECT job_id, pool_key FROM jobs").fetch_all(store.pool()).await.unwrap();
        for row in &jobs {
            let expected = (row.job.facts.id.get(), row.job.facts.key().to_string());
            assert!(keys.contains(&expected), "{expected:?} in {keys:?}");
        }
        assert_counts_are_exact(&store).await;
    }
}

fn job_of_jo() -> JobFacts {
    let entity =
        Entity { id: EntityId::new(9).unwrap(), kind: EntityKind::User, login: "jo".parse().unwrap() };
    let (installation, repo) = (InstallationId::new(90).unwrap(), "jo/known".parse().unwrap());
    let labels = LabelSet::new(["x"]).unwrap();
    JobFacts { entity, installation, repo, labels, ..common::facts(20) }
}
