//! Rows of the tables and their one conversion to the domain's types.
//!
//! Nothing outside this crate sees a row.

use std::collections::BTreeSet;

use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use riscv_runner_core::{
    entity::{Entity, EntityKind},
    failure::{FailureInfo, FailureReason},
    ids::{
        EntityId, ImageRef, InstallationId, JobId, Login, NodeName, PodUid, PoolName, RepoId, RepoName,
        RunId, RunnerId, RunnerName, WorkerName,
    },
    job::{End, Job, JobFacts, JobPhase, JobState, Loss, Placement, Start},
    labels::LabelSet,
    ports::{JobRow, PortError, PortErrorKind, PortResult, WorkerRow},
    scope::{ScopeRef, Target},
    worker::{KnownJob, Worker, WorkerStatus},
};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

/// The image of rows of the reference service that name none.
const UNKNOWN_IMAGE: &str = "unknown";

/// Columns of [`JobRecord`], of the table or alias `j`.
macro_rules! job_columns {
    () => {
        "j.job_id, j.run_id, j.entity_id, j.entity_name, j.entity_type::text, j.repo_full_name, j.repo_id, \
         j.repo_private, j.installation_id, j.job_labels, j.job_name, j.html_url, j.k8s_pool, j.k8s_image, \
         j.job_created_at, j.created_at, j.updated_at, j.status::text, j.attempt, j.job_started_at, \
         j.runner_name, j.job_completed_at, j.job_conclusion, j.failure_info, j.former_runners"
    };
}

/// Columns of [`WorkerRecord`], of the aliases `w` (workers) and `known` (the job that names it), with another
/// expression for `failure_info` where one is given.
macro_rules! worker_columns {
    () => {
        worker_columns!("w.failure_info")
    };
    ($failure_info:expr) => {
        concat!("w.pod_name, w.entity_id, w.entity_name, w.entity_type::text, w.installation_id, w.repo_full_name, \
         w.repo_id, w.job_labels, w.k8s_pool, w.k8s_image, w.k8s_node, w.status::text, ", $failure_info, ", \
         w.failure_reason, w.pod_uid, w.runner_id, w.created_at, w.running_at, w.completed_at, w.online_at, \
         w.gone_at, w.updated_at, known.job_id AS known_job, known.status::text AS known_status")
    };
}

/// Workers as `w`, each with the job of its account that names it as `known`: a running one before one that
/// has ended. Another account may give a runner of its own the same name.
macro_rules! workers_with_jobs {
    () => {
        "workers w LEFT JOIN LATERAL ( \
             SELECT j.job_id, j.status FROM jobs j \
             WHERE j.runner_name = w.pod_name AND j.entity_id = w.entity_id \
             ORDER BY (j.status = 'running') DESC, j.job_id DESC LIMIT 1 \
         ) known ON true"
    };
}

pub(crate) use {job_columns, worker_columns, workers_with_jobs};

/// A row that cannot be understood: which, and why.
#[derive(Debug, thiserror::Error)]
#[error("{row}: {problem}")]
pub(crate) struct BadRow {
    row: String,
    problem: String,
}

impl BadRow {
    pub(crate) fn new(row: impl Into<String>, problem: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self { row: row.into(), problem: problem.into().to_string() }
    }

    pub(crate) fn into_port_error(self, operation: &'static str) -> PortError {
        PortError::new(PortErrorKind::Bug, operation, "a row of the store cannot be understood")
            .with_source(self)
    }
}

/// Those that can be understood; the others are reported, for one bad row must not stop the rest.
pub(crate) fn readable<T>(rows: impl IntoIterator<Item = Result<T, BadRow>>) -> Vec<T> {
    rows.into_iter()
        .filter_map(|row| {
            row.inspect_err(
                |error| tracing::error!(%error, "a row of the store is left out: it cannot be understood"),
            )
            .ok()
        })
        .collect()
}

/// What the reference service writes as an empty text is not known.
fn named(name: Option<String>) -> Option<String> {
    name.filter(|name| !name.is_empty())
}

/// The columns of a job's progress.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct StateRecord {
    status: String,
    attempt: i32,
    job_started_at: Option<SqlTimestamp>,
    runner_name: Option<String>,
    job_completed_at: Option<SqlTimestamp>,
    job_conclusion: Option<String>,
    failure_info: Option<Json<serde_json::Value>>,
    former_runners: Vec<String>,
}

