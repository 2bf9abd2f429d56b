//! Rows of workers: reading them, and changing one at a time by compare-and-set behind the fence.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use riscv_runner_core::{
    ids::WorkerName,
    ports::{Cas, LeaderProof, PortError, PortErrorKind, PortResult, WorkerChange},
    scope::{ScopeRef, Target},
    worker::{Worker, WorkerStatus},
};
use sqlx::{FromRow, Row, postgres::PgRow};

use crate::{
    db::Db,
    error::{not_leader, port_error},
    lease::fence,
    rows::{BadRow, ScopeRecord, WorkerRecord, readable, worker_columns, workers_with_jobs},
};

/// All live workers; the index of live ones keeps history out of it.
pub(crate) const LIVE: &str = concat!(
    "SELECT ",
    worker_columns!(),
    " FROM ",
    workers_with_jobs!(),
    " WHERE w.status IN ('pending', 'running')"
);

fn read_all(operation: &'static str, rows: &[PgRow]) -> PortResult<BTreeMap<WorkerName, Worker>> {
    let records = rows.iter().map(WorkerRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(operation, error))?;
    Ok(readable(records.into_iter().map(WorkerRecord::read))
        .into_iter()
        .map(|row| (row.worker.name.clone(), row.worker))
        .collect())
}

/// All live workers.
pub(crate) async fn live(db: &Db) -> PortResult<BTreeMap<WorkerName, Worker>> {
    const OPERATION: &str = "read live workers";
    let rows = db.query(LIVE).fetch_all(&db.pool).await.map_err(|error| port_error(OPERATION, error))?;
    read_all(OPERATION, &rows)
}

