//! Recording deliveries: each job's change and its row of the log in one transaction, shared by a batch.
//!
//! A batch costs the same few statements whatever its size; a record that PostgreSQL refuses fails alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, JobWrite, Outcome, Recorded},
    ids::DeliveryGuid,
    job::JobState,
    ports::{PortError, PortErrorKind, PortResult},
};
use sqlx::{PgConnection, Row};

mod columns;
mod fold;

pub(crate) use self::{columns::insert_job, fold::NewJob};
use self::{
    columns::{JobColumns, LogColumns, insert_jobs, insert_log},
    fold::{JobFold, JobId64, by_job},
};
use crate::{
    db::Db,
    error::{blames_a_value, port_error},
    installations,
    rows::{JobStateRecord, StateColumns, all_readable},
};

const OPERATION: &str = "record deliveries";

/// Records a batch; see the port.
pub(crate) async fn record(db: &Db, batch: &[DeliveryRecord]) -> PortResult<Vec<PortResult<Recorded>>> {
    let mut results: Vec<Option<PortResult<Recorded>>> = batch.iter().map(|_| None).collect();
    let mut parts: Vec<Vec<usize>> = vec![(0..batch.len()).collect()];
    while let Some(part) = parts.pop() {
        let error = match write_part(db, batch, &part, &mut results).await {
            Ok(()) => continue,
            Err(error) => error,
        };
        let left: Vec<usize> = part.into_iter().filter(|n| results[*n].is_none()).collect();
        match left.as_slice() {
            [only] if blames_a_value(&error) => results[*only] = Some(Err(error)),
            [_, _, ..] if blames_a_value(&error) => {
                let (first, second) = left.split_at(left.len() / 2);
                parts.push(second.to_vec());
                parts.push(first.to_vec());
            }
            _ if results.iter().all(Option::is_none) => return Err(error),
            _ => {
                // What is committed is acknowledged; of the rest nothing is known.
                for result in results.iter_mut().filter(|result| result.is_none()) {
                    *result = Some(Err(PortError::new(error.kind(), OPERATION, error.chain())));
                }
                break;
            }
        }
    }
    Ok(results.into_iter().map(|result| result.unwrap_or_else(|| Err(unanswered()))).collect())
}

fn unanswered() -> PortError {
    PortError::new(PortErrorKind::Bug, OPERATION, "a record of the batch was left out")
}

/// Writes the records of a part: those of jobs that are probably new and of none in one statement,
/// the others in a transaction that locks their jobs. Fills in `results` as it commits.
async fn write_part(
    db: &Db,
    batch: &[DeliveryRecord],
    part: &[usize],
    results: &mut [Option<PortResult<Recorded>>],
) -> PortResult<()> {
    let mut folds = by_job(batch, part);
    let fresh: BTreeMap<JobId64, JobFold<'_>> =
        folds.extract_if(.., |_, fold| fold.is_probably_new()).collect();
    let without_job: Vec<usize> =
        part.iter().copied().filter(|n| matches!(batch[*n].effect, Effect::Nothing(_))).collect();
    if !fresh.is_empty() || !without_job.is_empty() {
        let known = write_fresh(db, batch, fresh, &without_job, results).await?;
        folds.extend(known);
    }
    if folds.is_empty() { Ok(()) } else { write_known(db, batch, folds, results).await }
}

/// One statement, which is its own transaction: inserts the jobs that are not there, and the log's
/// rows of those. Returns the jobs that are there.
async fn write_fresh<'a>(
    db: &Db,
    batch: &[DeliveryRecord],
    mut fresh: BTreeMap<JobId64, JobFold<'a>>,
    without_job: &[usize],
    results: &mut [Option<PortResult<Recorded>>],
) -> PortResult<BTreeMap<JobId64, JobFold<'a>>> {
    let mut jobs = JobColumns::default();
    let mut entries: Vec<(usize, Option<JobWrite>, Option<JobId64>)> =
        without_job.iter().map(|n| (*n, None, None)).collect();
    let mut wakes = false;
    for (id, fold) in &mut fresh {
        fold.run(None);
        if let Some(insert) = fold.insert() {
            jobs.push(insert);
        }
        wakes |= fold.wakes_scheduler();
        entries.extend(fold.writes().map(|(n, write)| (n, Some(write), Some(*id))));
    }
    entries.sort_by_key(|(n, ..)| (batch[*n].log.guid.clone(), *n));
    let log = LogColumns::new(batch, &entries);
    let statement = columns::bind_log(columns::bind_jobs(db.query(columns::WRITE_FRESH), jobs), log)
        .bind(wakes.then_some(db.channel.as_deref()).flatten().map(ToOwned::to_owned));
    let failed = |error| port_error(OPERATION, error);
    let news = db.installations.news(entries.iter().map(|(n, ..)| &batch[*n]));
    let row = if news.is_empty() {
        statement.fetch_one(&db.pool).await.map_err(failed)?
    } else {
        let mut transaction = db.begin(OPERATION).await?;
        let row = statement.fetch_one(&mut *transaction).await.map_err(failed)?;
        if installations::learn(db, &mut transaction, &news).await? && !wakes {
            notify(db, &mut transaction).await?;
        }
        db.commit(OPERATION, transaction).await?;
        db.installations.committed(&news);
        row
    };
    let inserted: BTreeSet<i64> =
        row.try_get::<Vec<i64>, _>(0).map_err(|error| port_error(OPERATION, error))?.into_iter().collect();
    let logged: Vec<String> = row.try_get(1).map_err(|error| port_error(OPERATION, error))?;
    entries.retain(|(_, _, job)| job.is_none_or(|job| inserted.contains(&job)));
    answer(batch, &entries, logged, results);
    Ok(fresh.into_iter().filter(|(id, _)| !inserted.contains(id)).collect())
}