impl StateRecord {
    fn read(self) -> Result<JobState, String> {
        let phase = JobPhase::parse(&self.status).ok_or_else(|| format!("status {:?}", self.status))?;
        let runner = |name: String| RunnerName::new(name).map_err(|error| error.to_string());
        let start = match self.job_started_at {
            Some(at) => {
                let runner = named(self.runner_name).map(runner).transpose()?;
                Some(Start { at: at.to_jiff(), runner })
            }
            None => None,
        };
        let end = self.job_completed_at.map(|at| End { at: at.to_jiff(), conclusion: self.job_conclusion });
        let loss = (phase == JobPhase::Failed)
            .then(|| {
                self.failure_info
                    .and_then(|info| LossInfo::deserialize(info.0).ok())
                    .and_then(|info| info.loss)
            })
            .flatten();
        let former_runners =
            self.former_runners.into_iter().map(runner).collect::<Result<BTreeSet<_>, _>>()?;
        Ok(JobState { attempt: self.attempt.unsigned_abs(), phase, start, end, loss, former_runners })
    }
}

/// `failure_info` of a job: version 1, with the loss beside the sentence.
#[derive(Debug, Serialize, Deserialize)]
struct LossInfo {
    version: u8,
    message: String,
    #[serde(default)]
    loss: Option<Loss>,
}

/// Many jobs' progress, column by column.
#[derive(Debug, Default)]
pub(crate) struct StateColumns {
    pub(crate) status: Vec<&'static str>,
    pub(crate) attempt: Vec<i32>,
    pub(crate) started_at: Vec<Option<SqlTimestamp>>,
    pub(crate) runner: Vec<Option<String>>,
    pub(crate) completed_at: Vec<Option<SqlTimestamp>>,
    pub(crate) conclusion: Vec<Option<String>>,
    pub(crate) failure: Vec<Option<String>>,
    /// JSON lists: PostgreSQL's arrays of arrays must be rectangular.
    pub(crate) former: Vec<String>,
}

impl StateColumns {
    pub(crate) fn push(&mut self, state: &JobState) {
        self.status.push(state.phase.as_str());
        self.attempt.push(i32::try_from(state.attempt).unwrap_or(i32::MAX));
        self.started_at.push(state.start.as_ref().map(|start| start.at.to_sqlx()));
        self.runner
            .push(state.start.as_ref().and_then(|start| start.runner.as_ref()).map(ToString::to_string));
        self.completed_at.push(state.end.as_ref().map(|end| end.at.to_sqlx()));
        self.conclusion.push(state.end.as_ref().and_then(|end| end.conclusion.clone()));
        self.failure.push(state.loss.as_ref().map(|loss| {
            let info = LossInfo { version: 1, message: loss.to_string(), loss: Some(loss.clone()) };
            serde_json::json!(info).to_string()
        }));
        self.former.push(serde_json::json!(state.former_runners).to_string());
    }
}

/// A whole row of `jobs`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct JobRecord {
    job_id: i64,
    run_id: Option<i64>,
    entity_id: i64,
    entity_name: String,
    entity_type: String,
    repo_full_name: String,
    repo_id: i64,
    repo_private: bool,
    installation_id: i64,
    job_labels: Json<Vec<String>>,
    job_name: Option<String>,
    html_url: Option<String>,
    k8s_pool: Option<String>,
    k8s_image: Option<String>,
    job_created_at: SqlTimestamp,
    created_at: SqlTimestamp,
    updated_at: SqlTimestamp,
    #[sqlx(flatten)]
    state: StateRecord,
}

impl JobRecord {
    pub(crate) fn read(self) -> Result<JobRow, BadRow> {
        let id = self.job_id;
        self.parse().map_err(|problem| BadRow::new(format!("jobs row {id}"), problem))
    }

    fn parse(self) -> Result<JobRow, Box<dyn std::error::Error>> {
        let facts = JobFacts {
            id: JobId::new(self.job_id)?,
            run: self.run_id.map(RunId::new).transpose()?,
            entity: Entity {
                id: EntityId::new(self.entity_id)?,
                kind: EntityKind::parse(&self.entity_type).ok_or("an unknown entity_type")?,
                login: Login::new(self.entity_name)?,
            },
            installation: InstallationId::new(self.installation_id)?,
            repo_id: RepoId::new(self.repo_id)?,
            repo: RepoName::new(self.repo_full_name)?,
            private: self.repo_private,
            labels: LabelSet::new(self.job_labels.0)?,
            name: self.job_name,
            html_url: self.html_url,
            created_at: self.job_created_at.to_jiff(),
        };
        let placement = read_placement(self.k8s_pool, self.k8s_image.as_deref())?;
        Ok(JobRow {
            job: Job { facts, placement, state: self.state.read()? },
            stored_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
        })
    }
}

/// A job's progress under its id.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct JobStateRecord {
    pub(crate) job_id: i64,
    #[sqlx(flatten)]
    state: StateRecord,
}

impl JobStateRecord {
    pub(crate) fn read(self) -> Result<(i64, JobState), BadRow> {
        let id = self.job_id;
        let state = self.state.read().map_err(|problem| BadRow::new(format!("jobs row {id}"), problem))?;
        Ok((id, state))
    }
}

