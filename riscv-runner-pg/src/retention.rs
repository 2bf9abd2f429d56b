//! Removing expired rows: by an index from the oldest on, in short transactions, past rows that are locked.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use riscv_runner_core::{
    ports::{PortResult, Remover},
    retention::{Cutoff, Expiring, Keepsake, Kept},
};
use sqlx::{Executor, Postgres, Row};

use crate::{db::Db, error::port_error, lease::pass_fence};

/// What may be removed: a table, its key, how old a row is, and which rows have expired.
struct Rule {
    count: &'static str,
    remove: &'static str,
}

macro_rules! rule {
    ($table:literal, $key:literal, $age:literal, $order:literal, $over:literal) => {
        Rule {
            count: concat!("SELECT count(*) FROM ", $table, " WHERE ", $age, " < $1 AND ", $over),
            remove: concat!(
                "DELETE FROM ",
                $table,
                " WHERE ",
                $key,
                " = ANY (ARRAY( \
                 SELECT ",
                $key,
                " FROM ",
                $table,
                " WHERE ",
                $age,
                " < $1 AND ",
                $over,
                " ORDER BY ",
                $order,
                " LIMIT $2 FOR UPDATE SKIP LOCKED))"
            ),
        }
    };
}

const fn rule(kind: Expiring) -> Rule {
    match kind {
        Expiring::Events => {
            rule!("installation_events", "id", "received_at", "received_at", "NOT pinned")
        }
        Expiring::Jobs => rule!(
            "jobs",
            "job_id",
            "created_at",
            "created_at, job_id",
            "status IN ('completed', 'failed') AND NOT pinned"
        ),
        Expiring::Workers => rule!(
            "workers",
            "pod_name",
            "created_at",
            "created_at, pod_name",
            "status IN ('completed', 'failed') AND NOT pinned"
        ),
        Expiring::Orders => rule!("control_audit", "id", "ordered_at", "ordered_at", "true"),
        Expiring::Backoffs => rule!("pool_backoffs", "pool_key", "until", "until", "true"),
        Expiring::Quarantines => rule!("board_quarantines", "node", "until", "until", "true"),
    }
}

/// The statement that removes rows of a kind.
#[cfg(test)]
pub(crate) const fn removal(kind: Expiring) -> &'static str {
    rule(kind).remove
}

/// A timestamp that PostgreSQL has.
fn bound(before: Timestamp) -> SqlTimestamp {
    // PostgreSQL counts from 4713 BC, and nothing of ours is older than our era.
    before.max(Timestamp::UNIX_EPOCH).to_sqlx()
}

/// The cutoff, held against the server's clock: the rows carry its times, or those of a process that agreed with it.
async fn checked<'e, E>(
    db: &Db,
    executor: E,
    cutoff: Cutoff,
    operation: &'static str,
) -> PortResult<Timestamp>
where
    E: 'e + Executor<'e, Database = Postgres>,
{
    let row = db.query("SELECT now()").fetch_one(executor).await;
    let now: SqlTimestamp =
        row.and_then(|row| row.try_get(0)).map_err(|error| port_error(operation, error))?;
    cutoff.checked_by(now.to_jiff())
}

/// How many rows may be removed.
pub(crate) async fn count(db: &Db, kind: Expiring, cutoff: Cutoff) -> PortResult<u64> {
    const OPERATION: &str = "count old rows";
    let before = checked(db, &db.pool, cutoff, OPERATION).await?;
    let n: i64 = db
        .query(rule(kind).count)
        .bind(bound(before))
        .fetch_one(&db.pool)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|error| port_error(OPERATION, error))?;
    Ok(n.unsigned_abs())
}

/// Removes the oldest of them.
pub(crate) async fn remove(
    db: &Db,
    by: Remover<'_>,
    kind: Expiring,
    cutoff: Cutoff,
    limit: u32,
) -> PortResult<u64> {
    const OPERATION: &str = "remove old rows";
    let failed = |error| port_error(OPERATION, error);
    let mut transaction = db.begin(OPERATION).await?;
    if let Remover::Leader(proof) = by {
        pass_fence(db, &mut transaction, proof, OPERATION).await?;
    }
    let before = checked(db, &mut *transaction, cutoff, OPERATION).await?;
    let removed = db
        .query(rule(kind).remove)
        .bind(bound(before))
        .bind(i64::from(limit))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    db.commit(OPERATION, transaction).await?;
    Ok(removed.rows_affected())
}

/// Pins a row, or unpins it.
pub(crate) async fn keep(db: &Db, row: &Keepsake, keep: bool) -> PortResult<Kept> {
    // Changes nothing where it is so already, and says whether the row is there.
    macro_rules! pin {
        ($table:literal, $key:literal) => {
            concat!(
                "WITH changed AS (UPDATE ",
                $table,
                " SET pinned = $2 WHERE ",
                $key,
                " = $1 AND pinned <> $2 RETURNING 1) SELECT EXISTS (SELECT FROM changed), EXISTS (SELECT FROM ",
                $table,
                " WHERE ",
                $key,
                " = $1)"
            )
        };
    }
    const OPERATION: &str = "keep a row";
    let query = match row {
        Keepsake::Event(id) => db.query(pin!("installation_events", "id")).bind(id.get()),
        Keepsake::Job(id) => db.query(pin!("jobs", "job_id")).bind(id.get()),
        Keepsake::Worker(name) => db.query(pin!("workers", "pod_name")).bind(name.as_str()),
    };
    let answer = query.bind(keep).fetch_one(&db.pool).await;
    let (changed, known) = answer
        .and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .map_err(|error| port_error(OPERATION, error))?;
    Ok(match (changed, known) {
        (true, _) => Kept::Changed,
        (false, true) => Kept::Already,
        (false, false) => Kept::NoSuchRow,
    })
}
