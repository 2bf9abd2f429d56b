//! What the server reports about itself and our rights, for diagnosis. It changes nothing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::Timestamp as SqlTimestamp;
use riscv_runner_core::ports::PortResult;
use sqlx::{Connection, PgConnection, Row};

use crate::{
    config::{PgConfig, place, unreachable},
    error::port_error,
};

const OPERATION: &str = "inspect the store";

/// The oldest server that the statements run on, as `server_version_num` has it.
pub const OLDEST_SERVER: i32 = 130_000;

/// The result of an inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// `user@host:port/database`.
    pub place: String,
    /// The server's version, for display.
    pub version: String,
    /// The server's version as a number: 170002 is 17.2.
    pub version_number: i32,
    /// Whether the configured schema exists.
    pub has_schema: bool,
    /// Whether the role has `USAGE` on the schema; without it, nothing in the schema is visible.
    pub has_usage: bool,
    /// Rights that the role lacks, by table or sequence; `USAGE` is listed under the schema's own name, too.
    pub missing_rights: BTreeMap<String, Vec<String>>,
    /// The role that we connect as.
    pub role: String,
    /// How far the server's clock is ahead of ours.
    pub clock_ahead: SignedDuration,
}

/// Rights on every table of ours, and on the sequences that number their rows. `CASE` fixes the order of the two
/// conditions: of what is no sequence the second one is an error.
const MISSING: &str = "SELECT c.relname::text, p.name FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace \
     CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (name) \
     WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname NOT LIKE '\\_sqlx%' \
       AND NOT has_table_privilege(c.oid, p.name) \
     UNION ALL SELECT c.relname::text, 'USAGE' FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 \
       AND CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE') ELSE false END \
     ORDER BY 1, 2";

const SERVER: &str = "SELECT current_setting('server_version'), \
     current_setting('server_version_num')::integer, clock_timestamp(), current_user::text, \
     EXISTS (SELECT FROM pg_namespace WHERE nspname = $1), \
     coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1), true)";

/// Connects once and inspects. `clock` is read right before and after the server's.
///
/// # Errors
/// When the server cannot be reached or refuses; the message says where and what to check.
pub async fn inspect(config: &PgConfig, clock: impl Fn() -> Timestamp + Send) -> PortResult<Inspection> {
    let options = config.connect_options()?;
    let place = place(&options);
    let mut connection =
        PgConnection::connect_with(&options).await.map_err(|error| unreachable(&place, error))?;
    let failed = |error| port_error(OPERATION, error);
    let before = clock();
    let row =
        sqlx::query(SERVER).bind(config.schema.as_str()).fetch_one(&mut connection).await.map_err(failed)?;
    let ours = middle(before, clock());
    let theirs: SqlTimestamp = row.try_get(2).map_err(failed)?;
    let has_usage: bool = row.try_get(5).map_err(failed)?;
    let mut missing_rights: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if !has_usage {
        missing_rights.insert(config.schema.to_string(), vec!["USAGE".to_owned()]);
    }
    let rows =
        sqlx::query(MISSING).bind(config.schema.as_str()).fetch_all(&mut connection).await.map_err(failed)?;
    for row in rows {
        let (table, right): (String, String) =
            (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        missing_rights.entry(table).or_default().push(right);
    }
    let _ = connection.close().await;
    Ok(Inspection {
        place,
        version: row.try_get(0).map_err(failed)?,
        version_number: row.try_get(1).map_err(failed)?,
        role: row.try_get(3).map_err(failed)?,
        has_schema: row.try_get(4).map_err(failed)?,
        has_usage,
        missing_rights,
        clock_ahead: theirs.to_jiff().duration_since(ours),
    })
}

fn middle(before: Timestamp, after: Timestamp) -> Timestamp {
    before.checked_add(after.duration_since(before) / 2).unwrap_or(after)
}
