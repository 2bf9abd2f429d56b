//! Records of a batch as columns, so that one statement takes them all through `unnest`.

use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use riscv_runner_core::{
    delivery::{DeliveryRecord, JobWrite},
    ports::PortResult,
};
use sqlx::{PgConnection, Row};

use super::{
    OPERATION,
    fold::{JobId64, NewJob},
};
use crate::{db::Db, error::port_error, rows::StateColumns, statement::Statement};

/// Rows are inserted in the order of their keys, so that writers that meet wait instead of blocking
/// each other for ever.
macro_rules! insert_jobs {
    () => {
        "INSERT INTO jobs (job_id, run_id, entity_id, entity_name, entity_type, repo_id, repo_full_name, \
                repo_private, installation_id, job_labels, pool_key, k8s_pool, k8s_image, html_url, job_name, \
                job_created_at, status, attempt, job_started_at, runner_name, k8s_pod, job_completed_at, \
                job_conclusion) \
         SELECT v.job_id, v.run_id, v.entity_id, v.entity_name, v.entity_type::entity_type_enum, v.repo_id, \
                v.repo_full_name, v.repo_private, v.installation_id, v.labels::jsonb, v.pool_key, v.pool, v.image, \
                v.html_url, v.job_name, v.created_at, v.status::status_enum, v.attempt, v.started_at, v.runner, \
                v.runner, v.completed_at, v.conclusion \
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[], \
                     $8::boolean[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], \
                     $15::text[], $16::timestamptz[], $17::text[], $18::integer[], $19::timestamptz[], $20::text[], \
                     $21::timestamptz[], $22::text[]) \
              AS v (job_id, run_id, entity_id, entity_name, entity_type, repo_id, repo_full_name, repo_private, \
                    installation_id, labels, pool_key, pool, image, html_url, job_name, created_at, status, attempt, \
                    started_at, runner, completed_at, conclusion) \
         ORDER BY v.job_id \
         ON CONFLICT (job_id) DO NOTHING RETURNING job_id"
    };
}

macro_rules! log_columns {
    () => {
        "(source, event, outcome, installation_id, app_id, entity_type, entity_id, entity_name, payload, \
          received_at, delivery_guid)"
    };
}

macro_rules! log_values {
    () => {
        "SELECT v.source, v.event, v.outcome, v.installation_id, v.app_id, v.entity_type::entity_type_enum, \
                v.entity_id, v.entity_name, v.payload::jsonb, v.received_at, v.guid"
    };
}

macro_rules! log_names {
    () => {
        "AS v (source, event, outcome, installation_id, app_id, entity_type, entity_id, entity_name, payload, \
               received_at, guid, job_id)"
    };
}

/// Jobs that are not there, and the log's rows of those and of no job; `$35` is the channel to notify.
pub(super) const WRITE_FRESH: &str = concat!(
    "WITH inserted AS (",
    insert_jobs!(),
    "), logged AS (INSERT INTO installation_events ",
    log_columns!(),
    " ",
    log_values!(),
    " FROM unnest($23::text[], $24::text[], $25::text[], $26::bigint[], $27::bigint[], $28::text[], $29::bigint[], \
                  $30::text[], $31::text[], $32::timestamptz[], $33::text[], $34::bigint[]) ",
    log_names!(),
    " WHERE v.job_id IS NULL OR v.job_id IN (SELECT job_id FROM inserted) \
      ON CONFLICT (delivery_guid) WHERE delivery_guid IS NOT NULL DO NOTHING RETURNING delivery_guid) \
     SELECT ARRAY(SELECT job_id FROM inserted), \
            ARRAY(SELECT delivery_guid FROM logged WHERE delivery_guid IS NOT NULL), \
            CASE WHEN $35::text IS NOT NULL AND EXISTS (SELECT FROM inserted) THEN pg_notify($35, '')::text END"
);

/// New rows of `jobs`.
#[derive(Default)]
pub(super) struct JobColumns {
    id: Vec<i64>,
    run: Vec<Option<i64>>,
    entity: Vec<i64>,
    login: Vec<String>,
    entity_kind: Vec<&'static str>,
    repo_id: Vec<i64>,
    repo: Vec<String>,
    private: Vec<bool>,
    installation: Vec<i64>,
    labels: Vec<String>,
    key: Vec<String>,
    pool: Vec<String>,
    image: Vec<String>,
    html_url: Vec<Option<String>>,
    name: Vec<Option<String>>,
    created_at: Vec<SqlTimestamp>,
    state: StateColumns,
}

impl JobColumns {
    pub(super) fn push(&mut self, job: NewJob<'_>) {
        let facts = job.facts;
        self.id.push(facts.id.get());
        self.run.push(facts.run.map(i64::from));
        self.entity.push(facts.entity.id.get());
        self.login.push(facts.entity.login.to_string());
        self.entity_kind.push(facts.entity.kind.as_str());
        self.repo_id.push(facts.repo_id.get());
        self.repo.push(facts.repo.to_string());
        self.private.push(facts.private);
        self.installation.push(facts.installation.get());
        self.labels.push(serde_json::json!(facts.labels).to_string());
        self.key.push(facts.key().to_string());
        self.pool.push(job.placement.pool.to_string());
        self.image.push(job.placement.image.to_string());
        self.html_url.push(facts.html_url.clone());
        self.name.push(facts.name.clone());
        self.created_at.push(facts.created_at.to_sqlx());
        self.state.push(job.state);
    }
}

