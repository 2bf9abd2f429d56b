//! Jobs, deliveries and workers for the checks. Times are whole seconds, as GitHub's are.

use std::time::Duration;

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, IfAbsent, LogEntry, LogSource, Recorded},
    entity::{Entity, EntityKind},
    ids::{
        AppId, DeliveryGuid, EntityId, ImageRef, InstallationId, JobId, Login, PoolName, ReplicaName, RepoId,
        RepoName, RunId, RunnerName, WorkerName,
    },
    job::{End, Job, JobEvent, JobFacts, Placement, Start},
    labels::LabelSet,
    ports::{LeaderProof, PoolShare, Reservation, Reserved, Store},
};
use serde_json::value::RawValue;

/// A time on one day, in seconds from its beginning.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).expect("a time of our age")
}

pub(super) fn pool(name: &str) -> PoolName {
    PoolName::new(name).expect("a pool name")
}

pub(super) fn worker(name: &str) -> WorkerName {
    WorkerName::new(name).expect("a worker name")
}

pub(super) fn labels(text: &[&str]) -> LabelSet {
    LabelSet::new(text).expect("labels")
}

pub(super) fn placement(name: &str) -> Placement {
    Placement { pool: pool(name), image: ImageRef::new("registry.example/runner:1").expect("an image") }
}

/// A job of organization 7, created at its id.
pub(super) fn job_of_org(id: i64) -> JobFacts {
    JobFacts {
        id: JobId::new(id).expect("a job id"),
        run: Some(RunId::new(1000 + id).expect("a run id")),
        entity: Entity {
            id: EntityId::new(7).expect("an entity id"),
            kind: EntityKind::Organization,
            login: Login::new("acme").expect("a login"),
        },
        installation: InstallationId::new(70).expect("an installation id"),
        repo_id: RepoId::new(700).expect("a repository id"),
        repo: RepoName::new("acme/tools").expect("a repository name"),
        private: false,
        labels: labels(&["Ubuntu-24.04-riscv", "rva23"]),
        name: Some("build".to_owned()),
        html_url: Some(format!("https://github.example/acme/tools/job/{id}")),
        created_at: at(id),
    }
}

/// A job of person 9 in one of their repositories.
pub(super) fn job_of_person(id: i64, repo: i64) -> JobFacts {
    JobFacts {
        entity: Entity {
            id: EntityId::new(9).expect("an entity id"),
            kind: EntityKind::User,
            login: Login::new("jo").expect("a login"),
        },
        installation: InstallationId::new(90).expect("an installation id"),
        repo_id: RepoId::new(repo).expect("a repository id"),
        repo: RepoName::new(format!("jo/r{repo}")).expect("a repository name"),
        ..job_of_org(id)
    }
}

pub(super) fn start(second: i64, runner: &str) -> Start {
    Start { at: at(second), runner: Some(RunnerName::new(runner).expect("a runner name")) }
}

pub(super) fn in_progress(second: i64, runner: &str) -> JobEvent {
    JobEvent::InProgress(start(second, runner))
}

pub(super) fn completed(second: i64, runner: Option<(i64, &str)>) -> JobEvent {
    JobEvent::Completed {
        end: End { at: at(second), conclusion: Some("success".to_owned()) },
        start: runner.map(|(second, runner)| start(second, runner)),
    }
}

/// A row of the log for anything.
pub(super) fn log(guid: &str, event: &str) -> LogEntry {
    LogEntry {
        source: LogSource::Webhook,
        guid: Some(DeliveryGuid::new(guid).expect("a GUID")),
        event: event.to_owned(),
        installation: Some(InstallationId::new(70).expect("an installation id")),
        app: Some(AppId::new(1).expect("an app id")),
        entity: Some(job_of_org(1).entity),
        payload: RawValue::from_string(format!(r#"{{"guid":"{guid}"}}"#)).expect("JSON"),
        received_at: at(1),
    }
}

/// A delivery about a job that routing sent to this pool.
pub(super) fn delivery_to(guid: &str, pool: &str, facts: &JobFacts, event: JobEvent) -> DeliveryRecord {
    let if_absent = IfAbsent::Insert(placement(pool));
    DeliveryRecord {
        log: log(guid, "workflow_job"),
        effect: Effect::Join { facts: Box::new(facts.clone()), event, if_absent },
        installation: None,
    }
}

/// A delivery about a job for pool `k1`.
pub(super) fn delivery(guid: &str, facts: &JobFacts, event: JobEvent) -> DeliveryRecord {
    delivery_to(guid, "k1", facts, event)
}

/// Records a batch of which every record must succeed.
pub(super) async fn record(store: &dyn Store, batch: &[DeliveryRecord]) -> Vec<Recorded> {
    let results = store.record_deliveries(batch).await.expect("the batch is recorded");
    assert_eq!(results.len(), batch.len(), "one answer for each record");
    results.into_iter().map(|result| result.expect("the record is written")).collect()
}

/// Records one delivery.
pub(super) async fn tell(store: &dyn Store, guid: &str, facts: &JobFacts, event: JobEvent) -> Recorded {
    record(store, &[delivery(guid, facts, event)]).await.remove(0)
}

/// Queues jobs, one batch for all.
pub(super) async fn queue(store: &dyn Store, jobs: &[JobFacts]) {
    let batch: Vec<_> =
        jobs.iter().map(|facts| delivery(&format!("queue-{}", facts.id), facts, JobEvent::Queued)).collect();
    record(store, &batch).await;
}

pub(super) async fn job(store: &dyn Store, facts: &JobFacts) -> Job {
    store.job(facts.id).await.expect("the store is read").expect("the job has a row").job
}

pub(super) fn replica(name: &str) -> ReplicaName {
    ReplicaName::new(name).expect("a replica name")
}

/// Leads for longer than any check takes.
pub(super) async fn lead(store: &dyn Store) -> LeaderProof {
    let lease = store.acquire_lease(&replica("a"), Duration::from_secs(3600), at(0)).await;
    lease.expect("the store is asked").expect("nobody else leads")
}

/// A worker for the key of a job, without caps, in pool `k1`.
pub(super) fn reservation(name: &str, facts: &JobFacts) -> Reservation {
    let placement = placement("k1");
    Reservation {
        name: worker(name),
        scope: facts.scope_ref(),
        labels: facts.labels.clone(),
        pool: placement.pool,
        image: placement.image,
        entity_cap: None,
        pool_cap: None,
        warm: 0,
        at: at(1),
    }
}

/// Reserves what must succeed.
pub(super) async fn reserve(store: &dyn Store, proof: &LeaderProof, names: &[&str], facts: &JobFacts) {
    let wishes: Vec<_> = names.iter().map(|name| reservation(name, facts)).collect();
    let results = store.reserve(proof, &wishes).await.expect("the rows are written");
    assert_eq!(results, vec![Reserved::Yes; names.len()]);
}

/// No pool has a limit.
pub(super) const NO_LIMIT: [PoolShare; 0] = [];

/// Limits of pools, for everybody together.
pub(super) fn shares<const N: usize>(rows: [(&str, u32); N]) -> Vec<PoolShare> {
    rows.map(|(name, rows)| PoolShare { pool: pool(name), entity: None, rows }).into()
}
