//! `rrctl serve`: webhooks, loops and pages in one process, or each role in its own.

mod schema;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use riscv_runner_core::{
    controls::Controls,
    engine::{
        Engine, EngineParts, Wakes,
        intake::{Intake, IntakeWriter, intake},
        wake::Wake,
    },
    ids::ReplicaName,
    policy::Policy,
    ports::{Cluster, DeliveryStore, Observer, Platform, SchedulingStore},
};
use riscv_runner_github::{GithubForge, GithubInspector, signature::WebhookSecrets, webhook::KnownApps};
use riscv_runner_http::{
    AppState, AppStateBuilder, IntakeLimits, Role as Routes, SnapshotSource, Webhooks,
    readiness::{Peer, Readiness},
    router_for,
    staging::HttpStaging,
};
use riscv_runner_k8s::KubeCluster;
use riscv_runner_pg::{Listeners, PgConfig, PgStore};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use self::schema::Migration;
use crate::{
    alarms::Alarms,
    args::{Role, Serve},
    config::{self, Config, Need, Problem, Severity, Sources},
    counts::Counts,
    failure::Failure,
    logging,
    platform::TokioPlatform,
    printer::Printer,
    reload::Reload,
    server::{self, Entrance},
    signals::Signals,
    standby::StandbyStore,
    telemetry::Telemetry,
    wire,
    witness::{Witness, record_failures},
};

/// Deliveries that may wait for their commit; GitHub's bursts are smaller, and more would time out.
const INTAKE_QUEUE: usize = 4096;
/// How often bans and the cluster's health are read for intake and `/ready`.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A standby process records few deliveries at a time.
const STANDBY_CONNECTIONS: u32 = 2;

/// Readers of pages wait for each other, and delay nothing else.
const PAGE_CONNECTIONS: u32 = 3;
/// After this long a page reports that the store does not answer; the statement ends with the wait.
const PAGE_STATEMENT_LIMIT: Duration = Duration::from_secs(5);

/// Everything that runs until the process ends.
struct Running {
    engine: Option<BoxFuture<'static, ()>>,
    intake: Option<(Intake, IntakeWriter)>,
    background: JoinSet<()>,
    telemetry: Telemetry,
}

/// Runs `rrctl serve` until it is asked to stop.
pub(crate) async fn run(serve: Serve, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    refuse_missing_secrets(&config, serve.role)?;
    logging::start(&config.server, printer);
    for warning in config.warnings.iter().filter(|warning| concerns(warning, serve.role)) {
        tracing::warn!("{warning}");
    }
    let signals = Signals::listen()?;
    let listener = Arc::new(bind(serve.listen.unwrap_or(config.server.listen)).await?);
    if !serve.migrate {
        schema::require_up_to_date(&config).await?;
    } else if schema::bring_up_to_date(&config, &listener, &signals).await? == Migration::Stopped {
        return Ok(());
    }
    let pg = wire::store_config(&config, serve.role == Role::Webhook)?;
    let store = wire::store(&pg).await?;
    let replica = wire::replica_name()?;
    let telemetry = Telemetry::start(&config, &replica)?;
    let (witness, heard) = Witness::new(telemetry.tracer());
    let policy = watch::Sender::new(Arc::new(config.policy.clone()));
    let rules = watch::Sender::new(Arc::new(config.notify.rules.clone()));
    let wakes = Wakes::default();
    let orders = Wake::default();
    let mut running = Running { engine: None, intake: None, background: JoinSet::new(), telemetry };
    let mut counts = Counts { stores: vec![Arc::clone(&store)], forge: None };
    let (mut cluster, mut snapshots, mut inspector) = (None, None, None);
    let mut deliveries: Arc<dyn DeliveryStore> = Arc::<PgStore>::clone(&store);
    if serve.role != Role::Webhook {
        let found = wire::cluster(&config, &[wakes.workers.clone(), wakes.schedule.clone()]).await?;
        let forge = wire::forge(&config, Arc::<Witness>::clone(&witness))?;
        counts.forge = Some(Arc::clone(&forge));
        inspector = Some(GithubInspector::new(Arc::clone(&forge)));
        let engine = engine(forge, &store, &found, &witness, &policy, &wakes, replica);
        if serve.role == Role::All {
            let mut standby = pg.clone();
            (standby.notify, standby.max_connections) = (true, STANDBY_CONNECTIONS);
            let notifying = wire::store(&standby).await?;
            counts.stores.push(Arc::clone(&notifying));
            let leading = engine.leading();
            deliveries = Arc::new(StandbyStore { quiet: Arc::clone(&store), notifying, leading });
        }
        let alarms = Alarms {
            engine: Arc::clone(&engine),
            events: heard.events,
            rules: rules.subscribe(),
            policy: policy.subscribe(),
            witness: Arc::clone(&witness),
            stopped: Box::pin(signals.stopped()),
        };
        alarms.start(&config, &mut running.background)?;
        snapshots = Some(Arc::clone(&engine) as Arc<dyn SnapshotSource>);
        running.engine = Some(Box::pin(engine.run(signals.stopped())));
        cluster = Some(found);
    }
    running.background.spawn(riscv_runner_pg::listen(pg.clone(), listeners(&wakes, &orders)));
    let observer = Arc::<Witness>::clone(&witness) as Arc<dyn Observer>;
    let (entrance, writer) = intake(INTAKE_QUEUE, deliveries, observer, wakes.schedule.clone());
    let log = Arc::<PgStore>::clone(&store);
    running.background.spawn(record_failures(heard.failures, entrance.clone(), log));
    running.intake = Some((entrance.clone(), writer));
    let controls = watch::Sender::new(Arc::new(Controls::default()));
    let pages = page_store(&pg).await?;
    counts.stores.push(Arc::clone(&pages));
    let stores = (&store, &pages);
    let mut state = state(&config, serve.role, stores, &witness, &policy, &controls, entrance)?;
    state = state.counted(Arc::new(counts));
    if let (Some(source), Some(cluster)) = (snapshots, &cluster) {
        state = state.snapshots(source).pods(Arc::<KubeCluster>::clone(cluster));
    }
    if let Some(inspector) = inspector {
        state = state.inspector(Arc::new(inspector));
    }
    let readiness = Arc::clone(&witness.readiness);
    let looking = look(Arc::clone(&store), cluster.clone(), controls, orders, readiness);
    running.background.spawn(looking);
    let in_force = config.values.clone();
    let in_use = policy.subscribe();
    let reload = Reload { sources: sources.clone(), in_force, policy, rules, cluster };
    running.background.spawn(async move {
        if let Err(error) = reload.run().await {
            tracing::warn!(?error, "the configuration will not be reloaded");
        }
    });
    let web = Entrance::of(&config.server)?;
    if let Some(certificates) = web.certificates() {
        running.background.spawn(certificates.follow());
    }
    Box::pin(until_stopped(running, state.build(), serve.role, (listener, web), &signals, in_use)).await
}

