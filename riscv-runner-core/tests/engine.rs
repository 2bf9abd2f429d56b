//! The engine against ports with scripted answers: what it does when a step fails.

#![expect(clippy::unwrap_used, reason = "a world that cannot be built fails its test")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use common::World;
use futures::future::BoxFuture;
use jiff::Timestamp;
use mockall::mock;
use riscv_runner_core::{
    controls::{Note, Order, Ordered},
    delivery::{DeliveryRecord, JobWrite, Recorded},
    engine::{Engine, EngineParts, Wakes},
    entity::{Entity, EntityKind},
    failure::{Diagnostics, FailureReason},
    ids::*,
    installation::{InstallationKey, Installations, KnownInstallation},
    job::{Job, JobEvent, JobFacts, JobPhase, Placement},
    ports::*,
    quarantine::Quarantine,
    retention::{Cutoff, Expiring, Keepsake, Kept},
    routing::{LabelMatch, Route},
    runner::Runner,
    scope::{PoolKey, ScopeRef},
    snapshot::{Demand, InstallationHealth, PendingJob},
    worker::{Worker, WorkerStatus},
};
use tokio::sync::{Notify, watch};

mock! {
    Github {}
    #[async_trait]
    impl Forge for Github {
        async fn mint(&self, proof: &LeaderProof, request: &MintRequest) -> Result<Minted, MintError>;
        async fn runners(&self, scope: &ScopeRef) -> PortResult<Vec<Runner>>;
        async fn delete_runner(&self, proof: &LeaderProof, scope: &ScopeRef, runner: RunnerId) -> PortResult<Deletion>;
        async fn job(&self, job: &JobRef) -> PortResult<JobSighting>;
        async fn run_jobs(&self, run: &RunRef) -> PortResult<Vec<JobReport>>;
        async fn run_conclusion(&self, run: &RunRef) -> PortResult<Option<String>>;
        async fn active_runs(&self, repo: &RepoRef) -> PortResult<Vec<ActiveRun>>;
        async fn hook_deliveries(&self, app: riscv_runner_core::entity::EntityKind, since: Timestamp) -> PortResult<Vec<HookDelivery>>;
        async fn redeliver(&self, proof: &LeaderProof, app: riscv_runner_core::entity::EntityKind, delivery: i64) -> PortResult<()>;
        fn returned(&self, installation: InstallationId, returned_at: Timestamp);
        fn health(&self, installation: InstallationId) -> InstallationHealth;
    }
}

mock! {
    Boards {}
    #[async_trait]
    impl Cluster for Boards {
        async fn nodes(&self) -> PortResult<NodeMap>;
        async fn pods(&self) -> PortResult<PodMap>;
        async fn secrets(&self) -> PortResult<Vec<SecretObject>>;
        async fn create(&self, proof: &LeaderProof, request: &PodRequest, jit: &JitConfig) -> PortResult<CreatedPod>;
        async fn kill(&self, proof: &LeaderProof, name: &WorkerName, uid: &PodUid) -> PortResult<()>;
        async fn delete(&self, proof: &LeaderProof, name: &WorkerName, uid: &PodUid, grace: Grace) -> PortResult<()>;
        async fn delete_secret(&self, proof: &LeaderProof, name: &WorkerName) -> PortResult<()>;
        async fn diagnose(&self, name: &WorkerName) -> Diagnostics;
    }
    #[async_trait]
    impl BoardSlots for Boards {
        async fn advertise(&self, proof: &LeaderProof, node: &NodeName, slots: u32) -> PortResult<()>;
    }
}

/// A store with one world to read and a list of what was written.
struct Script {
    world: World,
    reserve: Mutex<Vec<Reserved>>,
    writes: Mutex<Vec<String>>,
    leads: bool,
    installations: Installations,
    repos: Vec<KnownRepo>,
    joined: Notify,
}

impl Script {
    fn of(world: World) -> Self {
        Self {
            world,
            reserve: Mutex::default(),
            writes: Mutex::default(),
            leads: true,
            installations: Installations::default(),
            repos: Vec::new(),
            joined: Notify::new(),
        }
    }

    fn write(&self, text: String) {
        self.writes.lock().unwrap().push(text);
    }
}

