//! Rows of jobs beyond deliveries: evidence from asking GitHub, and the jobs worth asking about.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use riscv_runner_core::{
    delivery::JobWrite,
    entity::{Entity, EntityKind},
    ids::{EntityId, InstallationId, JobId, Login, RepoId, RepoName},
    job::{Job, JobEvent, JobFacts, JobPhase, JobState, Placement, Step},
    ports::{DoubtfulJob, DoubtfulJobs, DoubtfulQuery, JobRow, KnownRepo, LeaderProof, PortResult},
    worker::WorkerStatus,
};
use sqlx::{FromRow, Row, postgres::PgRow};

use crate::{
    db::Db,
    deliveries::{NewJob, insert_job, lock_states, update_states},
    error::port_error,
    lease::pass_fence,
    rows::{BadRow, JobRecord, job_columns, readable},
};

/// Joins evidence into a job's row.
pub(crate) async fn join(db: &Db, proof: &LeaderProof, job: JobId, event: &JobEvent) -> PortResult<JobWrite> {
    const OPERATION: &str = "join evidence into a job";
    let mut transaction = db.begin(OPERATION).await?;
    pass_fence(db, &mut transaction, proof, OPERATION).await?;
    let states = lock_states(db, &mut transaction, vec![job.get()]).await?;
    let Some(state) = states.get(&job.get()) else { return Ok(JobWrite::NoRow) };
    let Step::Move(next) = state.on(event) else { return Ok(JobWrite::Unchanged) };
    update_states(db, &mut transaction, &[(job.get(), &next)]).await?;
    db.commit(OPERATION, transaction).await?;
    Ok(JobWrite::Moved { from: state.phase, to: next.phase })
}

/// Joins what a listing says of a job, inserting the row if there is none.
pub(crate) async fn join_listed(
    db: &Db,
    proof: &LeaderProof,
    facts: &JobFacts,
    placement: &Placement,
    event: &JobEvent,
) -> PortResult<JobWrite> {
    const OPERATION: &str = "join a listed job";
    let failed = |error| port_error(OPERATION, error);
    let id = facts.id.get();
    let mut transaction = db.begin(OPERATION).await?;
    pass_fence(db, &mut transaction, proof, OPERATION).await?;
    if let Some(state) = JobState::from_event(event)
        && insert_job(db, &mut transaction, NewJob { facts, placement, state: &state }).await?
    {
        db.commit(OPERATION, transaction).await?;
        return Ok(JobWrite::Inserted(state.phase));
    }
    let states = lock_states(db, &mut transaction, vec![id]).await?;
    let Some(state) = states.get(&id) else { return Ok(JobWrite::NoRow) };
    db.query("UPDATE jobs SET installation_id = $2 WHERE job_id = $1 AND installation_id <> $2")
        .bind(id)
        .bind(facts.installation.get())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    let write = match state.on(event) {
        Step::Move(next) => {
            update_states(db, &mut transaction, &[(id, &next)]).await?;
            JobWrite::Moved { from: state.phase, to: next.phase }
        }
        Step::Stay | Step::Late => JobWrite::Unchanged,
    };
    db.commit(OPERATION, transaction).await?;
    Ok(write)
}

#[derive(FromRow)]
struct RepoRecord {
    entity_id: i64,
    entity_name: String,
    entity_type: String,
    installation_id: i64,
    repo_id: i64,
    repo_full_name: String,
    repo_private: bool,
}

impl RepoRecord {
    fn read(self) -> Result<KnownRepo, BadRow> {
        let name = self.repo_full_name.clone();
        self.parse().map_err(|problem| BadRow::new(format!("jobs row of {name}"), problem))
    }

    fn parse(self) -> Result<KnownRepo, Box<dyn std::error::Error>> {
        Ok(KnownRepo {
            entity: Entity {
                id: EntityId::new(self.entity_id)?,
                kind: EntityKind::parse(&self.entity_type).ok_or("an unknown entity_type")?,
                login: Login::new(self.entity_name)?,
            },
            installation: InstallationId::new(self.installation_id)?,
            repo_id: RepoId::new(self.repo_id)?,
            repo: RepoName::new(self.repo_full_name)?,
            private: self.repo_private,
        })
    }
}