async fn bind(listen: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(listen).await.map_err(|error| {
        Failure::because(&format!("cannot listen on {listen}"), &error)
            .hint("another process may use the port; set [server] listen or --listen")
    })
}

/// Secrets that the role works with must be here: elsewhere their absence is a warning.
fn refuse_missing_secrets(config: &Config, role: Role) -> Result<(), Failure> {
    let is_needed = |key: &str| match role {
        Role::All => key.starts_with(config::APPS) || key.starts_with(config::WEBHOOK_SECRETS),
        Role::Scheduler => key.starts_with(config::APPS),
        Role::Webhook => key.starts_with(config::WEBHOOK_SECRETS),
    };
    let missing: Vec<_> = config
        .warnings
        .iter()
        .filter(|warning| warning.is_missing_secret && is_needed(&warning.key))
        .map(|warning| Problem { severity: Severity::Error, ..warning.clone() })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Failure::Configuration(missing)) }
}

/// Whether a warning concerns a role: webhooks are accepted without the Apps' keys, which a careful
/// deployment keeps away from that role. Every role sends traces.
fn concerns(warning: &Problem, role: Role) -> bool {
    let read = [config::WEBHOOK_SECRETS, "server.", "store.", "telemetry."];
    role != Role::Webhook
        || !warning.is_missing_secret
        || read.iter().any(|section| warning.key.starts_with(section))
}

/// An order may be about demand, about a worker, or about what intake refuses.
fn listeners(wakes: &Wakes, orders: &Wake) -> Listeners {
    let told = [&wakes.schedule, &wakes.workers, &wakes.runners, orders];
    Listeners { work: wakes.schedule.clone(), orders: told.map(Wake::clone).into() }
}

fn engine(
    forge: Arc<GithubForge>,
    store: &Arc<PgStore>,
    cluster: &Arc<KubeCluster>,
    witness: &Arc<Witness>,
    policy: &watch::Sender<Arc<Policy>>,
    wakes: &Wakes,
    replica: ReplicaName,
) -> Arc<Engine> {
    Engine::new(EngineParts {
        store: Arc::<PgStore>::clone(store),
        forge,
        cluster: Arc::<KubeCluster>::clone(cluster),
        platform: Arc::new(TokioPlatform),
        observer: Arc::<Witness>::clone(witness),
        policy: policy.subscribe(),
        replica,
        wakes: wakes.clone(),
    })
}

/// What pages read through: a slow one, or many, keep no delivery and no cycle waiting.
async fn page_store(pg: &PgConfig) -> Result<Arc<PgStore>, Failure> {
    let mut pages = pg.clone();
    (pages.notify, pages.max_connections) = (false, PAGE_CONNECTIONS);
    pages.statement_limit = PAGE_STATEMENT_LIMIT;
    wire::store(&pages).await
}

