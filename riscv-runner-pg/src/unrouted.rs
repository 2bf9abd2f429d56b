//! Labels that matched no rule, read back from the log of deliveries.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, Login, RepoName},
    labels::LabelSet,
    ports::{PortResult, UnroutedRow},
};
use sqlx::{FromRow, types::Json};

use crate::{
    db::Db,
    error::port_error,
    rows::{BadRow, readable},
};

/// The newest rows of jobs that matched no rule, by job, without those that another runner took.
pub(crate) const UNROUTED: &str = "WITH recent AS ( \
         SELECT event, entity_id, entity_name, entity_type::text AS entity_type, received_at, \
                payload -> 'workflow_job' ->> 'id' AS job, payload -> 'workflow_job' -> 'labels' AS labels, \
                payload -> 'repository' ->> 'full_name' AS repo \
         FROM installation_events \
         WHERE outcome = 'ignored_no_label' AND received_at >= $1 \
         ORDER BY received_at DESC, id DESC LIMIT $2 \
     ), queued AS ( \
         SELECT entity_id, entity_name, entity_type, labels, \
                min(repo) FILTER (WHERE event = 'workflow_job.queued') AS repo, \
                min(received_at) FILTER (WHERE event = 'workflow_job.queued') AS queued_at \
         FROM recent WHERE job IS NOT NULL AND jsonb_typeof(labels) = 'array' AND repo IS NOT NULL \
         GROUP BY entity_id, entity_name, entity_type, labels, job \
         HAVING bool_or(event = 'workflow_job.queued') AND NOT bool_or(event = 'workflow_job.in_progress') \
     ) \
     SELECT entity_id, entity_type, labels, count(*) AS jobs, \
            (array_agg(entity_name ORDER BY queued_at DESC, entity_name DESC))[1] AS entity_name, \
            (array_agg(repo ORDER BY queued_at DESC, repo DESC))[1] AS repo, \
            min(queued_at) AS first_at, max(queued_at) AS last_at \
     FROM queued WHERE entity_id IS NOT NULL \
     GROUP BY entity_id, entity_type, labels \
     ORDER BY max(queued_at) DESC";

#[derive(FromRow)]
struct UnroutedRecord {
    entity_id: i64,
    entity_type: String,
    labels: Json<Vec<String>>,
    jobs: i64,
    entity_name: String,
    repo: String,
    first_at: SqlTimestamp,
    last_at: SqlTimestamp,
}

impl UnroutedRecord {
    fn row(self) -> Result<UnroutedRow, Box<dyn std::error::Error>> {
        Ok(UnroutedRow {
            entity_id: EntityId::new(self.entity_id)?,
            entity_name: Login::new(self.entity_name)?,
            entity_type: EntityKind::parse(&self.entity_type).ok_or("an unknown entity_type")?,
            job_labels: LabelSet::new(self.labels.0)?,
            repo_full_name: RepoName::new(self.repo)?,
            jobs: self.jobs.unsigned_abs(),
            first_queued_at: self.first_at.to_jiff(),
            last_queued_at: self.last_at.to_jiff(),
        })
    }
}

/// Queued jobs that matched no rule and that no other runner took, the latest first.
pub(crate) async fn unrouted(db: &Db, since: Timestamp, limit: u32) -> PortResult<Vec<UnroutedRow>> {
    const OPERATION: &str = "read unrouted labels";
    let rows = db
        .query(UNROUTED)
        .bind(since.to_sqlx())
        .bind(i64::from(limit))
        .fetch_all(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(UnroutedRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    let rows = records
        .into_iter()
        .map(|record| record.row().map_err(|error| BadRow::new("the log's unrouted jobs", error)));
    Ok(merged(readable(rows)))
}

/// Label sets that differ in case only are the same.
fn merged(rows: Vec<UnroutedRow>) -> Vec<UnroutedRow> {
    let mut groups: BTreeMap<(EntityId, LabelSet), UnroutedRow> = BTreeMap::new();
    for row in rows {
        let key = (row.entity_id, row.job_labels.clone());
        let Some(known) = groups.get_mut(&key) else {
            groups.insert(key, row);
            continue;
        };
        known.jobs += row.jobs;
        known.first_queued_at = known.first_queued_at.min(row.first_queued_at);
        if row.last_queued_at > known.last_queued_at {
            known.last_queued_at = row.last_queued_at;
            known.repo_full_name = row.repo_full_name;
        }
    }
    let mut found: Vec<_> = groups.into_values().collect();
    found.sort_by(|a, b| b.last_queued_at.cmp(&a.last_queued_at).then_with(|| key(a).cmp(&key(b))));
    found
}

const fn key(row: &UnroutedRow) -> (EntityId, &LabelSet) {
    (row.entity_id, &row.job_labels)
}