/// These workers, ended ones included.
pub(crate) async fn named(db: &Db, names: &[WorkerName]) -> PortResult<BTreeMap<WorkerName, Worker>> {
    const OPERATION: &str = "read workers";
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = db
        .query(concat!(
            "SELECT ",
            worker_columns!(),
            " FROM ",
            workers_with_jobs!(),
            " WHERE w.pod_name = ANY ($1)"
        ))
        .bind(names.iter().map(ToString::to_string).collect::<Vec<_>>())
        .fetch_all(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    read_all(OPERATION, &rows)
}

/// The scopes of workers reserved or ended since then, each as it was addressed last.
pub(crate) async fn scopes(db: &Db, since: Timestamp) -> PortResult<Vec<ScopeRef>> {
    const OPERATION: &str = "read the scopes of workers";
    let rows = db
        .query(
            "SELECT DISTINCT ON (entity_id, coalesce(repo_id, 0)) \
                    entity_id, entity_name, entity_type::text, installation_id, repo_id, repo_full_name \
             FROM (SELECT * FROM workers WHERE created_at >= $1 \
                   UNION ALL SELECT * FROM workers WHERE completed_at >= $1) recent \
             ORDER BY entity_id, coalesce(repo_id, 0), created_at DESC",
        )
        .bind(since.to_sqlx())
        .fetch_all(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(ScopeRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    Ok(readable(
        records.into_iter().map(|record| record.read().map_err(|error| BadRow::new("workers", error))),
    ))
}

/// Everything that a change may set; what is `None` stays as it is.
#[derive(Default)]
struct Columns<'a> {
    node: Option<&'a str>,
    pod_uid: Option<&'a str>,
    runner: Option<i64>,
    running_at: Option<SqlTimestamp>,
    completed_at: Option<SqlTimestamp>,
    online_at: Option<SqlTimestamp>,
    gone_at: Option<SqlTimestamp>,
    reason: Option<&'static str>,
    info: Option<String>,
    backoff: Option<(i64, SqlTimestamp, SqlTimestamp)>,
    quarantine: Option<(&'a str, i64, i64, Option<SqlTimestamp>)>,
}

impl<'a> Columns<'a> {
    fn of(change: &'a WorkerChange) -> Result<Self, serde_json::Error> {
        let none = Self::default();
        Ok(match change {
            WorkerChange::Provisioned { runner, pod } => {
                Self { runner: runner.map(i64::from), pod_uid: Some(pod.as_str()), ..none }
            }
            WorkerChange::Running { node, at } => {
                Self { node: node.as_ref().map(AsRef::as_ref), running_at: Some(at.to_sqlx()), ..none }
            }
            WorkerChange::Bound { node } => Self { node: Some(node.as_str()), ..none },
            WorkerChange::Completed { at } => Self { completed_at: Some(at.to_sqlx()), ..none },
            WorkerChange::Failed { at, reason, info, backoff, quarantine } => Self {
                completed_at: Some(at.to_sqlx()),
                reason: Some(reason.as_str()),
                info: Some(serde_json::to_string(info)?),
                backoff: backoff.map(|backoff| {
                    (i64::from(backoff.failures), backoff.until.to_sqlx(), backoff.since.to_sqlx())
                }),
                quarantine: quarantine.as_ref().map(|(node, held)| {
                    let until = held.until.map(ToSqlx::to_sqlx);
                    (node.as_str(), i64::from(held.strikes), i64::from(held.times), until)
                }),
                ..none
            },
            WorkerChange::Online { at, runner } => {
                Self { online_at: Some(at.to_sqlx()), runner: Some(runner.get()), ..none }
            }
            WorkerChange::RegistrationGone { at } => Self { gone_at: Some(at.to_sqlx()), ..none },
        })
    }
}

/// One statement: the fence, the compare-and-set, and what follows from it. NUL cannot be stored in
/// `jsonb`, and logs of containers may hold it.
const CHANGE: &str = concat!(
    "WITH ",
    fence!(),
    ", changed AS ( \
         UPDATE workers SET \
             status = coalesce($4::status_enum, status), \
             k8s_node = coalesce($5, k8s_node), \
             pod_uid = coalesce($6, pod_uid), \
             runner_id = coalesce($7, runner_id), \
             running_at = coalesce(running_at, $8), \
             completed_at = coalesce(completed_at, $9), \
             online_at = coalesce(online_at, $10), \
             gone_at = coalesce(gone_at, $11), \
             failure_reason = coalesce($12, failure_reason), \
             failure_info = coalesce($13::jsonb, failure_info), \
             updated_at = now() \
         WHERE pod_name = $2 AND status = $3::status_enum AND EXISTS (SELECT FROM fence) \
         RETURNING pool_key \
     ), backoff AS ( \
         INSERT INTO pool_backoffs (pool_key, failures, until, since) \
         SELECT pool_key, $14, $15, $20 FROM changed WHERE $14::bigint IS NOT NULL \
         ON CONFLICT (pool_key) DO UPDATE \
         SET failures = excluded.failures, until = excluded.until, since = excluded.since \
     ), quarantine AS ( \
         INSERT INTO board_quarantines (node, strikes, times, until) \
         SELECT $16, $17, $18, $19 FROM changed WHERE $16::text IS NOT NULL \
         ON CONFLICT (node) DO UPDATE \
         SET strikes = excluded.strikes, times = excluded.times, until = excluded.until \
     ) \
     SELECT EXISTS (SELECT FROM fence), EXISTS (SELECT FROM changed)"
);

/// Changes one worker's row, if it is still in `from`.
pub(crate) async fn change(
    db: &Db,
    proof: &LeaderProof,
    name: &WorkerName,
    from: WorkerStatus,
    change: &WorkerChange,
) -> PortResult<Cas> {
    const OPERATION: &str = "change a worker";
    let target = change.target();
    if target.is_some_and(|target| !target.sources().contains(&from)) {
        return Ok(Cas::Stale);
    }
    let columns = Columns::of(change)
        .map_err(|error| PortError::new(PortErrorKind::Bug, OPERATION, "failure_info").with_source(error))?;
    let (failures, until, since) = match columns.backoff {
        Some((failures, until, since)) => (Some(failures), Some(until), Some(since)),
        None => (None, None, None),
    };
    let (node, strikes, times, closed) = match columns.quarantine {
        Some((node, strikes, times, until)) => (Some(node), Some(strikes), Some(times), until),
        None => (None, None, None, None),
    };
    let row = db
        .query(CHANGE)
        .bind(proof.epoch().get())
        .bind(name.to_string())
        .bind(from.as_str())
        .bind(target.map(WorkerStatus::as_str))
        .bind(columns.node.map(ToOwned::to_owned))
        .bind(columns.pod_uid.map(ToOwned::to_owned))
        .bind(columns.runner)
        .bind(columns.running_at)
        .bind(columns.completed_at)
        .bind(columns.online_at)
        .bind(columns.gone_at)
        .bind(columns.reason)
        .bind(columns.info.map(without_nul))
        .bind(failures)
        .bind(until)
        .bind(node.map(ToOwned::to_owned))
        .bind(strikes)
        .bind(times)
        .bind(closed)
        .bind(since)
        .fetch_one(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    read_cas(OPERATION, &row)
}

/// JSON without the one character that `jsonb` refuses, wherever a container's log brought it in.
fn without_nul(json: String) -> String {
    if !json.contains("\\u0000") {
        return json;
    }
    let mut clean = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        clean.push_str(before);
        // An escape is a backslash and one character, or `\u` and four digits.
        let length = if escape.starts_with("\\u") { 6 } else { 2 };
        let (escape, after) = escape.split_at(length.min(escape.len()));
        clean.push_str(if escape == "\\u0000" { "\\ufffd" } else { escape });
        rest = after;
    }
    clean.push_str(rest);
    clean
}

/// Reads `(passed the fence, wrote)`.
pub(crate) fn read_cas(operation: &'static str, row: &PgRow) -> PortResult<Cas> {
    let leads: bool = row.try_get(0).map_err(|error| port_error(operation, error))?;
    let wrote: bool = row.try_get(1).map_err(|error| port_error(operation, error))?;
    match (leads, wrote) {
        (false, _) => Err(not_leader(operation)),
        (true, true) => Ok(Cas::Done),
        (true, false) => Ok(Cas::Stale),
    }
}

/// Writes the row of a pod that has none.
pub(crate) async fn adopt(db: &Db, proof: &LeaderProof, worker: &Worker) -> PortResult<Cas> {
    const OPERATION: &str = "adopt a worker";
    let (repo_id, repo) = repository(&worker.scope);
    let (reason, info) = match &worker.failure {
        Some((reason, info)) => (Some(reason.as_str()), Some(serde_json::json!(info).to_string())),
        None => (None, None),
    };
    let row = db
        .query(concat!(
            "WITH ",
            fence!(),
            ", adopted AS ( \
                 INSERT INTO workers (pod_name, entity_id, entity_name, entity_type, installation_id, repo_id, \
                        repo_full_name, job_labels, pool_key, k8s_pool, k8s_image, k8s_node, status, failure_reason, \
                        failure_info, pod_uid, runner_id, created_at, running_at, completed_at, online_at, gone_at) \
                 SELECT $2, $3, $4, $5::text::entity_type_enum, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, \
                        $14::text::status_enum, $15, $16::jsonb, $17, $18, $19, $20, $21, $22, $23 \
                 WHERE EXISTS (SELECT FROM fence) \
                 ON CONFLICT (pod_name) DO NOTHING RETURNING pod_name \
             ) \
             SELECT EXISTS (SELECT FROM fence), EXISTS (SELECT FROM adopted)"
        ))
        .bind(proof.epoch().get())
        .bind(worker.name.to_string())
        .bind(worker.scope.entity.get())
        .bind(worker.scope.login.to_string())
        .bind(worker.scope.scope().kind().as_str())
        .bind(worker.scope.installation.get())
        .bind(repo_id)
        .bind(repo)
        .bind(serde_json::json!(worker.labels).to_string())
        .bind(worker.key().to_string())
        .bind(worker.pool.to_string())
        .bind(worker.image.to_string())
        .bind(worker.node.as_ref().map(ToString::to_string))
        .bind(worker.status.as_str())
        .bind(reason)
        .bind(info.map(without_nul))
        .bind(worker.pod_uid.as_ref().map(ToString::to_string))
        .bind(worker.runner.map(i64::from))
        .bind(worker.created_at.to_sqlx())
        .bind(worker.running_at.map(ToSqlx::to_sqlx))
        .bind(worker.completed_at.map(ToSqlx::to_sqlx))
        .bind(worker.online_at.map(ToSqlx::to_sqlx))
        .bind(worker.gone_at.map(ToSqlx::to_sqlx))
        .fetch_one(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    read_cas(OPERATION, &row)
}

/// The repository of a scope, for its columns.
pub(crate) fn repository(scope: &ScopeRef) -> (Option<i64>, Option<String>) {
    match &scope.target {
        Target::Organization => (None, None),
        Target::Repository { id, name } => (Some(id.get()), Some(name.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_escape_of_nul_is_replaced() {
        let text = "a\0b \\u0000 \" \n \u{1}";
        let json = serde_json::to_string(text).unwrap();
        let clean = without_nul(json);
        assert_eq!(serde_json::from_str::<String>(&clean).unwrap(), "a\u{fffd}b \\u0000 \" \n \u{1}");
        assert_eq!(without_nul("\"plain\"".into()), "\"plain\"");
    }
}
