//! What the scheduler must know besides demand and supply: controls, back-offs, quarantines, refused images,
//! installations.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use riscv_runner_core::{
    backoff::Backoff,
    controls::{Controls, Note, Revocation},
    ids::{EntityId, ImageRef, NodeName, PoolName, RepoName, WorkerName},
    policy::Cap,
    ports::{INSTALLATION_NEWS, LeaderProof, PortResult, Standing},
    quarantine::Quarantine,
    scope::PoolKey,
};
use serde::Deserialize;
use sqlx::{FromRow, types::Json};

use crate::{
    db::Db,
    demand::count,
    error::{not_leader, port_error},
    installations::InstallationRecord,
    lease::fence,
    pool_key::parse_pool_key,
    rows::{BadRow, readable},
    statement::Statement,
};

/// One row, a list per table: they are read in one snapshot.
const STANDING: &str = "SELECT \
     (SELECT coalesce(jsonb_agg(c), '[]') FROM controls c) AS controls, \
     (SELECT coalesce(jsonb_agg(r), '[]') FROM revocations r WHERE EXISTS (SELECT FROM workers w \
          WHERE w.pod_name = r.worker AND w.status IN ('pending', 'running'))) AS revocations, \
     (SELECT coalesce(jsonb_agg(b), '[]') FROM pool_backoffs b) AS backoffs, \
     (SELECT coalesce(jsonb_agg(q), '[]') FROM board_quarantines q) AS quarantines, \
     (SELECT coalesce(jsonb_agg(i), '[]') FROM refused_images i) AS images, \
     (SELECT coalesce(jsonb_agg(n), '[]') FROM installations n \
      WHERE n.learned_at > now() - make_interval(secs => $1)) AS installations, \
     (SELECT swept_until FROM sweeps WHERE name = 'deliveries') AS deliveries_swept";

#[derive(FromRow)]
struct StandingRecord {
    controls: Json<Vec<ControlRecord>>,
    revocations: Json<Vec<RevocationRecord>>,
    backoffs: Json<Vec<BackoffRecord>>,
    quarantines: Json<Vec<QuarantineRecord>>,
    images: Json<Vec<ImageRecord>>,
    installations: Json<Vec<InstallationRecord>>,
    deliveries_swept: Option<SqlTimestamp>,
}

#[derive(Deserialize)]
struct ControlRecord {
    action: String,
    target_kind: String,
    target_name: String,
    max_workers: Option<i64>,
    reason: String,
    actor: String,
    since: Timestamp,
}

#[derive(Deserialize)]
struct RevocationRecord {
    worker: String,
    force: bool,
    reason: String,
    actor: String,
    since: Timestamp,
}

#[derive(Deserialize)]
struct BackoffRecord {
    pool_key: String,
    failures: i64,
    since: Timestamp,
    until: Timestamp,
}