fn state(
    config: &Config,
    role: Role,
    (store, pages): (&Arc<PgStore>, &Arc<PgStore>),
    witness: &Arc<Witness>,
    policy: &watch::Sender<Arc<Policy>>,
    controls: &watch::Sender<Arc<Controls>>,
    intake: Intake,
) -> Result<AppStateBuilder, Failure> {
    let mut state = AppState::builder(
        Arc::<PgStore>::clone(pages),
        Arc::<PgStore>::clone(store),
        Arc::new(TokioPlatform),
        policy.subscribe(),
        controls.subscribe(),
    )
    .metrics(Arc::clone(&witness.metrics))
    .readiness(Arc::clone(&witness.readiness))
    .public_pages(config.server.public_pages)
    .behind_proxy(config.server.behind_proxy)
    .operators(Arc::<PgStore>::clone(store), config.server.admin_secret.clone());
    let apps: KnownApps = config.github.apps.iter().map(|app| (app.app_id, app.kind)).collect();
    state = state.trace(Arc::<PgStore>::clone(pages), &apps);
    if let Some(token) = &config.server.trace_secret {
        state = state.reader_token(token.clone());
    }
    if let Some(url) = &config.server.staging_url {
        let staging =
            HttpStaging::new(url).map_err(|error| Failure::because("staging cannot be used", &error))?;
        state = state.staging(Arc::new(staging));
    }
    if role != Role::Scheduler {
        let secrets = WebhookSecrets::new(&config.github.webhook_secrets).map_err(|error| {
            Failure::because("webhooks cannot be verified", &error)
                .hint("fix the files that [github] webhook_secrets_files names, or set GHAPP_WEBHOOK_SECRET")
        })?;
        let body = usize::try_from(config.server.body_limit.as_u64()).unwrap_or(usize::MAX);
        let limits = IntakeLimits { body, ..IntakeLimits::default() };
        state = state.webhooks(Webhooks::new(intake, secrets, apps, limits));
    }
    Ok(state)
}

/// Keeps bans up to date for intake, and records whether the cluster answers.
async fn look(
    store: Arc<PgStore>,
    cluster: Option<Arc<KubeCluster>>,
    controls: watch::Sender<Arc<Controls>>,
    orders: Wake,
    readiness: Arc<Readiness>,
) {
    loop {
        // Intake works by the bans it knows while the store is away, and /ready says that it is.
        if let Ok(standing) = store.standing().await {
            controls.send_replace(Arc::new(standing.controls));
        }
        if let Some(cluster) = &cluster {
            let seen = cluster.nodes().await;
            let now = TokioPlatform.now();
            match seen {
                Ok(_) => readiness.seen(Peer::Cluster, now),
                Err(_) => readiness.failed(Peer::Cluster, now),
            }
        }
        // An operator's order is looked at once it is there.
        let _ = tokio::time::timeout(LOOK_EVERY, orders.woken()).await;
    }
}

async fn until_stopped(
    running: Running,
    state: AppState,
    role: Role,
    (listener, entrance): (Arc<TcpListener>, Entrance),
    signals: &Signals,
    policy: watch::Receiver<Arc<Policy>>,
) -> Result<(), Failure> {
    let address =
        listener.local_addr().map_err(|error| Failure::because("the listener has no address", &error))?;
    let routes = match role {
        Role::All => Routes::All,
        Role::Webhook => Routes::Webhook,
        Role::Scheduler => Routes::Scheduler,
    };
    tracing::info!(%address, ?role, "serving");
    let server = server::serve(listener, router_for(routes, state.clone()), entrance, signals.stopped());
    let Running { engine, intake, mut background, telemetry } = running;
    let writer = intake.map(|(entrance, writer)| {
        drop(entrance);
        tokio::spawn(writer.run())
    });
    let engine = engine.map(tokio::spawn);
    let served = tokio::spawn(server);
    signals.stopped().await;
    state.end_streams();
    // It holds an entrance too, as long as it is there.
    drop(state);
    let end = Instant::now() + policy.borrow().timeouts.shutdown;
    let ending = async {
        let served = served.await;
        background.shutdown().await;
        // Every entrance is gone now, so the writer ends once it has committed what it holds.
        if let Some(writer) = writer {
            let _ = writer.await;
        }
        if let Some(engine) = engine {
            let _ = engine.await;
        }
        served
    };
    let ended = timeout_at(end, ending).await;
    // The last spans are those of what has just ended.
    telemetry.flush(end).await;
    match ended {
        Ok(Ok(())) => tracing::info!("stopped"),
        Ok(Err(error)) => return Err(Failure::because("the server failed", &error)),
        Err(_) => tracing::warn!("stopped with work in flight; the next leader recovers it"),
    }
    Ok(())
}