pub(crate) fn read_placement(
    pool: Option<String>,
    image: Option<&str>,
) -> Result<Placement, Box<dyn std::error::Error>> {
    Ok(Placement {
        pool: PoolName::new(pool.ok_or("no k8s_pool")?)?,
        image: ImageRef::new(image.filter(|image| !image.is_empty()).unwrap_or(UNKNOWN_IMAGE))?,
    })
}

/// How a row addresses its scope on GitHub.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct ScopeRecord {
    entity_id: i64,
    entity_name: String,
    entity_type: String,
    installation_id: i64,
    repo_id: Option<i64>,
    pub(crate) repo_full_name: Option<String>,
}

impl ScopeRecord {
    pub(crate) fn read(self) -> Result<ScopeRef, Box<dyn std::error::Error>> {
        let target = match EntityKind::parse(&self.entity_type).ok_or("an unknown entity_type")? {
            EntityKind::Organization => Target::Organization,
            EntityKind::User => Target::Repository {
                id: RepoId::new(self.repo_id.ok_or("no repo_id")?)?,
                name: RepoName::new(self.repo_full_name.ok_or("no repo_full_name")?)?,
            },
        };
        Ok(ScopeRef {
            installation: InstallationId::new(self.installation_id)?,
            entity: EntityId::new(self.entity_id)?,
            login: Login::new(self.entity_name)?,
            target,
        })
    }
}

/// A whole row of `workers`, with the job that names it.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct WorkerRecord {
    pod_name: String,
    #[sqlx(flatten)]
    scope: ScopeRecord,
    job_labels: Json<Vec<String>>,
    k8s_pool: Option<String>,
    k8s_image: Option<String>,
    k8s_node: Option<String>,
    status: String,
    failure_info: Option<Json<serde_json::Value>>,
    failure_reason: Option<String>,
    pod_uid: Option<String>,
    runner_id: Option<i64>,
    created_at: SqlTimestamp,
    running_at: Option<SqlTimestamp>,
    completed_at: Option<SqlTimestamp>,
    online_at: Option<SqlTimestamp>,
    gone_at: Option<SqlTimestamp>,
    updated_at: SqlTimestamp,
    known_job: Option<i64>,
    known_status: Option<String>,
}

impl WorkerRecord {
    pub(crate) fn read(self) -> Result<WorkerRow, BadRow> {
        let name = self.pod_name.clone();
        self.parse().map_err(|problem| BadRow::new(format!("workers row {name}"), problem))
    }

    fn parse(self) -> Result<WorkerRow, Box<dyn std::error::Error>> {
        let time = |at: Option<SqlTimestamp>| at.map(SqlTimestamp::to_jiff);
        let status = WorkerStatus::parse(&self.status).ok_or("an unknown status")?;
        let placement = read_placement(self.k8s_pool, self.k8s_image.as_deref())?;
        let job = match (self.known_job, self.known_status) {
            (Some(id), Some(phase)) => Some(KnownJob {
                id: JobId::new(id)?,
                phase: JobPhase::parse(&phase).ok_or("an unknown status of its job")?,
            }),
            _ => None,
        };
        let worker = Worker {
            name: WorkerName::new(self.pod_name)?,
            scope: self.scope.read()?,
            labels: LabelSet::new(self.job_labels.0)?,
            pool: placement.pool,
            image: placement.image,
            status,
            node: named(self.k8s_node).map(NodeName::new).transpose()?,
            pod_uid: self.pod_uid.map(PodUid::new).transpose()?,
            runner: self.runner_id.map(RunnerId::new).transpose()?,
            created_at: self.created_at.to_jiff(),
            running_at: time(self.running_at),
            completed_at: time(self.completed_at),
            online_at: time(self.online_at),
            gone_at: time(self.gone_at),
            failure: read_failure(status, self.failure_reason.as_deref(), self.failure_info),
            job,
        };
        Ok(WorkerRow { worker, updated_at: self.updated_at.to_jiff() })
    }
}

/// A failed row of the reference service may lack a reason or have details of another shape: it is
/// history, and shown as well as it can be.
fn read_failure(
    status: WorkerStatus,
    reason: Option<&str>,
    info: Option<Json<serde_json::Value>>,
) -> Option<(FailureReason, FailureInfo)> {
    if status != WorkerStatus::Failed {
        return None;
    }
    let info = info.map_or_else(
        || FailureInfo::message(""),
        |Json(told)| FailureInfo::deserialize(&told).unwrap_or(FailureInfo::Other(told)),
    );
    let reason = FailureReason::ALL
        .into_iter()
        .find(|known| Some(known.as_str()) == reason)
        .or_else(|| info.reason())
        .unwrap_or(FailureReason::PodFailed);
    Some((reason, info))
}

/// Reads every row, failing on the first that cannot be understood.
pub(crate) fn all_readable<T>(
    operation: &'static str,
    rows: impl IntoIterator<Item = Result<T, BadRow>>,
) -> PortResult<Vec<T>> {
    rows.into_iter().map(|row| row.map_err(|bad| bad.into_port_error(operation))).collect()
}
