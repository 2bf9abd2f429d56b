//! Bringing a schema up to date: embedded, checksummed migrations, one process at a time.
//!
//! Never changes anything outside the configured schema.

use std::collections::BTreeMap;

use riscv_runner_core::ports::{PortError, PortErrorKind, PortResult};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    migrate::{Migrate, MigrateError, Migrator},
};

use crate::{
    config::{PgConfig, place, unreachable},
    error::port_error,
};

static MIGRATIONS: Migrator = sqlx::migrate!();
const TABLE: &str = "_sqlx_migrations";
const OPERATION: &str = "migrate the store";

/// One step from an empty schema to ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MigrationStep {
    /// Its number; steps are applied in this order.
    pub version: i64,
    /// What it does.
    pub description: String,
}

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// Whether the schema was created.
    pub created_schema: bool,
    /// The steps that were applied now.
    pub applied: Vec<MigrationStep>,
    /// How many steps had been applied before.
    pub already_applied: usize,
}

/// Brings the schema up to date, creating it when it is missing. Processes that migrate the same schema at
/// the same time wait for each other.
///
/// # Errors
/// When the server cannot be reached, the role lacks a right, or the schema was migrated by a
/// version of the program with other steps.
pub async fn migrate(config: &PgConfig) -> PortResult<MigrationReport> {
    let mut connection = connect(config).await?;
    notice_our_end(&mut connection).await;
    // Held by the session: it ends with the connection, whatever happens.
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('riscv-runner migrates ' || $1, 0))")
        .bind(config.schema.as_str())
        .execute(&mut connection)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let created_schema = create_schema(&mut connection, config).await?;
    let before = applied(&mut connection).await?;
    let migrator =
        Migrator { migrations: MIGRATIONS.migrations.clone(), locking: false, ..Migrator::DEFAULT };
    migrator
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|error| migration_error(config, error))?;
    let applied = known_steps().filter(|step| !before.contains_key(&step.version)).collect();
    let _ = connection.close().await;
    Ok(MigrationReport { created_schema, applied, already_applied: before.len() })
}

/// The steps that the schema lacks; all of them when there is no schema yet.
///
/// # Errors
/// When the server cannot be reached, or a step that was applied is not the one of this program.
pub async fn pending_migrations(config: &PgConfig) -> PortResult<Vec<MigrationStep>> {
    let mut connection = connect(config).await?;
    let applied = applied(&mut connection).await?;
    let _ = connection.close().await;
    for migration in MIGRATIONS.iter() {
        if applied.get(&migration.version).is_some_and(|checksum| *checksum != *migration.checksum) {
            return Err(migration_error(config, MigrateError::VersionMismatch(migration.version)));
        }
    }
    if let Some(version) = applied.keys().find(|version| !MIGRATIONS.version_exists(**version)) {
        return Err(migration_error(config, MigrateError::VersionMissing(*version)));
    }
    Ok(known_steps().filter(|step| !applied.contains_key(&step.version)).collect())
}

fn known_steps() -> impl Iterator<Item = MigrationStep> {
    MIGRATIONS.iter().map(|migration| MigrationStep {
        version: migration.version,
        description: migration.description.clone().into_owned(),
    })
}

async fn connect(config: &PgConfig) -> PortResult<PgConnection> {
    let options = config.connect_options()?;
    let place = place(&options);
    PgConnection::connect_with(&options).await.map_err(|error| unreachable(&place, error))
}

/// Lets the server end the statement of a process that has died. By itself it notices only after the
/// statement, and a step that rewrites a table would keep it locked for minutes.
async fn notice_our_end(connection: &mut PgConnection) {
    let name = "client_connection_check_interval";
    // PostgreSQL 13 does not have it, and some platforms refuse it: nothing depends on it.
    let _ = sqlx::query("SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = $1")
        .bind(name)
        .execute(connection)
        .await;
}

/// Looks first: `CREATE SCHEMA IF NOT EXISTS` asks for the right to create even when there is nothing to do.
async fn create_schema(connection: &mut PgConnection, config: &PgConfig) -> PortResult<bool> {
    let failed = |error| port_error(OPERATION, error);
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(config.schema.as_str())
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if !exists {
        // The name is made of letters, digits and `_` only.
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {}", config.schema)))
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    Ok(!exists)
}

/// Checksums of the applied steps, by version.
async fn applied(connection: &mut PgConnection) -> PortResult<BTreeMap<i64, Vec<u8>>> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(TABLE)
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    if !exists {
        return Ok(BTreeMap::new());
    }
    let rows = connection
        .list_applied_migrations(TABLE)
        .await
        .map_err(|error| PortError::new(PortErrorKind::Transient, OPERATION, "").with_source(error))?;
    Ok(rows.into_iter().map(|row| (row.version, row.checksum.into_owned())).collect())
}

fn migration_error(config: &PgConfig, error: MigrateError) -> PortError {
    let schema = &config.schema;
    let detail = if let MigrateError::VersionMissing(version) = &error {
        format!("schema {schema} has step {version}, which this program does not know: run a newer one")
    } else if let MigrateError::VersionMismatch(version) = &error {
        format!(
            "step {version} of schema {schema} is not the one of this program: run the one that migrated it"
        )
    } else {
        format!("schema {schema} was left as it was before the step; the role needs CREATE on it")
    };
    PortError::new(PortErrorKind::Denied, OPERATION, detail).with_source(error)
}