/// Repositories with a job created since then, each from its newest row.
pub(crate) async fn known_repos(db: &Db, since: Timestamp) -> PortResult<Vec<KnownRepo>> {
    const OPERATION: &str = "read the repositories of jobs";
    let rows = db
        .query(
            "SELECT DISTINCT ON (repo_id) entity_id, entity_name, entity_type::text, installation_id, repo_id, \
                    repo_full_name, repo_private \
             FROM jobs WHERE job_created_at >= $1 ORDER BY repo_id, job_created_at DESC, job_id DESC",
        )
        .bind(since.to_sqlx())
        .fetch_all(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(RepoRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    Ok(readable(records.into_iter().map(RepoRecord::read)))
}

/// Jobs with these ids, in any phase.
pub(crate) async fn with_ids(db: &Db, ids: &[JobId]) -> PortResult<Vec<Job>> {
    const OPERATION: &str = "read jobs";
    let rows = db
        .query(concat!("SELECT ", job_columns!(), " FROM jobs j WHERE j.job_id = ANY ($1) ORDER BY j.job_id"))
        .bind(ids.iter().copied().map(i64::from).collect::<Vec<_>>())
        .fetch_all(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(JobRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    Ok(readable(records.into_iter().map(|record| Ok(record.read()?.job))))
}

/// Jobs of one phase whose rows have not changed for long. The phase is written out, for the partial index.
macro_rules! doubtful_of {
    ($phase:literal) => {
        concat!(
            "SELECT ",
            job_columns!(),
            ", (SELECT w.status::text FROM workers w \
                 WHERE w.pod_name = j.runner_name AND w.entity_id = j.entity_id) AS worker_status \
             FROM jobs j WHERE j.status = '",
            $phase,
            "' AND j.updated_at < $1 AND (j.updated_at, j.job_id) > (coalesce($2::timestamptz, '-infinity'), $3) \
             ORDER BY j.updated_at, j.job_id LIMIT $4"
        )
    };
}
pub(crate) const DOUBTFUL_RUNNING: &str = doubtful_of!("running");
pub(crate) const DOUBTFUL_PENDING: &str = doubtful_of!("pending");

/// Some of the jobs that are demand and whose rows have not changed for long.
pub(crate) async fn doubtful(db: &Db, query: &DoubtfulQuery) -> PortResult<DoubtfulJobs> {
    const OPERATION: &str = "read doubtful jobs";
    let failed = |error| port_error(OPERATION, error);
    let statement = match query.phase {
        JobPhase::Running => DOUBTFUL_RUNNING,
        JobPhase::Pending => DOUBTFUL_PENDING,
        JobPhase::Failed | JobPhase::Completed => return Ok(DoubtfulJobs::default()),
    };
    let (after, after_job) = query.after.map_or((None, 0), |(at, job)| (Some(at.to_sqlx()), job.get()));
    let rows = db
        .query(statement)
        .bind(query.before.to_sqlx())
        .bind(after)
        .bind(after_job)
        .bind(i64::from(query.limit))
        .fetch_all(&db.pool)
        .await
        .map_err(failed)?;
    let place = |row: &PgRow| {
        let at = row.try_get::<SqlTimestamp, _>("updated_at")?.to_jiff();
        Ok(JobId::new(row.try_get("job_id")?).ok().map(|job| (at, job)))
    };
    let is_full = rows.len() == usize::try_from(query.limit).unwrap_or(usize::MAX);
    let next = match rows.last().filter(|_| is_full) {
        Some(last) => place(last).map_err(failed)?,
        None => None,
    };
    let records = rows
        .iter()
        .map(|row| Ok((JobRecord::from_row(row)?, row.try_get::<Option<String>, _>("worker_status")?)))
        .collect::<Result<Vec<_>, sqlx::Error>>()
        .map_err(failed)?;
    let jobs = readable(records.into_iter().map(|(record, worker)| {
        let JobRow { job, updated_at, .. } = record.read()?;
        let worker = worker.as_deref().and_then(WorkerStatus::parse);
        Ok(DoubtfulJob { job, updated_at, worker })
    }));
    Ok(DoubtfulJobs { jobs, next })
}
