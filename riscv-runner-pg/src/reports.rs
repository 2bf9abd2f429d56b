//! Reading for pages and the command line.

use std::collections::BTreeMap;

use jiff_sqlx::ToSqlx;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, JobId, Login, PoolName, WorkerName},
    job::{Job, JobPhase},
    labels::LabelSet,
    ports::{
        Ahead, JobRow, Page, PagedJobs, PagedWorkers, PortResult, ReportWindow, RowFilter, Total, UsageRow,
        WorkerRow,
    },
    worker::WorkerStatus,
};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use crate::{
    db::Db,
    demand::{count, counted},
    error::port_error,
    rows::{BadRow, JobRecord, WorkerRecord, job_columns, readable, worker_columns, workers_with_jobs},
    statement::Statement,
};

/// The rows of a window that a filter shows, of a table with an alias.
macro_rules! shown {
    ($alias:literal) => {
        concat!(
            " WHERE ",
            $alias,
            ".created_at >= $1 AND ",
            $alias,
            ".created_at < $2 AND ($3::text IS NULL OR ",
            $alias,
            ".status = $3::text::status_enum) AND ($4::text IS NULL OR ",
            $alias,
            ".k8s_pool = $4) AND ($5::text IS NULL OR lower(",
            $alias,
            ".entity_name) = lower($5))"
        )
    };
}

/// What `shown!` asks for.
struct Shown {
    window: ReportWindow,
    status: Option<&'static str>,
    pool: Option<String>,
    entity: Option<String>,
}

impl Shown {
    fn of<S>(window: ReportWindow, filter: &RowFilter<S>, status: Option<&'static str>) -> Self {
        let (pool, entity) = (filter.pool.as_ref(), filter.entity.as_ref());
        Self { window, status, pool: pool.map(ToString::to_string), entity: entity.map(ToString::to_string) }
    }

    fn bind(&self, query: Statement) -> Statement {
        query
            .bind(self.window.start.to_sqlx())
            .bind(self.window.end.to_sqlx())
            .bind(self.status)
            .bind(self.pool.clone())
            .bind(self.entity.clone())
    }

    async fn count(&self, db: &Db, sql: &'static str, page: Page) -> PortResult<Total> {
        let most = i64::try_from(page.counted_to()).unwrap_or(i64::MAX);
        let row = self.bind(db.query(sql)).bind(most).fetch_one(&db.pool).await;
        let n: i64 = row.and_then(|row| row.try_get(0)).map_err(|error| port_error("count rows", error))?;
        Ok(Total::of(n.unsigned_abs(), page))
    }

    /// The rows of a page; of one behind the last, nothing is asked.
    async fn page(
        &self,
        db: &Db,
        sql: &'static str,
        (page, total): (Page, Total),
    ) -> sqlx::Result<Vec<PgRow>> {
        if total.counted() <= page.skipped() {
            return Ok(Vec::new());
        }
        let offset = i64::try_from(page.skipped()).unwrap_or(i64::MAX);
        self.bind(db.query(sql)).bind(i64::from(page.per_page)).bind(offset).fetch_all(&db.pool).await
    }
}

/// `failure_info` as a list has it: of a row of `workers` as `w`, without logs and events, and nothing that is longer
/// than `MAX_LISTED_BYTES`. They are left out here, for a page of rows may have megabytes of them.
macro_rules! listed_failure {
    () => {
        "(SELECT CASE WHEN octet_length(short.info::text) <= 8192 THEN short.info \
                 ELSE jsonb_build_object('version', 1, 'message', \
                     'the details are too long for a list: see the worker''s own page') END \
          FROM (SELECT CASE jsonb_typeof(w.failure_info -> 'containers') \
              WHEN 'object' THEN w.failure_info - 'events' || jsonb_build_object('containers', \
                  (SELECT coalesce(jsonb_object_agg(ended.name, CASE jsonb_typeof(ended.told) \
                              WHEN 'object' THEN ended.told - 'logs' ELSE ended.told END), '{}') \
                   FROM jsonb_each(w.failure_info -> 'containers') ended (name, told))) \
              ELSE w.failure_info END AS info) short \
          WHERE short.info IS NOT NULL) AS failure_info"
    };
}

