//! Reservations: rows of workers before anything is made, where every cap is taken.
//!
//! Reservers of one schema take turns, so what is counted is still so when the rows are written.

use std::collections::{BTreeMap, BTreeSet};

use jiff_sqlx::ToSqlx;
use riscv_runner_core::{
    ids::{EntityId, PoolName},
    ports::{LeaderProof, PortResult, Reservation, Reserved},
    scope::PoolKey,
};
use sqlx::{PgConnection, Row};

use crate::{
    db::Db,
    demand::{count, counted},
    error::{not_leader, port_error},
    rows::workers_with_jobs,
    workers::repository,
};

const OPERATION: &str = "reserve workers";

/// Passes the fence and waits for the reserver before us. The counting statement comes after it, so
/// its snapshot holds what that one wrote.
const TAKE_TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended('riscv-runner reserves ' || $2, 0))::text \
     FROM leases WHERE name = 'leader' AND epoch = $1 FOR SHARE";

const COUNT: &str = concat!(
    "SELECT 'entity' AS what, entity_id::text AS name, count(*) AS n FROM workers \
         WHERE status IN ('pending', 'running') AND entity_id = ANY ($1) GROUP BY entity_id \
     UNION ALL \
     SELECT 'pool', k8s_pool, count(*) FROM workers \
         WHERE status IN ('pending', 'running') AND k8s_pool = ANY ($2) GROUP BY k8s_pool \
     UNION ALL \
     SELECT 'supply', w.pool_key, count(*) FROM ",
    workers_with_jobs!(),
    "    WHERE w.status IN ('pending', 'running') AND w.pool_key = ANY ($3) AND w.gone_at IS NULL \
           AND (known.status IS NULL OR known.status IN ('pending', 'running')) GROUP BY w.pool_key \
     UNION ALL \
     SELECT 'demand', pool_key, sum(pending + running)::bigint FROM (",
    counted!("WHERE pool_key = ANY ($3)"),
    "    ) c GROUP BY pool_key \
     UNION ALL \
     SELECT 'taken', pod_name, 1 FROM workers WHERE pod_name = ANY ($4)"
);

/// What is used of every cap that the reservations touch.
#[derive(Debug, Default)]
struct Used {
    entities: BTreeMap<EntityId, u32>,
    pools: BTreeMap<PoolName, u32>,
    supply: BTreeMap<String, u32>,
    demand: BTreeMap<String, u32>,
    names: BTreeSet<String>,
}

impl Used {
    /// Takes one reservation out of the caps, or says which is used up.
    fn take(&mut self, reservation: &Reservation) -> Reserved {
        let key = key(reservation).to_string();
        let entity = self.entities.entry(reservation.scope.entity).or_default();
        let pool = self.pools.entry(reservation.pool.clone()).or_default();
        let wanted = self.demand.get(&key).copied().unwrap_or(0).saturating_add(reservation.warm);
        let supply = self.supply.entry(key).or_default();
        if self.names.contains(reservation.name.as_str()) {
            return Reserved::NameTaken;
        }
        if reservation.entity_cap.is_some_and(|cap| *entity >= cap) {
            return Reserved::EntityAtCap;
        }
        if reservation.pool_cap.is_some_and(|cap| *pool >= cap) {
            return Reserved::PoolAtCap;
        }
        if *supply >= wanted {
            return Reserved::DemandMet;
        }
        *entity += 1;
        *pool += 1;
        *supply += 1;
        self.names.insert(reservation.name.to_string());
        Reserved::Yes
    }
}

fn key(reservation: &Reservation) -> PoolKey {
    PoolKey { scope: reservation.scope.scope(), labels: reservation.labels.clone() }
}