#[async_trait]
impl DeliveryStore for Script {
    async fn record_deliveries(&self, _: &[DeliveryRecord]) -> PortResult<Vec<PortResult<Recorded>>> {
        unreachable!("no delivery arrives in these tests")
    }
    async fn known_deliveries(&self, _: &[DeliveryGuid]) -> PortResult<Vec<DeliveryGuid>> {
        Ok(Vec::new())
    }
    async fn last_delivery_at(&self) -> PortResult<Option<Timestamp>> {
        Ok(None)
    }
}

#[async_trait]
impl SchedulingStore for Script {
    async fn demand(&self) -> PortResult<BTreeMap<PoolKey, Demand>> {
        Ok(self
            .world
            .snapshot
            .demand
            .iter()
            .map(|(k, d)| (k.clone(), Demand { waiting: Vec::new(), ..d.clone() }))
            .collect())
    }
    async fn waiting(
        &self,
        heads: &[HeadRequest],
        _: &[RepoName],
        _: &[PoolShare],
    ) -> PortResult<BTreeMap<PoolKey, Vec<PendingJob>>> {
        let read = |head: &HeadRequest| {
            let waiting = &self.world.snapshot.demand[&head.key].waiting;
            waiting.iter().skip(head.skip as usize).take(head.limit as usize).cloned().collect()
        };
        Ok(heads.iter().map(|head| (head.key.clone(), read(head))).collect())
    }
    async fn live_workers(&self) -> PortResult<BTreeMap<WorkerName, Worker>> {
        Ok(self.world.snapshot.workers.clone())
    }
    async fn workers_named(&self, _: &[WorkerName]) -> PortResult<BTreeMap<WorkerName, Worker>> {
        Ok(BTreeMap::new())
    }
    async fn scopes_of_workers(&self, _: Timestamp) -> PortResult<Vec<ScopeRef>> {
        Ok(Vec::new())
    }
    async fn standing(&self) -> PortResult<Standing> {
        Ok(Standing { installations: self.installations.clone(), ..Standing::default() })
    }
    async fn reserve(&self, _: &LeaderProof, reservations: &[Reservation]) -> PortResult<Vec<Reserved>> {
        let mut script = self.reserve.lock().unwrap();
        Ok(reservations
            .iter()
            .map(|_| {
                let answer = if script.is_empty() { Reserved::Yes } else { script.remove(0) };
                self.write(format!("reserve {answer:?}"));
                answer
            })
            .collect())
    }
    async fn change_worker(
        &self,
        _: &LeaderProof,
        _: &WorkerName,
        from: WorkerStatus,
        change: &WorkerChange,
    ) -> PortResult<Cas> {
        self.write(match change {
            WorkerChange::Failed { reason, backoff, .. } => {
                format!("{from} -> failed {reason}{}", if backoff.is_some() { ", backs off" } else { "" })
            }
            WorkerChange::Provisioned { .. } => format!("{from}: provisioned"),
            WorkerChange::Running { .. }
            | WorkerChange::Bound { .. }
            | WorkerChange::Completed { .. }
            | WorkerChange::Online { .. }
            | WorkerChange::RegistrationGone { .. } => format!("{from}: {change:?}"),
        });
        Ok(Cas::Done)
    }
    async fn adopt_worker(&self, _: &LeaderProof, _: &Worker) -> PortResult<Cas> {
        Ok(Cas::Done)
    }
    async fn join_job(&self, _: &LeaderProof, _: JobId, _: &JobEvent) -> PortResult<JobWrite> {
        Ok(JobWrite::Unchanged)
    }
    async fn join_listed_job(
        &self,
        _: &LeaderProof,
        facts: &JobFacts,
        _: &Placement,
        _: &JobEvent,
    ) -> PortResult<JobWrite> {
        self.write(format!("job {} of run {}", facts.id, facts.run.unwrap()));
        self.joined.notify_one();
        Ok(JobWrite::Unchanged)
    }
    async fn known_repos(&self, _: Timestamp) -> PortResult<Vec<KnownRepo>> {
        Ok(self.repos.clone())
    }
    async fn jobs_with_ids(&self, _: &[JobId]) -> PortResult<Vec<Job>> {
        Ok(Vec::new())
    }
    async fn doubtful_jobs(&self, _: &DoubtfulQuery) -> PortResult<DoubtfulJobs> {
        Ok(DoubtfulJobs::default())
    }
    async fn deliveries_swept(&self) -> PortResult<Option<Timestamp>> {
        Ok(None)
    }
    async fn note_deliveries_swept(&self, _: &LeaderProof, _: Timestamp) -> PortResult<()> {
        Ok(())
    }
    async fn refuse_image(&self, _: &LeaderProof, _: &ImageRef, _: Option<Timestamp>) -> PortResult<()> {
        Ok(())
    }
    async fn clear_backoff(&self, _: &LeaderProof, _: &PoolKey) -> PortResult<()> {
        Ok(())
    }
    async fn set_quarantine(&self, _: &LeaderProof, _: &NodeName, _: Option<&Quarantine>) -> PortResult<()> {
        Ok(())
    }
}