/// One transaction: locks the jobs in the order of their ids, joins the events, writes the log.
async fn write_known(
    db: &Db,
    batch: &[DeliveryRecord],
    mut folds: BTreeMap<JobId64, JobFold<'_>>,
    results: &mut [Option<PortResult<Recorded>>],
) -> PortResult<()> {
    let mut transaction = db.begin(OPERATION).await?;
    let states = lock_states(db, &mut transaction, folds.keys().copied().collect()).await?;
    let mut missing = Vec::new();
    for (id, fold) in &mut folds {
        let state = states.get(id);
        fold.run(state.cloned());
        if state.is_none() && fold.insert().is_some() {
            missing.push(*id);
        }
    }
    if !missing.is_empty() {
        insert_missing(db, &mut transaction, &mut folds, missing).await?;
    }
    update_moved(db, &mut transaction, &folds).await?;
    let mut entries: Vec<_> = folds
        .iter()
        .flat_map(|(id, fold)| fold.writes().map(|(n, write)| (n, Some(write), Some(*id))))
        .collect();
    entries.sort_by_key(|(n, ..)| (batch[*n].log.guid.clone(), *n));
    let logged = insert_log(db, &mut transaction, LogColumns::new(batch, &entries)).await?;
    let news = db.installations.news(entries.iter().map(|(n, ..)| &batch[*n]));
    let mut wakes = folds.values().any(JobFold::wakes_scheduler);
    if !news.is_empty() {
        wakes |= installations::learn(db, &mut transaction, &news).await?;
    }
    if wakes {
        notify(db, &mut transaction).await?;
    }
    db.commit(OPERATION, transaction).await?;
    db.installations.committed(&news);
    answer(batch, &entries, logged, results);
    Ok(())
}

/// Wakes all listeners, once the transaction is committed.
async fn notify(db: &Db, connection: &mut PgConnection) -> PortResult<()> {
    let Some(channel) = db.channel.clone() else { return Ok(()) };
    db.query("SELECT pg_notify($1, '')")
        .bind(channel)
        .execute(connection)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    Ok(())
}

/// Inserts jobs that had no row; one that somebody else inserted meanwhile is locked and joined instead.
async fn insert_missing(
    db: &Db,
    connection: &mut PgConnection,
    folds: &mut BTreeMap<JobId64, JobFold<'_>>,
    missing: Vec<JobId64>,
) -> PortResult<()> {
    let mut jobs = JobColumns::default();
    for insert in missing.iter().filter_map(|id| folds.get(id).and_then(JobFold::insert)) {
        jobs.push(insert);
    }
    let inserted: BTreeSet<i64> = insert_jobs(db, connection, jobs).await?.into_iter().collect();
    let raced: Vec<i64> = missing.into_iter().filter(|id| !inserted.contains(id)).collect();
    if raced.is_empty() {
        return Ok(());
    }
    let states = lock_states(db, connection, raced.clone()).await?;
    for id in raced {
        let state = states.get(&id).cloned().ok_or_else(|| {
            PortError::new(PortErrorKind::Conflict, OPERATION, format!("job {id} came and went meanwhile"))
        })?;
        if let Some(fold) = folds.get_mut(&id) {
            fold.run(Some(state));
        }
    }
    Ok(())
}

