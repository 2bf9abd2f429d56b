//! What is found out about a server.

#![expect(clippy::unwrap_used, reason = "so that the parts that tests share read like tests")]

mod common;

use common::{migrated, store};
use jiff::{SignedDuration, Timestamp};
use riscv_runner_core::ports::{PortErrorKind, ReportStore};
use riscv_runner_pg::{OLDEST_SERVER, PgConfig, PgStore, inspect, remedy, testing::ThrowAwayPostgres};
use secrecy::{ExposeSecret, SecretString};
use sqlx::AssertSqlSafe;

/// The server's own time: so it is neither ahead nor behind.
async fn server_time(store: &PgStore) -> Timestamp {
    let seconds: i64 =
        sqlx::query_scalar("SELECT extract(epoch FROM now())::bigint").fetch_one(store.pool()).await.unwrap();
    Timestamp::from_second(seconds).unwrap()
}

#[tokio::test]
async fn a_store_in_order_is_described() {
    let now = server_time(&store().await).await;
    let found = inspect(&migrated().await, || now).await.unwrap();
    assert!(found.version_number >= OLDEST_SERVER, "{found:?}");
    assert!(found.version.chars().next().unwrap().is_ascii_digit());
    assert!(found.has_schema && found.has_usage && found.missing_rights.is_empty());
    assert!(found.clock_ahead.abs() < SignedDuration::from_secs(60), "{:?}", found.clock_ahead);
    let hour = SignedDuration::from_secs(3600);
    let behind = inspect(&migrated().await, || now - hour).await.unwrap();
    assert!((behind.clock_ahead - hour).abs() < SignedDuration::from_secs(60), "{:?}", behind.clock_ahead);
}

#[tokio::test]
async fn a_schema_that_is_not_there_and_rights_that_are_not_granted_are_found() {
    let empty = ThrowAwayPostgres::shared().fresh_config();
    assert!(!inspect(&empty, || Timestamp::UNIX_EPOCH).await.unwrap().has_schema);

    let config = migrated().await;
    let store = PgStore::connect(&config).await.unwrap();
    let (schema, role) = (&config.schema, format!("reader_of_{}", config.schema));
    let sql = format!(
        "CREATE ROLE {role}; GRANT USAGE ON SCHEMA {schema} TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}; \
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}; \
         REVOKE USAGE ON SEQUENCE installation_events_id_seq FROM {role}; \
         REVOKE DELETE ON jobs FROM {role}; REVOKE ALL ON leases FROM {role}"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(store.pool()).await.unwrap();
    let url = config.url.expose_secret();
    let joint = if url.contains('?') { '&' } else { '?' };
    let url = SecretString::from(format!("{url}{joint}options[role]={role}"));
    let found_as = PgConfig { url, ..config.clone() };
    let found = inspect(&found_as, || Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(found.role, role);
    let missing: Vec<_> =
        found.missing_rights.iter().map(|(table, rights)| (table.as_str(), rights.len())).collect();
    assert_eq!(missing, [("installation_events_id_seq", 1), ("jobs", 1), ("leases", 4)]);
    assert!(found.has_usage);

    let revoke = format!("REVOKE USAGE ON SCHEMA {schema} FROM {role}");
    sqlx::raw_sql(AssertSqlSafe(revoke)).execute(store.pool()).await.unwrap();
    let found = inspect(&found_as, || Timestamp::UNIX_EPOCH).await.unwrap();
    assert!(found.has_schema && !found.has_usage, "{found:?}");
}

#[tokio::test]
async fn what_a_schema_lacks_has_a_remedy() {
    let config = ThrowAwayPostgres::shared().fresh_config();
    let store = PgStore::connect(&config).await.unwrap();
    let error = store.usage().await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Denied);
    assert!(error.chain().contains("the schema is not that of this version"), "{}", error.chain());
    assert!(remedy(&error).unwrap().contains("rrctl migrate"), "{error}");
    let nowhere = PgConfig { url: SecretString::from("postgres://127.0.0.1:1/db"), ..config };
    let unreachable = inspect(&nowhere, || Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert_eq!(remedy(&unreachable), None);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let config = PgConfig {
        url: SecretString::from("postgres://u:hidden@127.0.0.1:1/db"),
        ..ThrowAwayPostgres::shared().fresh_config()
    };
    let error = inspect(&config, || Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Transient);
    assert!(
        error.chain().contains("u@127.0.0.1:1/db") && !error.chain().contains("hidden"),
        "{}",
        error.chain()
    );
}
