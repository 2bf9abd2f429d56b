//! Serves the pages over invented data, to look at them in a browser: 55 boards, 300 jobs, and texts
//! that would break out of a page if they could.
//!
//! `cargo run -p riscv-runner-http --example pages -- 127.0.0.1:8081`; the token of the reader who sees
//! everything is `reader`. `/check?repo=acme/tool` and `/setup/org?installation_id=1` ask a GitHub of its own.

mod github;

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{Timestamp, ToSpan};
use riscv_runner_core::{
    controls::{Controls, Note},
    delivery::{DeliveryRecord, Effect, LogEntry, LogSource, Outcome as DeliveryOutcome},
    entity::{Entity, EntityKind},
    failure::{ContainerEnd, Diagnostics, FailureInfo, FailureReason},
    ids::{
        DeliveryGuid, EntityId, InstallationId, JobId, Login, NodeName, PoolName, ReplicaName, RepoId,
        RepoName, RunnerName, WorkerName,
    },
    job::{End, JobEvent, JobFacts, JobPhase, Placement, Start},
    labels::LabelSet,
    observed::Observed,
    plan::heads::every_head,
    pod::{Node, Pod, PodPhase},
    policy::{Limits, NamePrefix, Policy, PoolPolicy, Timeouts},
    ports::{DeliveryStore, LeaderProof, LeaseStore, Platform, PortResult, SchedulingStore, WorkerChange},
    quarantine::Quarantine,
    routing::{LabelMatch, Route},
    scope::{PoolKey, ScopeRef},
    snapshot::Snapshot,
    worker::{KnownJob, Worker, WorkerStatus},
};
use riscv_runner_http::{
    AppState, SnapshotSource,
    readiness::{Peer, Readiness},
    router,
};
use riscv_runner_sim::{
    chance::Stream,
    clock::{SimClock, SimPlatform},
    store::MemoryStore,
};
use tokio::{net::TcpListener, sync::watch};

use self::github::InventedGithub;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Kinds of boards, each with a pool of its name, how many there are, and the labels that lead there.
const KINDS: [(&str, usize, &str); 3] = [
    ("spacemit-k1", 20, "ubuntu-24.04-riscv,ggml"),
    ("spacemit-k3", 15, "ubuntu-26.04-riscv,RVA23"),
    ("scaleway-em-rv1", 20, "ubuntu-24.04-riscv"),
];
const ACCOUNTS: [&str; 6] =
    ["ggml-org", "acme", "a-very-long-organization-name-that-wraps", "bob", "numpy", "eve"];
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&\u{202e}gnp";
const IMAGE: &str = "registry.example/runner:24.04";
const JOBS: i64 = 300;

struct Invented {
    store: Arc<MemoryStore>,
    now: Timestamp,
    proof: LeaderProof,
    nodes: BTreeMap<NodeName, Node>,
    pods: BTreeMap<WorkerName, Pod>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let platform = Arc::new(SimPlatform::new(SimClock::default(), Stream::new(1, "pages")));
    let store = Arc::new(MemoryStore::new(platform.clone()));
    let now = platform.now();
    let lease = store.acquire_lease(&ReplicaName::new("replica-1")?, Duration::from_secs(3600), now).await?;
    let proof = lease.ok_or("nobody else leads")?;
    let mut world =
        Invented { store: store.clone(), now, proof, nodes: BTreeMap::new(), pods: BTreeMap::new() };
    world.add_boards()?;
    world.add_jobs().await?;
    world.add_failures().await?;
    world.add_weeks().await?;
    world.add_typos().await?;
    let controls = world.hold_back().await?;
    let readiness = Arc::new(Readiness::default());
    readiness.seen(Peer::Cluster, now);
    readiness.failed(Peer::GitHub, now);
    let (_reload, policy) = watch::channel(Arc::new(policy()?));
    let (_operators, controls) = watch::channel(Arc::new(controls));
    let state = AppState::builder(store.clone(), store, platform, policy, controls)
        .snapshots(Arc::new(world))
        .inspector(Arc::new(InventedGithub { now }))
        .readiness(readiness)
        .reader_token("reader".into())
        .build();
    Ok(axum::serve(TcpListener::bind(address).await?, router(state)).await?)
}