/// Writes the rows, each unless it would exceed a cap: three statements for any number of them.
pub(crate) async fn reserve(
    db: &Db,
    proof: &LeaderProof,
    reservations: &[Reservation],
) -> PortResult<Vec<Reserved>> {
    let failed = |error| port_error(OPERATION, error);
    if reservations.is_empty() {
        return Ok(Vec::new());
    }
    let mut transaction = db.begin(OPERATION).await?;
    let turn = db
        .query(TAKE_TURN)
        .bind(proof.epoch().get())
        .bind(db.schema.to_string())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
    if turn.is_none() {
        return Err(not_leader(OPERATION));
    }
    let mut used = count_used(db, &mut transaction, reservations).await?;
    let mut results: Vec<Reserved> = reservations.iter().map(|wish| used.take(wish)).collect();
    let granted: Vec<&Reservation> = reservations
        .iter()
        .zip(&results)
        .filter(|(_, result)| matches!(result, Reserved::Yes))
        .map(|(wish, _)| wish)
        .collect();
    if !granted.is_empty() {
        let written = insert(db, &mut transaction, &granted).await?;
        transaction.commit().await.map_err(failed)?;
        for (wish, result) in reservations.iter().zip(&mut results) {
            // A pod of that name was adopted since we counted.
            if matches!(result, Reserved::Yes) && !written.contains(wish.name.as_str()) {
                *result = Reserved::NameTaken;
            }
        }
    }
    Ok(results)
}

async fn count_used(
    db: &Db,
    connection: &mut PgConnection,
    reservations: &[Reservation],
) -> PortResult<Used> {
    let failed = |error| port_error(OPERATION, error);
    let entities: BTreeSet<i64> = reservations.iter().map(|wish| wish.scope.entity.get()).collect();
    let pools: BTreeSet<&str> = reservations.iter().map(|wish| wish.pool.as_str()).collect();
    let keys: BTreeSet<String> = reservations.iter().map(|wish| key(wish).to_string()).collect();
    let names: Vec<String> = reservations.iter().map(|wish| wish.name.to_string()).collect();
    let rows = db
        .query(COUNT)
        .bind(entities.into_iter().collect::<Vec<_>>())
        .bind(pools.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>())
        .bind(keys.into_iter().collect::<Vec<_>>())
        .bind(names)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let mut used = Used::default();
    for row in rows {
        let what: String = row.try_get(0).map_err(failed)?;
        let name: String = row.try_get(1).map_err(failed)?;
        let n = count(row.try_get(2).map_err(failed)?);
        match what.as_str() {
            "entity" => used.entities.extend(name.parse::<EntityId>().map(|entity| (entity, n))),
            "pool" => used.pools.extend(PoolName::new(name).map(|pool| (pool, n))),
            "supply" => drop(used.supply.insert(name, n)),
            "demand" => drop(used.demand.insert(name, n)),
            _ => drop(used.names.insert(name)),
        }
    }
    Ok(used)
}

async fn insert(
    db: &Db,
    connection: &mut PgConnection,
    granted: &[&Reservation],
) -> PortResult<BTreeSet<String>> {
    let column = |text: fn(&Reservation) -> String| granted.iter().map(|wish| text(wish)).collect::<Vec<_>>();
    let (repo_ids, repos): (Vec<_>, Vec<_>) = granted.iter().map(|wish| repository(&wish.scope)).unzip();
    let rows = db
        .query(
            "INSERT INTO workers (pod_name, entity_id, entity_name, entity_type, installation_id, repo_id, \
                    repo_full_name, job_labels, pool_key, k8s_pool, k8s_image, status, created_at) \
             SELECT v.name, v.entity_id, v.login, v.kind::entity_type_enum, v.installation_id, v.repo_id, v.repo, \
                    v.labels::jsonb, v.pool_key, v.pool, v.image, 'pending', v.at \
             FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], \
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::timestamptz[]) \
                  AS v (name, entity_id, login, kind, installation_id, repo_id, repo, labels, pool_key, pool, image, at) \
             ON CONFLICT (pod_name) DO NOTHING RETURNING pod_name",
        )
        .bind(column(|wish| wish.name.to_string()))
        .bind(granted.iter().map(|wish| wish.scope.entity.get()).collect::<Vec<_>>())
        .bind(column(|wish| wish.scope.login.to_string()))
        .bind(column(|wish| wish.scope.scope().kind().to_string()))
        .bind(granted.iter().map(|wish| wish.scope.installation.get()).collect::<Vec<_>>())
        .bind(repo_ids)
        .bind(repos)
        .bind(column(|wish| serde_json::json!(wish.labels).to_string()))
        .bind(column(|wish| key(wish).to_string()))
        .bind(column(|wish| wish.pool.to_string()))
        .bind(column(|wish| wish.image.to_string()))
        .bind(granted.iter().map(|wish| wish.at.to_sqlx()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    rows.iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(|error| port_error(OPERATION, error))
}
