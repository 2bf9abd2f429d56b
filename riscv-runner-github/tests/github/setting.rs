//! A double with an organization and a person, our adapter in front of it, and a clock for both.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt as _};
use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{AppId, EntityId, Epoch, InstallationId, Login, RepoId, RepoName, WorkerName},
    labels::LabelSet,
    ports::{Forge as _, LeaderProof, MintError, MintRequest, Minted, Platform},
    scope::{ScopeRef, Target},
};
use riscv_runner_github::{
    Answer, AppConfig, AuthFailure, GithubConfig, GithubForge, GithubInspector, GithubObserver,
};
use riscv_runner_sim::doubles::github::{
    Config, GithubDouble, ORGANIZATION_APP, PERSONAL_APP, TEST_APP_KEY_PKCS1,
};
use secrecy::SecretString;

pub(crate) const ORG_JIT: &str = "POST /orgs/{org}/actions/runners/generate-jitconfig";
pub(crate) const REPO_JIT: &str = "POST /repos/{owner}/{repo}/actions/runners/generate-jitconfig";
pub(crate) const TOKEN: &str = "POST /app/installations/{installation_id}/access_tokens";
pub(crate) const GROUPS: &str = "GET /orgs/{org}/actions/runner-groups";
pub(crate) const CREATE_GROUP: &str = "POST /orgs/{org}/actions/runner-groups";
pub(crate) const ORG_RUNNERS: &str = "GET /orgs/{org}/actions/runners";
pub(crate) const JOB: &str = "GET /repos/{owner}/{repo}/actions/jobs/{job_id}";

/// A clock that moves when it is told to, and when somebody sleeps.
#[derive(Debug, Clone)]
pub(crate) struct TestPlatform {
    now: Arc<Mutex<Timestamp>>,
    seed: Arc<AtomicU64>,
}

impl TestPlatform {
    pub(crate) fn advance(&self, span: Duration) {
        let mut now = self.now.lock().unwrap();
        *now = now.checked_add(span).unwrap();
    }
}

impl Platform for TestPlatform {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.advance(duration);
        std::future::ready(()).boxed()
    }

    fn seed(&self) -> u64 {
        self.seed.fetch_add(1, Ordering::Relaxed)
    }
}

/// Keeps everything that it is told.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) answers: Mutex<Vec<Answer>>,
    pub(crate) failures: Mutex<Vec<AuthFailure>>,
}

impl GithubObserver for Notes {
    fn answered(&self, answer: Answer) {
        self.answers.lock().unwrap().push(answer);
    }

    fn auth_failed(&self, failure: &AuthFailure) {
        self.failures.lock().unwrap().push(failure.clone());
    }
}

pub(crate) struct Setting {
    pub(crate) double: GithubDouble,
    pub(crate) forge: Arc<GithubForge>,
    pub(crate) inspector: GithubInspector,
    pub(crate) clock: TestPlatform,
    pub(crate) notes: Arc<Notes>,
    pub(crate) org: ScopeRef,
    pub(crate) person: ScopeRef,
    config: GithubConfig,
}

impl Setting {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    pub(crate) async fn with(
        shape_double: impl FnOnce(&mut Config),
        shape_config: impl FnOnce(&mut GithubConfig),
    ) -> Self {
        let clock = TestPlatform {
            now: Arc::new(Mutex::new("2026-11-21T00:00:00Z".parse().unwrap())),
            seed: Arc::default(),
        };
        let clock_of_double = clock.clone();
        let mut config = Config { clock: Arc::new(move || clock_of_double.now()), ..Config::default() };
        shape_double(&mut config);
        let double = GithubDouble::start(config).await.unwrap();
        let acme = double.add_account("Acme", EntityKind::Organization);
        let ada = double.add_account("ada", EntityKind::User);
        let engine = double.add_repo("ada/engine", false);
        double.add_repo("Acme/widget", false);
        let org = scope(double.install(ORGANIZATION_APP, "Acme"), acme, "Acme", Target::Organization);
        let target = Target::Repository {
            id: RepoId::new(engine).unwrap(),
            name: RepoName::new("ada/engine").unwrap(),
        };
        let person = scope(double.install(PERSONAL_APP, "ada"), ada, "ada", target);
        let mut config = GithubConfig::new(vec![
            app(EntityKind::Organization, ORGANIZATION_APP, TEST_APP_KEY_PKCS1),
            app(EntityKind::User, PERSONAL_APP, TEST_APP_KEY_PKCS1),
        ]);
        config.api_url = double.url().to_owned();
        config.request_timeout = Duration::from_secs(10);
        shape_config(&mut config);
        let notes = Arc::new(Notes::default());
        let observer = Arc::clone(&notes);
        let forge = Arc::new(GithubForge::new(&config, Arc::new(clock.clone()), observer).unwrap());
        let inspector = GithubInspector::new(Arc::clone(&forge));
        Self { double, forge, inspector, clock, notes, org, person, config }
    }

    /// An adapter that remembers nothing of what this one has seen.
    pub(crate) fn another_process(&self) -> GithubForge {
        GithubForge::new(&self.config, Arc::new(self.clock.clone()), Arc::new(Notes::default())).unwrap()
    }

    pub(crate) fn proof(&self) -> LeaderProof {
        let until = self.clock.now().checked_add(Duration::from_secs(3600)).unwrap();
        LeaderProof::issued_by_lease_store(Epoch::new(1).unwrap(), until)
    }

    pub(crate) fn ended_proof(&self) -> LeaderProof {
        LeaderProof::issued_by_lease_store(Epoch::new(1).unwrap(), self.clock.now())
    }

    pub(crate) async fn mint(&self, scope: &ScopeRef, name: &str) -> Result<Minted, MintError> {
        self.forge.mint(&self.proof(), &request(scope, name)).await
    }

    /// Nothing was asked that GitHub's documentation forbids.
    pub(crate) fn assert_lawful(&self) {
        assert_eq!(self.double.violations(), Vec::<String>::new());
    }

    pub(crate) fn failures(&self) -> Vec<AuthFailure> {
        self.notes.failures.lock().unwrap().clone()
    }
}

pub(crate) fn request(scope: &ScopeRef, name: &str) -> MintRequest {
    MintRequest {
        scope: scope.clone(),
        name: WorkerName::new(name).unwrap(),
        labels: LabelSet::new(["ubuntu-24.04-riscv", "RVA23"]).unwrap(),
    }
}

pub(crate) fn app(kind: EntityKind, id: i64, key: &str) -> AppConfig {
    AppConfig { kind, app_id: AppId::new(id).unwrap(), private_key: SecretString::from(key) }
}

fn scope(installation: i64, entity: i64, login: &str, target: Target) -> ScopeRef {
    ScopeRef {
        installation: InstallationId::new(installation).unwrap(),
        entity: EntityId::new(entity).unwrap(),
        login: Login::new(login).unwrap(),
        target,
    }
}