#[derive(Deserialize)]
struct QuarantineRecord {
    node: String,
    strikes: i64,
    times: i64,
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
struct ImageRecord {
    image: String,
    since: Timestamp,
}

impl ControlRecord {
    fn add_to(self, controls: &mut Controls) -> Result<(), BadRow> {
        let bad = |problem: String| {
            BadRow::new(
                format!("controls {} {} {:?}", self.action, self.target_kind, self.target_name),
                problem,
            )
        };
        let note = Note { reason: self.reason.clone(), actor: self.actor.clone(), since: self.since };
        let entity = || self.target_name.parse::<EntityId>().map_err(|error| bad(error.to_string()));
        match (self.action.as_str(), self.target_kind.as_str()) {
            ("pause", "everything") => controls.everything_paused = Some(note),
            ("pause", "entity") => drop(controls.paused_entities.insert(entity()?, note)),
            ("pause", "repository") => {
                let repo = RepoName::new(&self.target_name).map_err(|error| bad(error.to_string()))?;
                controls.paused_repos.insert(repo, note);
            }
            ("drain", "pool") => {
                let pool = PoolName::new(&self.target_name).map_err(|error| bad(error.to_string()))?;
                controls.drained_pools.insert(pool, note);
            }
            ("drain", "board") => {
                let node = NodeName::new(&self.target_name).map_err(|error| bad(error.to_string()))?;
                controls.drained_nodes.insert(node, note);
            }
            ("limit", "entity") => {
                let cap = self.max_workers.map_or(Cap::Unlimited, |n| Cap::AtMost(count(n)));
                controls.entity_caps.insert(entity()?, (cap, note));
            }
            ("ban", "entity") => drop(controls.banned_entities.insert(entity()?, note)),
            _ => return Err(bad("no such control".into())),
        }
        Ok(())
    }
}

impl RevocationRecord {
    fn read(self) -> Result<(WorkerName, Revocation), BadRow> {
        let worker = WorkerName::new(&self.worker).map_err(|error| BadRow::new("revocations", error))?;
        let note = Note { reason: self.reason, actor: self.actor, since: self.since };
        Ok((worker, Revocation { note, force: self.force }))
    }
}

impl BackoffRecord {
    fn read(self) -> Result<(PoolKey, Backoff), BadRow> {
        let key = parse_pool_key(&self.pool_key).map_err(|error| BadRow::new("pool_backoffs", error))?;
        Ok((key, Backoff { failures: count(self.failures), since: self.since, until: self.until }))
    }
}

impl QuarantineRecord {
    fn read(self) -> Result<(NodeName, Quarantine), BadRow> {
        let node = NodeName::new(&self.node).map_err(|error| BadRow::new("board_quarantines", error))?;
        Ok((node, Quarantine { strikes: count(self.strikes), times: count(self.times), until: self.until }))
    }
}

impl ImageRecord {
    fn read(self) -> Result<(ImageRef, Timestamp), BadRow> {
        let image = ImageRef::new(&self.image).map_err(|error| BadRow::new("refused_images", error))?;
        Ok((image, self.since))
    }
}

/// What the scheduler must know besides demand and supply, in one statement.
pub(crate) async fn standing(db: &Db) -> PortResult<Standing> {
    const OPERATION: &str = "read controls and back-offs";
    let record = db
        .query(STANDING)
        .bind(INSTALLATION_NEWS.as_secs_f64())
        .fetch_one(&db.pool)
        .await
        .and_then(|row| StandingRecord::from_row(&row))
        .map_err(|error| port_error(OPERATION, error))?;
    let mut controls = Controls::default();
    readable(record.controls.0.into_iter().map(|control| control.add_to(&mut controls)));
    controls.revoked_workers = keyed(record.revocations.0, RevocationRecord::read);
    Ok(Standing {
        controls,
        backoffs: keyed(record.backoffs.0, BackoffRecord::read),
        quarantines: keyed(record.quarantines.0, QuarantineRecord::read),
        refused_images: keyed(record.images.0, ImageRecord::read),
        installations: readable(record.installations.0.into_iter().map(InstallationRecord::read))
            .into_iter()
            .collect(),
        deliveries_swept: record.deliveries_swept.map(SqlTimestamp::to_jiff),
    })
}

fn keyed<R, K: Ord, V>(records: Vec<R>, read: fn(R) -> Result<(K, V), BadRow>) -> BTreeMap<K, V> {
    readable(records.into_iter().map(read)).into_iter().collect()
}

/// Runs a statement whose one column says whether it passed the fence; `$1` is the epoch.
pub(crate) async fn fenced(db: &Db, operation: &'static str, statement: Statement) -> PortResult<()> {
    use sqlx::Row;
    let row = statement.fetch_one(&db.pool).await.map_err(|error| port_error(operation, error))?;
    let leads: bool = row.try_get(0).map_err(|error| port_error(operation, error))?;
    if leads { Ok(()) } else { Err(not_leader(operation)) }
}

/// Marks an image as refused, or as accepted again.
pub(crate) async fn refuse_image(
    db: &Db,
    proof: &LeaderProof,
    image: &ImageRef,
    since: Option<Timestamp>,
) -> PortResult<()> {
    let statement = match since {
        Some(since) => db
            .query(concat!(
                "WITH ",
                fence!(),
                ", written AS (INSERT INTO refused_images (image, since) \
                     SELECT $2, $3 WHERE EXISTS (SELECT FROM fence) \
                     ON CONFLICT (image) DO UPDATE SET since = excluded.since) \
                 SELECT EXISTS (SELECT FROM fence)"
            ))
            .bind(proof.epoch().get())
            .bind(image.to_string())
            .bind(since.to_sqlx()),
        None => db
            .query(concat!(
                "WITH ",
                fence!(),
                ", written AS (DELETE FROM refused_images WHERE image = $2 AND EXISTS (SELECT FROM fence)) \
                 SELECT EXISTS (SELECT FROM fence)"
            ))
            .bind(proof.epoch().get())
            .bind(image.to_string()),
    };
    fenced(db, "mark an image", statement).await
}

/// Clears the back-off of a key.
pub(crate) async fn clear_backoff(db: &Db, proof: &LeaderProof, key: &PoolKey) -> PortResult<()> {
    let statement = db
        .query(concat!(
            "WITH ",
            fence!(),
            ", written AS (DELETE FROM pool_backoffs WHERE pool_key = $2 AND EXISTS (SELECT FROM fence)) \
             SELECT EXISTS (SELECT FROM fence)"
        ))
        .bind(proof.epoch().get())
        .bind(key.to_string());
    fenced(db, "clear a back-off", statement).await
}

/// Replaces a board's quarantine.
pub(crate) async fn set_quarantine(
    db: &Db,
    proof: &LeaderProof,
    node: &NodeName,
    quarantine: Option<&Quarantine>,
) -> PortResult<()> {
    let statement = match quarantine {
        Some(held) => db
            .query(concat!(
                "WITH ",
                fence!(),
                ", written AS (INSERT INTO board_quarantines (node, strikes, times, until) \
                     SELECT $2, $3, $4, $5 WHERE EXISTS (SELECT FROM fence) \
                     ON CONFLICT (node) DO UPDATE \
                     SET strikes = excluded.strikes, times = excluded.times, until = excluded.until) \
                 SELECT EXISTS (SELECT FROM fence)"
            ))
            .bind(proof.epoch().get())
            .bind(node.to_string())
            .bind(i64::from(held.strikes))
            .bind(i64::from(held.times))
            .bind(held.until.map(ToSqlx::to_sqlx)),
        None => db
            .query(concat!(
                "WITH ",
                fence!(),
                ", written AS (DELETE FROM board_quarantines WHERE node = $2 AND EXISTS (SELECT FROM fence)) \
                 SELECT EXISTS (SELECT FROM fence)"
            ))
            .bind(proof.epoch().get())
            .bind(node.to_string()),
    };
    fenced(db, "set a quarantine", statement).await
}
