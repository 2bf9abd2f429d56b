//! Demand: counts that cost what changed, and the heads of the queues through index probes.
//!
//! Nothing here reads the backlog.

use std::collections::BTreeMap;

use jiff_sqlx::Timestamp as SqlTimestamp;
use riscv_runner_core::{
    ids::{EntityId, JobId, PoolName, RepoName},
    labels::LabelSet,
    ports::{HeadRequest, PoolShare, PortResult},
    scope::PoolKey,
    snapshot::{Demand, DemandByKey, PendingJob},
};
use sqlx::{FromRow, postgres::PgRow, types::Json};

use crate::{
    db::Db,
    error::port_error,
    pool_key::parse_pool_key,
    rows::{BadRow, ScopeRecord, read_placement, readable},
};

/// How many changes are left to be added up by every reader before one of them folds them into the totals.
const FOLD_AT: i64 = 256;

/// Totals and what changed since: together the exact count in the statement's snapshot.
macro_rules! counted {
    ($condition:literal) => {
        concat!(
            "SELECT pool_key, k8s_pool, sum(pending)::bigint AS pending, sum(running)::bigint AS running FROM ( \
                 SELECT pool_key, k8s_pool, pending, running FROM pool_demand ",
            $condition,
            " UNION ALL \
                 SELECT pool_key, k8s_pool, pending, running FROM pool_demand_deltas ",
            $condition,
            ") parts GROUP BY pool_key, k8s_pool"
        )
    };
}
pub(crate) use counted;

pub(crate) const DEMAND: &str = concat!(
    "SELECT c.pool_key, c.k8s_pool AS demand_pool, c.pending, c.running, front.*, \
            (SELECT count(*) FROM pool_demand_deltas) AS changes \
     FROM (",
    counted!(""),
    ") c LEFT JOIN LATERAL ( \
         SELECT j.job_id, j.job_created_at, j.repo_full_name, j.entity_id, j.entity_name, \
                j.entity_type::text, j.installation_id, j.repo_id, j.job_labels, j.k8s_pool, j.k8s_image \
         FROM jobs j \
         WHERE j.pool_key = c.pool_key AND j.status = 'pending' \
         ORDER BY j.job_created_at, j.job_id LIMIT 1 \
     ) front ON c.pending > 0 \
     WHERE c.pending <> 0 OR c.running <> 0"
);

/// Of the keys asked for, those whose jobs all wait for one pool take part with as many rows as they
/// have a share of, and only those keys whose first job is among the oldest of the share: N slots are
/// filled from at most N keys.
pub(crate) const WAITING: &str = concat!(
    "WITH heads AS ( \
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $8::bigint[]) \
             AS h (pool_key, skip, wanted, account) \
     ), shares AS ( \
         SELECT * FROM unnest($5::text[], $6::bigint[], $7::bigint[]) AS s (pool, free, account) \
     ), spread AS ( \
         SELECT pool_key, count(*) = 1 AS one_pool FROM (",
    counted!("WHERE pool_key = ANY ($1)"),
    ") c WHERE pending > 0 GROUP BY pool_key \
     ), first AS ( \
         SELECT h.*, s.free, coalesce(spread.one_pool, false) AS one_pool, \
                row_number() OVER (PARTITION BY f.k8s_pool, s.account \
                                   ORDER BY f.job_created_at, f.job_id) AS place \
         FROM heads h CROSS JOIN LATERAL ( \
             SELECT j.job_created_at, j.job_id, j.k8s_pool FROM jobs j \
             WHERE j.pool_key = h.pool_key AND j.status = 'pending' AND lower(j.repo_full_name COLLATE \"C\") <> ALL ($4) \
             ORDER BY j.job_created_at, j.job_id OFFSET h.skip LIMIT least(h.wanted, 1) \
         ) f \
         LEFT JOIN shares s ON s.pool = f.k8s_pool AND (s.account IS NULL OR s.account = h.account) \
         LEFT JOIN spread ON spread.pool_key = h.pool_key \
     ), kept AS ( \
         SELECT pool_key, skip, account, \
                CASE WHEN one_pool THEN least(wanted, free) ELSE wanted END AS wanted \
         FROM first WHERE NOT one_pool OR free IS NULL OR place <= free \
     ), oldest AS ( \
         SELECT k.pool_key, j.*, s.free, \
                row_number() OVER (PARTITION BY j.k8s_pool, s.account \
                                   ORDER BY j.job_created_at, j.job_id) AS place \
         FROM kept k CROSS JOIN LATERAL ( \
             SELECT j.job_id, j.job_created_at, j.repo_full_name, j.entity_id, j.entity_name, \
                    j.entity_type::text, j.installation_id, j.repo_id, j.job_labels, j.k8s_pool, j.k8s_image \
             FROM jobs j \
             WHERE j.pool_key = k.pool_key AND j.status = 'pending' AND lower(j.repo_full_name COLLATE \"C\") <> ALL ($4) \
             ORDER BY j.job_created_at, j.job_id OFFSET k.skip LIMIT k.wanted \
         ) j LEFT JOIN shares s ON s.pool = j.k8s_pool AND (s.account IS NULL OR s.account = k.account) \
     ) \
     SELECT * FROM oldest WHERE free IS NULL OR place <= free ORDER BY job_created_at, job_id"
);

