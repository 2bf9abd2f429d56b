//! The engine inside another tokio service, with nothing but the core: the host keeps the rows in maps of its own,
//! has machines and a GitHub of its own behind the ports, and tells of jobs by itself instead of by webhooks.
//!
//! `cargo run -p riscv-runner-core --example service` follows one job from the queue to its end, and ends.

mod github;
mod lab;
mod parts;
mod store;

use std::{error::Error, sync::Arc, time::Duration};

use jiff::Timestamp;
use riscv_runner_core::{
    admission::IntakePolicy,
    controls::Controls,
    delivery::{Delivery, DeliveryContent, Outcome as Became},
    engine::{Engine, EngineParts, Wakes, intake::intake},
    entity::{Entity, EntityKind},
    ids::{
        AppId, DeliveryGuid, EntityId, InstallationId, JobId, Login, ReplicaName, RepoId, RepoName,
        WorkerName,
    },
    job::{End, JobEvent, JobFacts, Start},
    labels::LabelSet,
    ports::{Platform, Silent},
    worker::WorkerStatus,
};
use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};

use self::{github::OwnGithub, lab::Lab, parts::Clock, store::OwnStore};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the host says about its one job; `number` tells the messages apart.
fn message(number: u32, event: JobEvent, now: Timestamp) -> Outcome<Delivery> {
    let acme = Entity { id: EntityId::new(4)?, kind: EntityKind::Organization, login: Login::new("acme")? };
    let (repo, installation) = (RepoName::new("acme/tool")?, InstallationId::new(5)?);
    let facts = JobFacts {
        id: JobId::new(1)?,
        run: None,
        entity: acme.clone(),
        installation,
        repo_id: RepoId::new(3)?,
        repo: repo.clone(),
        private: false,
        labels: LabelSet::new(["riscv"])?,
        name: Some("build".to_owned()),
        html_url: None,
        created_at: now,
    };
    Ok(Delivery {
        guid: DeliveryGuid::new(format!("message-{number}"))?,
        event: "workflow_job".to_owned(),
        app: AppId::new(1)?,
        app_kind: Some(EntityKind::Organization),
        installation: Some(installation),
        entity: Some(acme),
        sender: None,
        repo: Some(repo),
        content: DeliveryContent::Job { facts: Box::new(facts), event: Some(event) },
        payload: RawValue::NULL.to_owned(),
        received_at: now,
    })
}

fn started(worker: &WorkerName, now: Timestamp) -> Start {
    Start { at: now, runner: Some(worker.into()) }
}

/// Runs the service until one job is through.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Outcome<()> {
    let (platform, wakes): (Arc<dyn Platform>, _) = (Arc::new(Clock), Wakes::default());
    let store = Arc::new(OwnStore::new(Arc::clone(&platform)));
    let lab = Arc::new(Lab::with_machines(2, Arc::clone(&platform), wakes.workers.clone())?);
    let (_reload, policy) = watch::channel(Arc::new(parts::policy()?));
    let engine = Engine::new(EngineParts {
        store: store.clone(),
        forge: Arc::new(OwnGithub::default()),
        cluster: lab.clone(),
        platform: Arc::clone(&platform),
        observer: Arc::new(Silent),
        policy: policy.clone(),
        replica: ReplicaName::new("service")?,
        wakes: wakes.clone(),
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(engine.run(async { drop(stopped.await) }));
    let (entrance, writer) = intake(16, store.clone(), Arc::new(Silent), wakes.schedule.clone());
    let writing = tokio::spawn(writer.run());

    let tell = async |number, event| {
        let (policy, controls) = (Arc::clone(&policy.borrow()), Controls::default());
        let message = message(number, event, platform.now())?;
        let by = IntakePolicy { policy: &policy, controls: &controls };
        Outcome::Ok(entrance.submit(message, &by).await?.outcome)
    };
    assert_eq!(tell(1, JobEvent::Queued).await?, Became::JobStored);
    let worker = tokio::time::timeout(PATIENCE, lab.started()).await?;
    lab.up(&worker);
    let start = started(&worker, platform.now());
    assert_eq!(tell(2, JobEvent::InProgress(start.clone())).await?, Became::JobMarkedRunning);
    let end = End { at: platform.now(), conclusion: Some("success".to_owned()) };
    let completed = JobEvent::Completed { end, start: Some(start) };
    assert_eq!(tell(3, completed).await?, Became::JobMarkedCompleted);
    lab.done(&worker);
    let row = tokio::time::timeout(PATIENCE, store.ended(&worker)).await?;
    assert_eq!((row.status, row.job.map(|job| job.id)), (WorkerStatus::Completed, Some(JobId::new(1)?)));

    // A deaf receiver means that the engine has ended already.
    let _ = stop.send(());
    running.await?;
    drop(entrance);
    writing.await?;
    Ok(())
}