/// The states of those that have a row, locked until the transaction ends.
pub(crate) async fn lock_states(
    db: &Db,
    connection: &mut PgConnection,
    ids: Vec<i64>,
) -> PortResult<BTreeMap<i64, JobState>> {
    let rows = db
        .query(
            "SELECT job_id, status::text, attempt, job_started_at, runner_name, job_completed_at, job_conclusion, \
                    failure_info, former_runners \
             FROM jobs WHERE job_id = ANY ($1) ORDER BY job_id FOR UPDATE",
        )
        .bind(ids)
        .fetch_all(connection)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(sqlx::FromRow::from_row).collect::<Result<Vec<JobStateRecord>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    Ok(all_readable(OPERATION, records.into_iter().map(JobStateRecord::read))?.into_iter().collect())
}

async fn update_moved(
    db: &Db,
    connection: &mut PgConnection,
    folds: &BTreeMap<JobId64, JobFold<'_>>,
) -> PortResult<()> {
    let moved: Vec<(i64, &JobState)> =
        folds.iter().filter_map(|(id, fold)| fold.update().map(|state| (*id, state))).collect();
    if moved.is_empty() { Ok(()) } else { update_states(db, connection, &moved).await }
}

/// Writes the progress of jobs that are locked.
pub(crate) async fn update_states(
    db: &Db,
    connection: &mut PgConnection,
    moved: &[(i64, &JobState)],
) -> PortResult<()> {
    let mut columns = StateColumns::default();
    for (_, state) in moved {
        columns.push(state);
    }
    let ids: Vec<i64> = moved.iter().map(|(id, _)| *id).collect();
    db.query(
        "UPDATE jobs SET status = v.status::status_enum, attempt = v.attempt, job_started_at = v.started_at, \
                runner_name = v.runner, k8s_pod = v.runner, job_completed_at = v.completed_at, \
                job_conclusion = v.conclusion, failure_info = v.failure::jsonb, \
                former_runners = ARRAY(SELECT jsonb_array_elements_text(v.former::jsonb)), \
                updated_at = now() \
         FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::timestamptz[], $5::text[], \
                     $6::timestamptz[], $7::text[], $8::text[], $9::text[]) \
              AS v (job_id, status, attempt, started_at, runner, completed_at, conclusion, failure, former) \
         WHERE jobs.job_id = v.job_id",
    )
    .bind(ids)
    .bind(columns.status)
    .bind(columns.attempt)
    .bind(columns.started_at)
    .bind(columns.runner)
    .bind(columns.completed_at)
    .bind(columns.conclusion)
    .bind(columns.failure)
    .bind(columns.former)
    .execute(connection)
    .await
    .map_err(|error| port_error(OPERATION, error))?;
    Ok(())
}

/// Fills in the results of the committed records: a GUID is logged once.
fn answer(
    batch: &[DeliveryRecord],
    entries: &[(usize, Option<JobWrite>, Option<JobId64>)],
    logged: Vec<String>,
    results: &mut [Option<PortResult<Recorded>>],
) {
    let mut logged: BTreeSet<String> = logged.into_iter().collect();
    let mut order: Vec<_> = entries.iter().collect();
    order.sort_by_key(|(n, ..)| *n);
    for (n, write, _) in order {
        let record = &batch[*n];
        let is_new = record.log.guid.as_ref().is_none_or(|guid| logged.remove(guid.as_str()));
        let outcome = if is_new { record.effect.outcome(*write) } else { Outcome::DuplicateDelivery };
        results[*n] = Some(Ok(Recorded { outcome, job: *write }));
    }
}

/// Which of these GUIDs are in the log.
pub(crate) async fn known(db: &Db, guids: &[DeliveryGuid]) -> PortResult<Vec<DeliveryGuid>> {
    const OPERATION: &str = "look up deliveries";
    let texts: Vec<String> = guids.iter().map(ToString::to_string).collect();
    let rows = db
        .query("SELECT delivery_guid FROM installation_events WHERE delivery_guid = ANY ($1)")
        .bind(texts)
        .fetch_all(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let found: BTreeSet<String> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(|error| port_error(OPERATION, error))?;
    Ok(guids.iter().filter(|guid| found.contains(guid.as_str())).cloned().collect())
}

/// When the newest delivery of a webhook was recorded.
pub(crate) async fn last_at(db: &Db) -> PortResult<Option<Timestamp>> {
    const OPERATION: &str = "find the last delivery";
    let row = db
        .query("SELECT received_at FROM installation_events WHERE source = 'webhook' ORDER BY received_at DESC LIMIT 1")
        .fetch_optional(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let at: Option<SqlTimestamp> =
        row.map(|row| row.try_get(0)).transpose().map_err(|error| port_error(OPERATION, error))?;
    Ok(at.map(SqlTimestamp::to_jiff))
}
