//! The composition root: the one place that knows which adapter stands behind which port.

use std::{os::unix::fs::MetadataExt, sync::Arc};

use riscv_runner_core::{
    engine::{Engine, EngineParts, Wakes, wake::Wake},
    ids::ReplicaName,
    ports::{Observer, Platform, Silent},
};
use riscv_runner_github::{AppConfig, GithubConfig, GithubForge, GithubObserver, Unobserved};
use riscv_runner_k8s::{Connection, KubeCluster};
use riscv_runner_pg::{PgConfig, PgStore};
use tokio::sync::watch;

use crate::{config::Config, failure::Failure, platform::TokioPlatform};

/// Makes ring the crypto provider of every TLS connection of the process.
pub(crate) fn install_crypto() {
    // An error means that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// How to reach the database; `notify` where another process schedules.
pub(crate) fn store_config(config: &Config, notify: bool) -> Result<PgConfig, Failure> {
    let (Some(url), Some(schema)) = (&config.store.url, &config.store.schema) else {
        return Err(Failure::failed("the address of the database is not available on this machine")
            .hint("fix the file that [store] url_file names, or set POSTGRES_URL"));
    };
    let mut store = PgConfig::new(url.clone(), schema.clone());
    store.max_connections = config.store.max_connections;
    store.notify = notify;
    Ok(store)
}

/// Connects to the database.
pub(crate) async fn store(config: &PgConfig) -> Result<Arc<PgStore>, Failure> {
    Ok(Arc::new(PgStore::connect(config).await?))
}

/// GitHub, as our Apps reach it.
pub(crate) fn forge(config: &Config, observer: Arc<dyn GithubObserver>) -> Result<Arc<GithubForge>, Failure> {
    let apps = config.github.apps.iter().filter_map(|app| {
        Some(AppConfig { kind: app.kind, app_id: app.app_id, private_key: app.private_key.clone()? })
    });
    let mut github = GithubConfig::new(apps.collect());
    github.api_url = config.github.api_url.clone();
    github.runner_group = config.runner.group.clone();
    github.name_prefix = config.policy.name_prefix.as_str().to_owned();
    github.work_folder = config.runner.work_folder.clone();
    let forge = GithubForge::new(&github, Arc::new(TokioPlatform), observer)
        .map_err(|error| Failure::because("GitHub cannot be used", &error))?;
    Ok(Arc::new(forge))
}

/// A client of the cluster; nothing is sent yet.
pub(crate) async fn connection(config: &Config) -> Result<Connection, Failure> {
    let settings = &config.cluster;
    let connecting = riscv_runner_k8s::connect(
        &settings.source,
        settings.context.as_deref(),
        settings.namespace.as_deref(),
    );
    Box::pin(connecting).await.map_err(|error| Failure::because("the cluster cannot be used", &error))
}

/// The cluster; `wakes` are woken when it changes.
pub(crate) async fn cluster(config: &Config, wakes: &[Wake]) -> Result<Arc<KubeCluster>, Failure> {
    let settings = &config.cluster;
    let connection = connection(config).await?;
    Ok(Arc::new(KubeCluster::start(
        &connection,
        config.pools.templates.clone(),
        settings.options,
        Arc::new(TokioPlatform),
        wakes,
    )))
}

/// An engine that observes, and acts only when it is asked for a single cycle.
pub(crate) async fn observer(config: &Config) -> Result<Arc<Engine>, Failure> {
    observer_telling(config, Arc::new(Unobserved)).await
}

/// The same, with an observer of GitHub's answers.
pub(crate) async fn observer_telling(
    config: &Config,
    github: Arc<dyn GithubObserver>,
) -> Result<Arc<Engine>, Failure> {
    let parts = EngineParts {
        store: store(&store_config(config, false)?).await?,
        forge: forge(config, github)?,
        cluster: cluster(config, &[]).await?,
        platform: Arc::new(TokioPlatform),
        observer: Arc::new(Silent) as Arc<dyn Observer>,
        policy: watch::Sender::new(Arc::new(config.policy.clone())).subscribe(),
        replica: replica_name()?,
        wakes: Wakes::default(),
    };
    Ok(Engine::new(parts))
}

/// This machine's name.
fn host() -> String {
    let host = std::env::var("HOSTNAME")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_else(|_| "rrctl".to_owned());
    host.trim().chars().filter(char::is_ascii_graphic).take(100).collect()
}

/// Who runs this process, as `user@host`.
pub(crate) fn operator() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    // Without a name there is a number: an audit must tell operators apart.
    let by_number = || std::fs::metadata("/proc/self").map(|process| format!("uid-{}", process.uid()));
    let user = user.ok().or_else(|| by_number().ok()).unwrap_or_else(|| "somebody".to_owned());
    let user: String = user.chars().filter(|c| !c.is_control()).take(90).collect();
    format!("{user}@{}", host())
}

/// This process, as the lease names it: the host, for reading, and a number that no other process has.
pub(crate) fn replica_name() -> Result<ReplicaName, Failure> {
    let host = host();
    let number = TokioPlatform.seed();
    ReplicaName::new(format!("{host}-{}-{:04x}", std::process::id(), number & 0xffff))
        .map_err(|error| Failure::because("no name for this process", &error))
}