/// Jobs created in the window, newest first.
pub(crate) async fn jobs(
    db: &Db,
    window: ReportWindow,
    filter: &RowFilter<JobPhase>,
    page: Page,
) -> PortResult<PagedJobs> {
    const OPERATION: &str = "read a page of jobs";
    const COUNT: &str = concat!("SELECT count(*) FROM (SELECT FROM jobs j", shown!("j"), " LIMIT $6) listed");
    const PAGE: &str = concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs j",
        shown!("j"),
        " ORDER BY j.created_at DESC, j.job_id DESC LIMIT $6 OFFSET $7"
    );
    let shown = Shown::of(window, filter, filter.status.map(JobPhase::as_str));
    let n = shown.count(db, COUNT, page).await?;
    let rows = shown.page(db, PAGE, (page, n)).await.map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(JobRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    Ok((readable(records.into_iter().map(JobRecord::read)), n))
}

/// Workers created in the window, newest first.
pub(crate) async fn workers(
    db: &Db,
    window: ReportWindow,
    filter: &RowFilter<WorkerStatus>,
    page: Page,
) -> PortResult<PagedWorkers> {
    const OPERATION: &str = "read a page of workers";
    const COUNT: &str =
        concat!("SELECT count(*) FROM (SELECT FROM workers w", shown!("w"), " LIMIT $6) listed");
    const PAGE: &str = concat!(
        "SELECT ",
        worker_columns!(listed_failure!()),
        " FROM ",
        workers_with_jobs!(),
        shown!("w"),
        " ORDER BY w.created_at DESC, w.pod_name DESC LIMIT $6 OFFSET $7"
    );
    let shown = Shown::of(window, filter, filter.status.map(WorkerStatus::as_str));
    let n = shown.count(db, COUNT, page).await?;
    let rows = shown.page(db, PAGE, (page, n)).await.map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(WorkerRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    Ok((readable(records.into_iter().map(WorkerRecord::read)), n))
}

/// One job.
pub(crate) async fn job(db: &Db, job: JobId) -> PortResult<Option<JobRow>> {
    const OPERATION: &str = "read a job";
    let record = db
        .query(concat!("SELECT ", job_columns!(), " FROM jobs j WHERE j.job_id = $1"))
        .bind(job.get())
        .fetch_optional(&db.pool)
        .await
        .and_then(|row| row.map(|row| JobRecord::from_row(&row)).transpose())
        .map_err(|error| port_error(OPERATION, error))?;
    record.map(|record| record.read().map_err(|bad| bad.into_port_error(OPERATION))).transpose()
}

/// Waiting jobs of a key, and those of a pool, that were queued before a moment and job.
pub(crate) const AHEAD: &str = "SELECT \
     (SELECT count(*) FROM jobs WHERE status = 'pending' AND pool_key = $1 AND (job_created_at, job_id) < ($2, $3)), \
     (SELECT count(*) FROM jobs WHERE status = 'pending' AND k8s_pool = $4 AND (job_created_at, job_id) < ($2, $3))";

/// How many waiting jobs were queued before this one.
pub(crate) async fn ahead(db: &Db, job: &Job) -> PortResult<Ahead> {
    const OPERATION: &str = "count the jobs ahead";
    let row = db
        .query(AHEAD)
        .bind(job.facts.key().to_string())
        .bind(job.facts.created_at.to_sqlx())
        .bind(job.facts.id.get())
        .bind(job.placement.pool.to_string())
        .fetch_one(&db.pool)
        .await;
    let counts = row.and_then(|row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?)));
    let (in_key, in_pool) = counts.map_err(|error| port_error(OPERATION, error))?;
    Ok(Ahead { in_key: in_key.unsigned_abs(), in_pool: in_pool.unsigned_abs() })
}

