//! Reservations: rows of workers before anything is made, where every cap is taken.
//!
//! Reservers of one schema take turns, so what is counted is still so when the rows are written. The
//! database does it all in one statement: see `reserve_workers` in the migrations.

use jiff_sqlx::ToSqlx;
use riscv_runner_core::{
    ports::{LeaderProof, PortError, PortErrorKind, PortResult, Reservation, Reserved},
    scope::PoolKey,
};

use crate::{
    db::Db,
    error::{not_leader, port_error},
    workers::repository,
};

const OPERATION: &str = "reserve workers";

const RESERVE: &str = "SELECT reserve_workers($1::bigint, $2::text[], $3::bigint[], $4::text[], $5::text[], \
     $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], \
     $13::timestamptz[], $14::bigint[], $15::bigint[], $16::bigint[])";

fn key(reservation: &Reservation) -> PoolKey {
    PoolKey { scope: reservation.scope.scope(), labels: reservation.labels.clone() }
}

/// Writes the rows, each unless it would exceed a cap: one statement for any number of them.
pub(crate) async fn reserve(
    db: &Db,
    proof: &LeaderProof,
    reservations: &[Reservation],
) -> PortResult<Vec<Reserved>> {
    if reservations.is_empty() {
        return Ok(Vec::new());
    }
    let texts = |text: fn(&Reservation) -> String| reservations.iter().map(text).collect::<Vec<String>>();
    let numbers = |number: fn(&Reservation) -> i64| reservations.iter().map(number).collect::<Vec<i64>>();
    let caps = |cap: fn(&Reservation) -> Option<u32>| {
        reservations.iter().map(|wish| cap(wish).map(i64::from)).collect::<Vec<Option<i64>>>()
    };
    let (repo_ids, repos): (Vec<_>, Vec<_>) = reservations.iter().map(|wish| repository(&wish.scope)).unzip();
    let results: Option<Vec<String>> = sqlx::Row::try_get(
        &db.query(RESERVE)
            .bind(proof.epoch().get())
            .bind(texts(|wish| wish.name.to_string()))
            .bind(numbers(|wish| wish.scope.entity.get()))
            .bind(texts(|wish| wish.scope.login.to_string()))
            .bind(texts(|wish| wish.scope.scope().kind().to_string()))
            .bind(numbers(|wish| wish.scope.installation.get()))
            .bind(repo_ids)
            .bind(repos)
            .bind(texts(|wish| serde_json::json!(wish.labels).to_string()))
            .bind(texts(|wish| key(wish).to_string()))
            .bind(texts(|wish| wish.pool.to_string()))
            .bind(texts(|wish| wish.image.to_string()))
            .bind(reservations.iter().map(|wish| wish.at.to_sqlx()).collect::<Vec<_>>())
            .bind(caps(|wish| wish.entity_cap))
            .bind(caps(|wish| wish.pool_cap))
            .bind(numbers(|wish| i64::from(wish.warm)))
            .fetch_one(&db.pool)
            .await
            .map_err(|error| port_error(OPERATION, error))?,
        0,
    )
    .map_err(|error| port_error(OPERATION, error))?;
    results.ok_or_else(|| not_leader(OPERATION))?.iter().map(|result| read(result)).collect()
}

fn read(result: &str) -> PortResult<Reserved> {
    Ok(match result {
        "reserved" => Reserved::Yes,
        "name_taken" => Reserved::NameTaken,
        "entity_at_cap" => Reserved::EntityAtCap,
        "pool_at_cap" => Reserved::PoolAtCap,
        "demand_met" => Reserved::DemandMet,
        other => {
            let message =
                format!("reserve_workers answered {other:?}; is the schema newer than this program?");
            return Err(PortError::new(PortErrorKind::Bug, OPERATION, message));
        }
    })
}