fn policy() -> Outcome<Policy> {
    let pool = |kind: &str| PoolPolicy {
        node_selector: BTreeMap::from([("riseproject.dev/board".to_owned(), kind.to_owned())]),
        image: IMAGE.parse().expect("a valid image"),
        max_workers: (kind == "spacemit-k3").then_some(15),
    };
    let pools = KINDS.iter().map(|(kind, ..)| Ok((PoolName::new(kind)?, pool(kind))));
    Ok(Policy {
        pools: pools.collect::<Outcome<_>>()?,
        routes: KINDS.iter().map(|(kind, _, labels)| route(kind, labels)).collect::<Outcome<_>>()?,
        entities: BTreeMap::new(),
        banned_senders: [].into(),
        staging_repositories: [].into(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        name_prefix: NamePrefix::new("rise-riscv-runner-")?,
    })
}

fn route(kind: &str, labels: &str) -> Outcome<Route> {
    Ok(Route {
        labels: LabelSet::new(labels.split(','))?,
        label_match: LabelMatch::Exact,
        entities: Vec::new(),
        repositories: Vec::new(),
        app: None,
        pool: PoolName::new(kind)?,
        image: None,
        max_workers: None,
        warm: 0,
    })
}

impl Invented {
    fn add_boards(&mut self) -> Outcome<()> {
        for (kind, count, _) in KINDS {
            for n in 0..count {
                let node = Node {
                    name: NodeName::new(format!("{kind}-{n:02}"))?,
                    labels: BTreeMap::from([("riseproject.dev/board".to_owned(), kind.to_owned())]),
                    ready: n != 7,
                    cordoned: n == 8,
                    unreachable_since: (n == 9).then(|| self.now - 2.hours()),
                    slots: 1,
                };
                self.nodes.insert(node.name.clone(), node);
            }
        }
        Ok(())
    }

    async fn add_jobs(&mut self) -> Outcome<()> {
        let mut boards: BTreeMap<&str, usize> = KINDS.iter().map(|(kind, ..)| (*kind, 10)).collect();
        for id in 1..=JOBS {
            let (kind, count, labels) = KINDS[usize::try_from(id % 3)?];
            let facts = facts(id, labels, self.now)?;
            let placement = Placement { pool: PoolName::new(kind)?, image: IMAGE.parse()? };
            self.store.join_listed_job(&self.proof, &facts, &placement, &JobEvent::Queued).await?;
            let next = boards.entry(kind).or_default();
            if id > 60 && *next < count {
                let node = NodeName::new(format!("{kind}-{next:02}"))?;
                *next += 1;
                self.serve(&facts, &placement, node).await?;
            } else if id <= 60 {
                let conclusion = Some(if id % 7 == 0 { HOSTILE.to_owned() } else { "success".to_owned() });
                let start = Start { at: facts.created_at + (20 + id * 11).seconds(), runner: None };
                let end = End { at: start.at + 20.minutes(), conclusion };
                let event = JobEvent::Completed { end, start: Some(start) };
                self.store.join_job(&self.proof, facts.id, &event).await?;
            }
        }
        Ok(())
    }

    /// A worker for the job: it runs it, boots, or cannot get its image.
    async fn serve(&mut self, facts: &JobFacts, placement: &Placement, node: NodeName) -> Outcome<()> {
        let name = WorkerName::new(format!("rise-riscv-runner-{:09}", facts.id.get()))?;
        let since = facts.created_at + 30.seconds();
        let (status, phase) = match facts.id.get() % 5 {
            0 => (WorkerStatus::Pending, PodPhase::Pending { reason: Some("ImagePullBackOff".into()) }),
            1 => (WorkerStatus::Running, PodPhase::Running { since }),
            _ => {
                let start = Start { at: since, runner: Some(RunnerName::from(&name)) };
                self.store.join_job(&self.proof, facts.id, &JobEvent::InProgress(start)).await?;
                (WorkerStatus::Running, PodPhase::Running { since })
            }
        };
        let runs = facts.id.get() % 5 > 1;
        let worker = Worker {
            status,
            node: Some(node.clone()),
            job: runs.then_some(KnownJob { id: facts.id, phase: JobPhase::Running }),
            ..worker(&name, facts.scope_ref(), &facts.labels, placement, since)
        };
        let _ = self.store.adopt_worker(&self.proof, &worker).await?;
        let pod = Pod {
            name: name.clone(),
            uid: format!("uid-{name}").parse()?,
            phase,
            node: Some(node),
            pool: Some(placement.pool.clone()),
            created_at: since,
            deleting: false,
            killed: false,
            identity: None,
        };
        self.pods.insert(name, pod);
        Ok(())
    }

    async fn add_failures(&self) -> Outcome<()> {
        let reasons =
            [FailureReason::RunnerNeverRegistered, FailureReason::PodFailed, FailureReason::RunnerIdle];
        for n in 0..9_i64 {
            let reason = reasons[usize::try_from(n)? % 3];
            let facts = facts(1000 + n, KINDS[0].2, self.now)?;
            let placement = Placement { pool: PoolName::new(KINDS[0].0)?, image: IMAGE.parse()? };
            let name = WorkerName::new(format!("rise-riscv-runner-failed{n:03}"))?;
            let failed =
                worker(&name, facts.scope_ref(), &facts.labels, &placement, self.now - (n + 1).hours());
            let _ = self.store.adopt_worker(&self.proof, &failed).await?;
            let end = ContainerEnd {
                exit_code: Some(137),
                reason: Some("OOMKilled".into()),
                message: Some(HOSTILE.into()),
                logs: Some(format!("{HOSTILE}\n").repeat(40)),
            };
            let diagnostics =
                Diagnostics { containers: [("runner".to_owned(), end)].into(), ..Diagnostics::default() };
            let change = WorkerChange::Failed {
                at: self.now - (n + 1).hours() + 4.minutes(),
                reason,
                info: Box::new(FailureInfo::pod(reason, diagnostics)),
                backoff: None,
                quarantine: None,
            };
            let _ = self.store.change_worker(&self.proof, &name, WorkerStatus::Running, &change).await?;
        }
        Ok(())
    }

    /// Workers of the twelve weeks before.
    async fn add_weeks(&self) -> Outcome<()> {
        for n in 0..12 * 20_i64 {
            let facts = facts(2000 + n * 7 % 11, KINDS[0].2, self.now)?;
            let placement = Placement { pool: PoolName::new(KINDS[0].0)?, image: IMAGE.parse()? };
            let name = WorkerName::new(format!("rise-riscv-runner-week{n:05}"))?;
            let began = self.now - ((n / 20 + 1) * 7 * 24 - n % 20 * 5).hours();
            let old = worker(&name, facts.scope_ref(), &facts.labels, &placement, began);
            let _ = self.store.adopt_worker(&self.proof, &old).await?;
            let change = WorkerChange::Completed { at: began + (20 + n * 37 % 200).minutes() };
            let _ = self.store.change_worker(&self.proof, &name, WorkerStatus::Running, &change).await?;
        }
        Ok(())
    }

    /// Jobs whose labels no rule knows.
    async fn add_typos(&self) -> Outcome<()> {
        let mut batch = Vec::new();
        for (n, labels) in ["ubunut-24.04-riscv", "ubuntu-latest", HOSTILE].into_iter().enumerate() {
            let id = 3000 + i64::try_from(n)?;
            let facts = JobFacts { labels: LabelSet::new([labels])?, ..facts(id, KINDS[0].2, self.now)? };
            let payload = serde_json::json!({
                "workflow_job": { "id": facts.id, "labels": facts.labels },
                "repository": { "full_name": facts.repo },
            });
            let log = LogEntry {
                source: LogSource::Webhook,
                guid: Some(DeliveryGuid::new(format!("typo-{n}"))?),
                event: "workflow_job.queued".to_owned(),
                installation: Some(facts.installation),
                app: None,
                entity: Some(facts.entity),
                payload: serde_json::value::to_raw_value(&payload)?,
                received_at: self.now - (n as i64 * 40 + 3).minutes(),
            };
            let effect = Effect::Nothing(DeliveryOutcome::IgnoredNoLabel);
            batch.push(DeliveryRecord { log, effect, installation: None });
        }
        self.store.record_deliveries(&batch).await?;
        Ok(())
    }

    async fn hold_back(&self) -> Outcome<Controls> {
        let note =
            |reason: &str| Note { reason: reason.into(), actor: "eve".into(), since: self.now - 3.hours() };
        let quarantine = Quarantine { strikes: 4, times: 2, until: Some(self.now + 20.minutes()) };
        for node in ["spacemit-k1-05", "scaleway-em-rv1-05"] {
            self.store.set_quarantine(&self.proof, &NodeName::new(node)?, Some(&quarantine)).await?;
        }
        let controls = Controls {
            drained_nodes: [(NodeName::new("spacemit-k3-03")?, note(HOSTILE))].into(),
            drained_pools: [(PoolName::new("scaleway-em-rv1")?, note("new switch"))].into(),
            paused_entities: [(EntityId::new(5)?, note("asked us to wait"))].into(),
            ..Controls::default()
        };
        self.store.set_controls(controls.clone());
        Ok(controls)
    }
}

fn facts(id: i64, labels: &str, now: Timestamp) -> Outcome<JobFacts> {
    let n = usize::try_from(id)? % ACCOUNTS.len();
    let login = ACCOUNTS[n];
    let kind = if login == "bob" { EntityKind::User } else { EntityKind::Organization };
    Ok(JobFacts {
        id: JobId::new(48_000_000_000 + id)?,
        run: None,
        entity: Entity { id: EntityId::new(i64::try_from(n)? + 1)?, login: Login::new(login)?, kind },
        installation: InstallationId::new(i64::try_from(n)? + 60)?,
        repo_id: RepoId::new(id % 9 + 1)?,
        repo: RepoName::new(format!(
            "{login}/{}",
            if id % 8 == 0 { HOSTILE.replace('/', "") } else { "llama.cpp".into() }
        ))?,
        private: id % 11 == 0,
        labels: LabelSet::new(labels.split(','))?,
        name: Some(if id % 13 == 0 {
            HOSTILE.to_owned()
        } else {
            format!("build (gcc-{}, release)", id % 4 + 11)
        }),
        html_url: Some(format!("https://github.com/{login}/llama.cpp/actions/runs/1/job/{id}")),
        created_at: now - ((JOBS - id.min(JOBS)) * 97 + 5).seconds(),
    })
}

fn worker(
    name: &WorkerName,
    scope: ScopeRef,
    labels: &LabelSet,
    placement: &Placement,
    created_at: Timestamp,
) -> Worker {
    Worker {
        name: name.clone(),
        scope,
        labels: labels.clone(),
        pool: placement.pool.clone(),
        image: placement.image.clone(),
        status: WorkerStatus::Running,
        node: None,
        pod_uid: None,
        runner: None,
        created_at,
        running_at: Some(created_at + 10.seconds()),
        completed_at: None,
        online_at: None,
        gone_at: None,
        failure: None,
        job: None,
    }
}

#[async_trait]
impl SnapshotSource for Invented {
    async fn overview(&self, _: u32) -> PortResult<Snapshot> {
        let mut snapshot = Snapshot::empty(self.now);
        snapshot.demand = self.store.demand().await?;
        let heads = every_head(&snapshot, u32::MAX);
        let mut waiting: BTreeMap<PoolKey, _> = self.store.waiting(&heads, &[], &[]).await?;
        for (key, demand) in &mut snapshot.demand {
            demand.waiting = waiting.remove(key).unwrap_or_default();
        }
        snapshot.workers = self.store.live_workers().await?;
        let standing = self.store.standing().await?;
        snapshot.controls = standing.controls;
        snapshot.quarantines = standing.quarantines;
        snapshot.nodes = Observed::Present(self.nodes.clone());
        snapshot.pods = Observed::Present(self.pods.clone());
        Ok(snapshot)
    }
}
