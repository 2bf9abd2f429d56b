//! How far sweeps over external logs have come, so that the next leader continues where one stopped.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use riscv_runner_core::ports::{LeaderProof, PortResult};
use sqlx::Row;

use crate::{db::Db, error::port_error, lease::fence, standing::fenced};

/// Up to when GitHub's log of deliveries has been compared with ours.
pub(crate) async fn deliveries_swept(db: &Db) -> PortResult<Option<Timestamp>> {
    const OPERATION: &str = "find the last sweep";
    let row = db
        .query("SELECT swept_until FROM sweeps WHERE name = 'deliveries'")
        .fetch_optional(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let until: Option<SqlTimestamp> =
        row.map(|row| row.try_get(0)).transpose().map_err(|error| port_error(OPERATION, error))?;
    Ok(until.map(SqlTimestamp::to_jiff))
}

/// Notes how far it has been compared; never back.
pub(crate) async fn note_deliveries_swept(db: &Db, proof: &LeaderProof, until: Timestamp) -> PortResult<()> {
    let statement = db
        .query(concat!(
            "WITH ",
            fence!(),
            ", written AS (INSERT INTO sweeps (name, swept_until) \
                 SELECT 'deliveries', $2 WHERE EXISTS (SELECT FROM fence) \
                 ON CONFLICT (name) DO UPDATE \
                 SET swept_until = greatest(sweeps.swept_until, excluded.swept_until)) \
             SELECT EXISTS (SELECT FROM fence)"
        ))
        .bind(proof.epoch().get())
        .bind(until.to_sqlx());
    fenced(db, "note a sweep", statement).await
}
