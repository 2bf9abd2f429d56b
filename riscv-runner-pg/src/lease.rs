//! Leadership: one row whose epoch only rises, and the fence that every write of a leader passes.
//!
//! The server's clock alone decides whether a lease has expired.

use std::time::Duration;

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use riscv_runner_core::{
    backoff::add,
    ids::{Epoch, ReplicaName},
    ports::{LeaderProof, PortError, PortErrorKind, PortResult},
};
use sqlx::{PgConnection, Row};

use crate::{
    db::Db,
    error::{not_leader, port_error},
};

/// A CTE that holds one row while the epoch `$1` leads. The lock makes a take-over wait for our
/// commit, so nothing is written after it.
macro_rules! fence {
    () => {
        "fence AS (SELECT FROM leases WHERE name = 'leader' AND epoch = $1 FOR SHARE)"
    };
}
pub(crate) use fence;

/// Passes the fence for the rest of the transaction.
pub(crate) async fn pass_fence(
    db: &Db,
    connection: &mut PgConnection,
    proof: &LeaderProof,
    operation: &'static str,
) -> PortResult<()> {
    let passed = db
        .query("SELECT FROM leases WHERE name = 'leader' AND epoch = $1 FOR SHARE")
        .bind(proof.epoch().get())
        .fetch_optional(connection)
        .await
        .map_err(|error| port_error(operation, error))?;
    if passed.is_some() { Ok(()) } else { Err(not_leader(operation)) }
}

/// Takes or renews the lease; see the port.
pub(crate) async fn acquire(
    db: &Db,
    holder: &ReplicaName,
    ttl: Duration,
    now: Timestamp,
) -> PortResult<Option<LeaderProof>> {
    const OPERATION: &str = "acquire the lease";
    let epoch: Option<i64> = db
        .query(
            "INSERT INTO leases AS lease (name, holder, epoch, expires_at) \
             VALUES ('leader', $1, 1, clock_timestamp() + $2::float8 * interval '1 second') \
             ON CONFLICT (name) DO UPDATE SET \
                 holder = excluded.holder, \
                 expires_at = clock_timestamp() + $2::float8 * interval '1 second', \
                 epoch = lease.epoch + (lease.holder IS DISTINCT FROM excluded.holder \
                                        OR lease.expires_at <= clock_timestamp())::integer \
             WHERE lease.holder IS NULL OR lease.holder = excluded.holder \
                OR lease.expires_at <= clock_timestamp() \
             RETURNING epoch",
        )
        .bind(holder.as_str())
        .bind(ttl.as_secs_f64())
        .fetch_optional(&db.pool)
        .await
        .and_then(|row| row.map(|row| row.try_get(0)).transpose())
        .map_err(|error| port_error(OPERATION, error))?;
    let Some(epoch) = epoch else { return Ok(None) };
    let epoch = Epoch::new(epoch)
        .map_err(|error| PortError::new(PortErrorKind::Bug, OPERATION, "").with_source(error))?;
    Ok(Some(LeaderProof::issued_by_lease_store(epoch, add(now, ttl))))
}

/// Releases the lease, unless another replica has taken it over.
pub(crate) async fn release(db: &Db, proof: &LeaderProof) -> PortResult<()> {
    const OPERATION: &str = "release the lease";
    let released = db
        .query(
            "UPDATE leases SET holder = NULL, expires_at = clock_timestamp() \
             WHERE name = 'leader' AND epoch = $1",
        )
        .bind(proof.epoch().get())
        .execute(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    if released.rows_affected() > 0 { Ok(()) } else { Err(not_leader(OPERATION)) }
}

/// Who holds a lease that has not expired.
pub(crate) async fn leader(db: &Db) -> PortResult<Option<(ReplicaName, Epoch, Timestamp)>> {
    const OPERATION: &str = "read the lease";
    let row = db
        .query(
            "SELECT holder, epoch, expires_at FROM leases \
             WHERE name = 'leader' AND holder IS NOT NULL AND expires_at > clock_timestamp()",
        )
        .fetch_optional(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let Some(row) = row else { return Ok(None) };
    let failed = |error| port_error(OPERATION, error);
    let bad = |error| PortError::new(PortErrorKind::Bug, OPERATION, "").with_source(error);
    let holder: String = row.try_get(0).map_err(failed)?;
    let epoch: i64 = row.try_get(1).map_err(failed)?;
    let until: SqlTimestamp = row.try_get(2).map_err(failed)?;
    Ok(Some((ReplicaName::new(holder).map_err(bad)?, Epoch::new(epoch).map_err(bad)?, until.to_jiff())))
}