/// One worker.
pub(crate) async fn worker(db: &Db, worker: &WorkerName) -> PortResult<Option<WorkerRow>> {
    const OPERATION: &str = "read a worker";
    let record = db
        .query(concat!(
            "SELECT ",
            worker_columns!(),
            " FROM ",
            workers_with_jobs!(),
            " WHERE w.pod_name = $1"
        ))
        .bind(worker.as_str())
        .fetch_optional(&db.pool)
        .await
        .and_then(|row| row.map(|row| WorkerRecord::from_row(&row)).transpose())
        .map_err(|error| port_error(OPERATION, error))?;
    record.map(|record| record.read().map_err(|bad| bad.into_port_error(OPERATION))).transpose()
}

/// Demand from the counters, each named by one of its jobs, and live workers.
const USAGE: &str = concat!(
    "SELECT c.k8s_pool, c.pending AS jobs_pending, c.running AS jobs_running, \
            0::bigint AS workers_pending, 0::bigint AS workers_running, \
            one.entity_id, one.entity_name, one.entity_type, one.job_labels \
     FROM (",
    counted!(""),
    ") c CROSS JOIN LATERAL ( \
         (SELECT entity_id, entity_name, entity_type::text, job_labels FROM jobs j \
          WHERE j.pool_key = c.pool_key AND j.status = 'pending' \
          ORDER BY j.job_created_at, j.job_id LIMIT 1) \
         UNION ALL \
         (SELECT entity_id, entity_name, entity_type::text, job_labels FROM jobs j \
          WHERE j.pool_key = c.pool_key AND j.status = 'running' LIMIT 1) \
         LIMIT 1 \
     ) one \
     WHERE c.pending <> 0 OR c.running <> 0 \
     UNION ALL \
     SELECT coalesce(k8s_pool, ''), 0, 0, \
            count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'running'), \
            entity_id, max(entity_name), entity_type::text, job_labels \
     FROM workers WHERE status IN ('pending', 'running') \
     GROUP BY k8s_pool, entity_id, entity_type::text, job_labels"
);

#[derive(FromRow)]
struct UsageRecord {
    k8s_pool: String,
    jobs_pending: i64,
    jobs_running: i64,
    workers_pending: i64,
    workers_running: i64,
    entity_id: i64,
    entity_name: String,
    entity_type: String,
    job_labels: Json<Vec<String>>,
}

impl UsageRecord {
    fn row(&self) -> Result<UsageRow, Box<dyn std::error::Error>> {
        Ok(UsageRow {
            entity_id: EntityId::new(self.entity_id)?,
            entity_name: Login::new(&self.entity_name)?,
            entity_type: EntityKind::parse(&self.entity_type).ok_or("an unknown entity_type")?,
            k8s_pool: PoolName::new(&self.k8s_pool)?,
            job_labels: LabelSet::new(&self.job_labels.0)?,
            jobs: BTreeMap::new(),
            workers: BTreeMap::new(),
        })
    }
}

/// Active demand and supply by account, pool and labels.
pub(crate) async fn usage(db: &Db) -> PortResult<Vec<UsageRow>> {
    const OPERATION: &str = "read the usage";
    let rows = db.query(USAGE).fetch_all(&db.pool).await.map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(UsageRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    let mut usage: BTreeMap<(EntityId, PoolName, LabelSet), UsageRow> = BTreeMap::new();
    let readable = readable(records.into_iter().map(|record| {
        let row = record.row().map_err(|error| BadRow::new("usage", error))?;
        Ok((row, record))
    }));
    for (row, record) in readable {
        let key = (row.entity_id, row.k8s_pool.clone(), row.job_labels.clone());
        let row = usage.entry(key).or_insert(row);
        for (phase, n) in [(JobPhase::Pending, record.jobs_pending), (JobPhase::Running, record.jobs_running)]
        {
            if n > 0 {
                *row.jobs.entry(phase).or_default() += u64::from(count(n));
            }
        }
        for (status, n) in
            [(WorkerStatus::Pending, record.workers_pending), (WorkerStatus::Running, record.workers_running)]
        {
            if n > 0 {
                *row.workers.entry(status).or_default() += u64::from(count(n));
            }
        }
    }
    Ok(usage.into_values().collect())
}