/// Moves changes into the totals. Several may do so at once: each takes changes that nobody else holds.
const FOLD: &str = "WITH taken AS ( \
         DELETE FROM pool_demand_deltas WHERE id IN ( \
             SELECT id FROM pool_demand_deltas ORDER BY id LIMIT 10000 FOR UPDATE SKIP LOCKED) \
         RETURNING pool_key, k8s_pool, pending, running \
     ) \
     INSERT INTO pool_demand AS total (pool_key, k8s_pool, pending, running) \
     SELECT pool_key, k8s_pool, sum(pending), sum(running) FROM taken \
     GROUP BY pool_key, k8s_pool ORDER BY pool_key, k8s_pool \
     ON CONFLICT (pool_key, k8s_pool) DO UPDATE \
     SET pending = total.pending + excluded.pending, running = total.running + excluded.running";

/// Totals of zero say nothing.
const SWEEP: &str = "DELETE FROM pool_demand WHERE pending = 0 AND running = 0";

#[derive(FromRow)]
struct DemandRecord {
    pool_key: String,
    demand_pool: String,
    pending: i64,
    running: i64,
    /// The first job; its other columns are those of a waiting job.
    job_id: Option<i64>,
    changes: i64,
}

impl DemandRecord {
    /// The key, in the spelling of its first job, for GitHub is told the labels as somebody wrote them; and
    /// that job.
    fn read(&self, row: &PgRow) -> Result<(PoolKey, Option<PendingJob>), BadRow> {
        let bad = |problem: String| BadRow::new(format!("pool_demand {:?}", self.pool_key), problem);
        if self.job_id.is_some() {
            let front = WaitingRecord::from_row(row).map_err(|error| bad(error.to_string()))?;
            let (key, job) = front.read()?;
            return Ok((key, Some(job)));
        }
        Ok((parse_pool_key(&self.pool_key).map_err(|error| bad(error.to_string()))?, None))
    }
}

/// The demand of every key that has any, counted.
pub(crate) async fn demand(db: &Db) -> PortResult<DemandByKey> {
    const OPERATION: &str = "count the demand";
    let rows = db.query(DEMAND).fetch_all(&db.pool).await.map_err(|error| port_error(OPERATION, error))?;
    let records =
        rows.iter().map(|row| Ok((row, DemandRecord::from_row(row)?))).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    if records.first().map(|(_, record)| record).is_some_and(|record| record.changes >= FOLD_AT) {
        fold(db).await?;
    }
    let keyed = readable(records.into_iter().map(|(row, record)| Ok((record.read(row)?, record))));
    let mut demand = DemandByKey::new();
    for ((key, front), record) in keyed {
        let (pending, running) = (count(record.pending), count(record.running));
        let entry: &mut Demand = demand.entry(key).or_default();
        entry.pending = entry.pending.saturating_add(pending);
        entry.running = entry.running.saturating_add(running);
        entry.oldest = entry.oldest.or(front.as_ref().map(|front| front.created_at));
        entry.front = entry.front.take().or(front.map(Box::new));
        if let (Ok(pool), 1..) = (PoolName::new(&record.demand_pool), pending) {
            entry.pending_by_pool.insert(pool, pending);
        }
    }
    Ok(demand)
}

pub(crate) fn count(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

/// Folds changes into the totals, so that the next reader has less to add up.
pub(crate) async fn fold(db: &Db) -> PortResult<()> {
    for statement in [FOLD, SWEEP] {
        db.query(statement)
            .execute(&db.pool)
            .await
            .map_err(|error| port_error("fold the counts of demand", error))?;
    }
    Ok(())
}

#[derive(FromRow)]
struct WaitingRecord {
    pool_key: String,
    job_id: i64,
    job_created_at: SqlTimestamp,
    #[sqlx(flatten)]
    scope: ScopeRecord,
    job_labels: Json<Vec<String>>,
    k8s_pool: Option<String>,
    k8s_image: Option<String>,
}

impl WaitingRecord {
    fn read(self) -> Result<(PoolKey, PendingJob), BadRow> {
        let id = self.job_id;
        self.parse().map_err(|problem| BadRow::new(format!("jobs row {id}"), problem))
    }

    fn parse(self) -> Result<(PoolKey, PendingJob), Box<dyn std::error::Error>> {
        let key = PoolKey {
            labels: LabelSet::new(self.job_labels.0)?,
            scope: parse_pool_key(&self.pool_key)?.scope,
        };
        let job = PendingJob {
            id: JobId::new(self.job_id)?,
            created_at: self.job_created_at.to_jiff(),
            repo: RepoName::new(self.scope.repo_full_name.as_deref().unwrap_or_default())?,
            scope: self.scope.read()?,
            placement: read_placement(self.k8s_pool, self.k8s_image.as_deref())?,
        };
        Ok((key, job))
    }
}

/// The waiting jobs asked for.
pub(crate) async fn waiting(
    db: &Db,
    heads: &[HeadRequest],
    except: &[RepoName],
    shares: &[PoolShare],
) -> PortResult<BTreeMap<PoolKey, Vec<PendingJob>>> {
    const OPERATION: &str = "read waiting jobs";
    if heads.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = db
        .query(WAITING)
        .bind(heads.iter().map(|head| head.key.to_string()).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| i64::from(head.skip)).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| i64::from(head.limit)).collect::<Vec<_>>())
        .bind(except.iter().map(RepoName::canonical).collect::<Vec<_>>())
        .bind(shares.iter().map(|share| share.pool.to_string()).collect::<Vec<_>>())
        .bind(shares.iter().map(|share| i64::from(share.rows)).collect::<Vec<_>>())
        .bind(shares.iter().map(|share| share.entity.map(EntityId::get)).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| head.key.scope.entity().get()).collect::<Vec<_>>())
        .fetch_all(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(WaitingRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    let mut waiting: BTreeMap<PoolKey, Vec<PendingJob>> = BTreeMap::new();
    for (key, job) in readable(records.into_iter().map(WaitingRecord::read)) {
        waiting.entry(key).or_default().push(job);
    }
    Ok(waiting)
}