#[async_trait]
impl LeaseStore for Script {
    async fn acquire_lease(
        &self,
        _: &ReplicaName,
        ttl: Duration,
        now: Timestamp,
    ) -> PortResult<Option<LeaderProof>> {
        let until = now.checked_add(ttl).unwrap();
        Ok(self.leads.then(|| LeaderProof::issued_by_lease_store(Epoch::new(1).unwrap(), until)))
    }
    async fn release_lease(&self, _: &LeaderProof) -> PortResult<()> {
        self.write("lease given back".into());
        Ok(())
    }
    async fn leader(&self) -> PortResult<Option<(ReplicaName, Epoch, Timestamp)>> {
        Ok(None)
    }
}

#[async_trait]
impl ReportStore for Script {
    async fn jobs(&self, _: ReportWindow, _: &RowFilter<JobPhase>, _: Page) -> PortResult<PagedJobs> {
        Ok((Vec::new(), Total::Exactly(0)))
    }
    async fn workers(
        &self,
        _: ReportWindow,
        _: &RowFilter<WorkerStatus>,
        _: Page,
    ) -> PortResult<PagedWorkers> {
        Ok((Vec::new(), Total::Exactly(0)))
    }
    async fn usage(&self) -> PortResult<Vec<UsageRow>> {
        Ok(Vec::new())
    }
    async fn job(&self, _: JobId) -> PortResult<Option<JobRow>> {
        Ok(None)
    }
    async fn ahead(&self, _: &Job) -> PortResult<Ahead> {
        Ok(Ahead::default())
    }
    async fn worker(&self, _: &WorkerName) -> PortResult<Option<WorkerRow>> {
        Ok(None)
    }
    async fn weekly_usage(&self, _: ReportWindow, _: Timestamp) -> PortResult<Vec<WeekRow>> {
        Ok(Vec::new())
    }
    async fn lately(&self, _: ReportWindow) -> PortResult<Lately> {
        Ok(Lately::default())
    }
    async fn unrouted(&self, _: Timestamp, _: u32) -> PortResult<Vec<UnroutedRow>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ControlStore for Script {
    async fn order(&self, _: &Order, _: &Note) -> PortResult<Ordered> {
        unreachable!("no operator writes in these tests")
    }
    async fn control_audit(&self, _: u32) -> PortResult<Vec<AuditEntry>> {
        Ok(Vec::new())
    }
    async fn known_accounts(&self) -> PortResult<Vec<Entity>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl RetentionStore for Script {
    async fn count_expired(&self, _: Expiring, _: Cutoff) -> PortResult<u64> {
        Ok(0)
    }
    async fn remove_expired(&self, _: Remover<'_>, _: Expiring, _: Cutoff, _: u32) -> PortResult<u64> {
        Ok(0)
    }
    async fn keep(&self, _: &Keepsake, _: bool) -> PortResult<Kept> {
        unreachable!("no operator writes in these tests")
    }
}

struct Still;

impl Platform for Still {
    fn now(&self) -> Timestamp {
        common::at(0)
    }
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
    fn seed(&self) -> u64 {
        1
    }
}

fn minted() -> Minted {
    Minted { runner: RunnerId::new(42).unwrap(), jit: "secret".to_owned().into() }
}

fn lost(kind: PortErrorKind) -> PortError {
    PortError::new(kind, "create pod", "scripted")
}

/// One cycle with one waiting job; what was written, in order.
fn once(github: MockGithub, boards: MockBoards, reserve: Vec<Reserved>) -> Vec<String> {
    once_knowing(Installations::default(), github, boards, reserve)
}

fn once_knowing(
    installations: Installations,
    github: MockGithub,
    boards: MockBoards,
    reserve: Vec<Reserved>,
) -> Vec<String> {
    let script = Script {
        reserve: Mutex::new(reserve),
        installations,
        ..Script::of(World::new("a:1").job(1, "1", "a", 10))
    };
    let (store, engine) = engine(script, github, boards);
    futures::executor::block_on(engine.schedule_once()).unwrap();
    store.writes.lock().unwrap().clone()
}

fn engine(script: Script, github: MockGithub, boards: MockBoards) -> (Arc<Script>, Arc<Engine>) {
    let world = &script.world;
    let (nodes, pods) =
        (world.snapshot.nodes.present().unwrap().clone(), world.snapshot.pods.present().unwrap().clone());
    let mut boards = boards;
    boards.expect_nodes().returning(move || Ok(nodes.clone()));
    boards.expect_pods().returning(move || Ok(pods.clone()));
    let mut github = github;
    github.expect_health().returning(|_| InstallationHealth::default());
    let policy = watch::Sender::new(Arc::new(world.policy.clone()));
    let store = Arc::new(script);
    let engine = Engine::new(EngineParts {
        store: store.clone(),
        forge: Arc::new(github),
        cluster: Arc::new(boards),
        platform: Arc::new(Still),
        observer: Arc::new(Silent),
        policy: policy.subscribe(),
        replica: ReplicaName::new("r").unwrap(),
        wakes: Wakes::default(),
    });
    (store, engine)
}

#[test]
fn reserve_then_mint_then_create_then_confirm() {
    let mut github = MockGithub::new();
    github.expect_mint().times(1).returning(|_, _| Ok(minted()));
    let mut boards = MockBoards::new();
    boards
        .expect_create()
        .times(1)
        .withf(|_, request, _| request.pool.as_str() == "a")
        .returning(|_, _, _| Ok(CreatedPod { uid: "u".parse().unwrap() }));
    assert_eq!(once(github, boards, vec![]), ["reserve Yes", "pending: provisioned", "lease given back"]);
}

#[test]
fn github_is_told_that_an_installation_returned() {
    let mut github = MockGithub::new();
    let id = InstallationId::new(10).unwrap();
    github
        .expect_returned()
        .times(1..)
        .withf(move |told, at| *told == id && *at == common::at(3))
        .returning(|_, _| ());
    github.expect_mint().times(1).returning(|_, _| Err(MintError::NotLeader));
    let key = InstallationKey { entity: EntityId::new(1).unwrap(), app: EntityKind::Organization };
    let known = KnownInstallation { id, gone_since: None, returned_at: Some(common::at(3)) };
    once_knowing([(key, known)].into_iter().collect(), github, MockBoards::new(), vec![]);
}

#[test]
fn a_refused_pod_undoes_the_registration_and_leaves_the_job_as_demand() {
    let mut github = MockGithub::new();
    github.expect_mint().times(1).returning(|_, _| Ok(minted()));
    github
        .expect_delete_runner()
        .times(1)
        .withf(|_, _, runner| runner.get() == 42)
        .returning(|_, _, _| Ok(Deletion::Deleted));
    let mut boards = MockBoards::new();
    boards.expect_create().times(1).returning(|_, _, _| Err(lost(PortErrorKind::Denied)));
    let writes = once(github, boards, vec![]);
    assert_eq!(
        writes,
        ["reserve Yes", "pending -> failed pod_allocation_failure, backs off", "lease given back"]
    );
}

#[test]
fn a_lost_answer_of_the_cluster_is_not_a_failure() {
    let mut github = MockGithub::new();
    github.expect_mint().times(1).returning(|_, _| Ok(minted()));
    github.expect_delete_runner().never();
    let mut boards = MockBoards::new();
    boards.expect_create().times(1).returning(|_, _, _| Err(lost(PortErrorKind::Transient)));
    assert_eq!(once(github, boards, vec![]), ["reserve Yes", "lease given back"]);
}

#[test]
fn every_mint_failure_has_its_reason() {
    let cases: Vec<(fn() -> MintError, String)> = vec![
        (|| MintError::InstallationGone, "installation_not_found".into()),
        (|| MintError::AuthFailed(lost(PortErrorKind::Denied)), "auth_failed".into()),
        (|| MintError::AuthFailed(lost(PortErrorKind::Transient)), "auth_failed, backs off".into()),
        (|| MintError::RateLimited { until: Timestamp::MAX }, FailureReason::RateLimited.to_string()),
        (|| MintError::SelfHostedDisabled, "self_hosted_disabled, backs off".into()),
        (
            || MintError::Rejected { status: 422, source: lost(PortErrorKind::Denied) },
            "jit_rejected, backs off".into(),
        ),
    ];
    for (error, expected) in cases {
        let mut github = MockGithub::new();
        github.expect_mint().times(1).returning(move |_, _| Err(error()));
        let mut boards = MockBoards::new();
        boards.expect_create().never();
        let writes = once(github, boards, vec![]);
        assert_eq!(writes[1], format!("pending -> failed {expected}"));
    }
}

#[test]
fn a_taken_name_is_replaced_by_another() {
    let mut github = MockGithub::new();
    let mut sequence = mockall::Sequence::new();
    github.expect_mint().times(1).in_sequence(&mut sequence).returning(|_, _| Err(MintError::NameTaken));
    github.expect_mint().times(1).in_sequence(&mut sequence).returning(|_, _| Ok(minted()));
    let mut boards = MockBoards::new();
    boards.expect_create().times(1).returning(|_, _, _| Ok(CreatedPod { uid: "u".parse().unwrap() }));
    let writes = once(github, boards, vec![Reserved::NameTaken]);
    assert_eq!(
        writes,
        [
            "reserve NameTaken",
            "reserve Yes",
            "pending -> failed jit_rejected",
            "reserve Yes",
            "pending: provisioned",
            "lease given back"
        ]
    );
}

#[test]
fn what_others_were_first_to_is_not_made() {
    for answer in [Reserved::EntityAtCap, Reserved::PoolAtCap, Reserved::DemandMet] {
        let mut github = MockGithub::new();
        github.expect_mint().never();
        assert_eq!(once(github, MockBoards::new(), vec![answer]).len(), 2);
    }
}

/// A job of a run, as GitHub tells of it when it is asked.
fn queued(run: RunId) -> JobReport {
    let details =
        JobDetails { labels: vec!["a".to_owned()], name: None, html_url: None, created_at: common::at(1) };
    JobReport { job: JobId::new(run.get() * 10).unwrap(), run, state: ReportedState::Queued, details }
}

#[test]
fn a_listed_run_that_a_banned_person_started_brings_no_demand() {
    let started = |run, by: Option<&str>| ActiveRun {
        run: RunId::new(run).unwrap(),
        sender: by.map(|by| Login::new(by).unwrap()),
    };
    let active = vec![started(1, Some("Mallory")), started(2, Some("ada")), started(3, None)];
    let mut github = MockGithub::new();
    github.expect_hook_deliveries().returning(|_, _| Ok(Vec::new()));
    github.expect_active_runs().times(1).return_once(move |_| Ok(active));
    github.expect_run_jobs().times(2).returning(|run| Ok(vec![queued(run.run)]));
    let mut boards = MockBoards::new();
    boards.expect_secrets().returning(|| Ok(Vec::new()));
    let world = World::new("a:1").edit(|world| {
        world.policy.banned_senders.insert(Login::new("mallory").unwrap());
        world.policy.routes.push(Route {
            labels: common::labels("a"),
            label_match: LabelMatch::Exact,
            entities: Vec::new(),
            repositories: Vec::new(),
            app: None,
            pool: "a".parse().unwrap(),
            image: None,
            max_workers: None,
            warm: 0,
        });
    });
    let scope = common::scope("1");
    let repo = KnownRepo {
        entity: Entity { id: scope.entity, kind: EntityKind::Organization, login: scope.login },
        installation: scope.installation,
        repo_id: RepoId::new(1).unwrap(),
        repo: RepoName::new("e1/main").unwrap(),
        private: false,
    };
    let (store, engine) = engine(Script { repos: vec![repo], ..Script::of(world) }, github, boards);
    let joined = {
        let store = Arc::clone(&store);
        async move {
            while store.writes.lock().unwrap().len() < 2 {
                store.joined.notified().await;
            }
        }
    };
    futures::executor::block_on(engine.run(joined));
    let writes = store.writes.lock().unwrap();
    assert_eq!(writes[..2], ["job 20 of run 2", "job 30 of run 3"]);
}