/// Binds `$1` to `$22`.
pub(super) fn bind_jobs(statement: Statement, jobs: JobColumns) -> Statement {
    statement
        .bind(jobs.id)
        .bind(jobs.run)
        .bind(jobs.entity)
        .bind(jobs.login)
        .bind(jobs.entity_kind)
        .bind(jobs.repo_id)
        .bind(jobs.repo)
        .bind(jobs.private)
        .bind(jobs.installation)
        .bind(jobs.labels)
        .bind(jobs.key)
        .bind(jobs.pool)
        .bind(jobs.image)
        .bind(jobs.html_url)
        .bind(jobs.name)
        .bind(jobs.created_at)
        .bind(jobs.state.status)
        .bind(jobs.state.attempt)
        .bind(jobs.state.started_at)
        .bind(jobs.state.runner)
        .bind(jobs.state.completed_at)
        .bind(jobs.state.conclusion)
}

/// Inserts jobs; returns those that had no row.
pub(super) async fn insert_jobs(
    db: &Db,
    connection: &mut PgConnection,
    jobs: JobColumns,
) -> PortResult<Vec<i64>> {
    let rows = bind_jobs(db.query(insert_jobs!()), jobs)
        .fetch_all(connection)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    rows.iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(|error| port_error(OPERATION, error))
}

/// Inserts a job; whether it had no row.
pub(crate) async fn insert_job(db: &Db, connection: &mut PgConnection, job: NewJob<'_>) -> PortResult<bool> {
    let mut jobs = JobColumns::default();
    jobs.push(job);
    Ok(!insert_jobs(db, connection, jobs).await?.is_empty())
}

/// New rows of the log.
pub(super) struct LogColumns {
    source: Vec<&'static str>,
    event: Vec<String>,
    outcome: Vec<&'static str>,
    installation: Vec<Option<i64>>,
    app: Vec<Option<i64>>,
    entity_kind: Vec<Option<&'static str>>,
    entity: Vec<Option<i64>>,
    login: Vec<Option<String>>,
    payload: Vec<String>,
    received_at: Vec<SqlTimestamp>,
    guid: Vec<Option<String>>,
    job: Vec<Option<JobId64>>,
}

impl LogColumns {
    pub(super) fn new(
        batch: &[DeliveryRecord],
        entries: &[(usize, Option<JobWrite>, Option<JobId64>)],
    ) -> Self {
        let mut columns = Self {
            source: Vec::new(),
            event: Vec::new(),
            outcome: Vec::new(),
            installation: Vec::new(),
            app: Vec::new(),
            entity_kind: Vec::new(),
            entity: Vec::new(),
            login: Vec::new(),
            payload: Vec::new(),
            received_at: Vec::new(),
            guid: Vec::new(),
            job: Vec::new(),
        };
        for (n, write, job) in entries {
            let record @ DeliveryRecord { log, effect, .. } = &batch[*n];
            let outcome = effect.outcome(*write);
            columns.source.push(log.source.as_str());
            columns.event.push(log.event.clone());
            columns.outcome.push(outcome.as_str());
            columns.installation.push(log.installation.map(i64::from));
            columns.app.push(log.app.map(i64::from));
            columns.entity_kind.push(log.entity.as_ref().map(|entity| entity.kind.as_str()));
            columns.entity.push(log.entity.as_ref().map(|entity| entity.id.get()));
            columns.login.push(log.entity.as_ref().map(|entity| entity.login.to_string()));
            columns.payload.push(record.kept_payload(outcome).get().to_owned());
            columns.received_at.push(log.received_at.to_sqlx());
            columns.guid.push(log.guid.as_ref().map(ToString::to_string));
            columns.job.push(*job);
        }
        columns
    }
}

/// Binds the next twelve parameters.
pub(super) fn bind_log(statement: Statement, log: LogColumns) -> Statement {
    statement
        .bind(log.source)
        .bind(log.event)
        .bind(log.outcome)
        .bind(log.installation)
        .bind(log.app)
        .bind(log.entity_kind)
        .bind(log.entity)
        .bind(log.login)
        .bind(log.payload)
        .bind(log.received_at)
        .bind(log.guid)
        .bind(log.job)
}

/// Writes rows of the log; returns the GUIDs that were not there.
pub(super) async fn insert_log(
    db: &Db,
    connection: &mut PgConnection,
    log: LogColumns,
) -> PortResult<Vec<String>> {
    const INSERT: &str = concat!(
        "INSERT INTO installation_events ",
        log_columns!(),
        " ",
        log_values!(),
        " FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[], \
                      $8::text[], $9::text[], $10::timestamptz[], $11::text[], $12::bigint[]) ",
        log_names!(),
        " ON CONFLICT (delivery_guid) WHERE delivery_guid IS NOT NULL DO NOTHING RETURNING delivery_guid"
    );
    let rows = bind_log(db.query(INSERT), log)
        .fetch_all(connection)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let guids = rows.iter().map(|row| row.try_get::<Option<String>, _>(0)).collect::<Result<Vec<_>, _>>();
    Ok(guids.map_err(|error| port_error(OPERATION, error))?.into_iter().flatten().collect())
}
