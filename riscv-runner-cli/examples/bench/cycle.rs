//! What a cycle of the scheduler costs by the length of the queue: the real engine on the real store.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use riscv_runner_core::{
    engine::{Engine, EngineParts, Wakes},
    ids::{PoolName, ReplicaName},
    policy::{Limits, NamePrefix, Policy, PoolPolicy, Timeouts},
    ports::{EngineEvent, LoopName, Observer},
};
use riscv_runner_pg::{PgConfig, PgStore, SchemaName, migrate, testing::ThrowAwayPostgres};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Outcome, backlog,
    figures::{Sorted, machine, table},
    idle_parts::{BOARD, Boards, SlowForge},
    platform::RealPlatform,
};

/// Free boards in front of the queue.
const SLOTS: u32 = 50;
/// Cycles that find nothing to do, per length of the queue.
const IDLE_CYCLES: usize = 200;
/// No loop but the one that is measured may run in between.
const NEVER: Duration = Duration::from_secs(3600);
/// The loops that run once as soon as their process leads.
const LOOPS: [LoopName; 6] = [
    LoopName::Schedule,
    LoopName::Workers,
    LoopName::Jobs,
    LoopName::Runners,
    LoopName::Deliveries,
    LoopName::Retention,
];
/// Longer than any cycle.
const CYCLE_LIMIT: Duration = Duration::from_secs(60);

/// Measures, and prints what came of it.
pub(crate) async fn run(quick: bool) -> Outcome<()> {
    machine();
    let postgres = ThrowAwayPostgres::start_with(&[])?;
    let config = PgConfig::new(postgres.url().to_owned().into(), SchemaName::new("cycle")?);
    migrate(&config).await?;
    let store = Arc::new(PgStore::connect(&config).await?);
    let (lengths, repeats): (&[u32], _) =
        if quick { (&[10, 1_000, 10_000], 5) } else { (&[10, 1_000, 10_000, 100_000, 1_000_000], 15) };
    let mut rows = Vec::new();
    let mut measured = Vec::new();
    for waiting in [0].iter().chain(lengths) {
        let cost = cost(&store, *waiting, repeats).await?;
        rows.push(vec![
            waiting.to_string(),
            cost.reserved.to_string(),
            cost.statements.to_string(),
            format!("{:.2}", cost.filling.ms(50)),
            format!("{:.2}", cost.filling.ms(99)),
            cost.idle_statements.to_string(),
            format!("{:.2}", cost.idle.ms(50)),
            format!("{:.2}", cost.idle.ms(99)),
        ]);
        measured.push((*waiting, cost));
    }
    let heads = [
        "waiting jobs",
        "reserved",
        "statements",
        "p50 ms",
        "p99 ms",
        "statements, no slot",
        "p50 ms",
        "p99 ms",
    ];
    let title =
        format!("One cycle of the scheduler, {SLOTS} free slots, 200 pool keys; and one without a free slot");
    table(&title, &heads, &rows);
    let at = |wanted: u32| measured.iter().find(|(waiting, _)| *waiting == wanted).map(|(_, cost)| cost);
    let ms = |wanted| at(wanted).map_or(f64::NAN, |cost: &Cost| cost.filling.ms(50));
    let most = measured.iter().map(|(_, cost)| cost.statements).max().unwrap_or(0);
    let idle = at(0).map_or(f64::NAN, |cost| cost.idle.ms(50));
    println!(
        "statements={most} ratio_1e6_1e3={:.2} ms_1e6={:.2} idle_ms={idle:.2}",
        ms(1_000_000) / ms(1_000),
        ms(1_000_000)
    );
    Ok(())
}

struct Cost {
    filling: Sorted,
    statements: u64,
    reserved: i64,
    idle: Sorted,
    idle_statements: u64,
}

async fn cost(store: &Arc<PgStore>, waiting: u32, repeats: usize) -> Outcome<Cost> {
    backlog::set(store, waiting).await?;
    let (mut filling, mut statements, mut reserved) = (Vec::new(), 0, 0);
    for _ in 0..repeats {
        let mut scheduler = Scheduler::start(store).await?;
        scheduler.boards.0.store(SLOTS, Ordering::Relaxed);
        let (took, sent) = scheduler.cycle().await?;
        filling.push(took);
        statements = statements.max(sent);
        scheduler.stop().await?;
        reserved = sqlx::query_scalar("SELECT count(*) FROM workers").fetch_one(store.pool()).await?;
        backlog::forget_workers(store).await?;
    }
    let mut scheduler = Scheduler::start(store).await?;
    let (mut idle, mut idle_statements) = (Vec::new(), 0);
    for _ in 0..IDLE_CYCLES {
        let (took, sent) = scheduler.cycle().await?;
        idle.push(took);
        idle_statements = idle_statements.max(sent);
    }
    scheduler.stop().await?;
    let (filling, idle) = (Sorted::new(filling), Sorted::new(idle));
    Ok(Cost { filling, statements, reserved, idle, idle_statements })
}

/// An engine that leads and whose loops are at rest, with no free board yet.
struct Scheduler {
    store: Arc<PgStore>,
    boards: Arc<Boards>,
    wakes: Wakes,
    cycles: mpsc::UnboundedReceiver<(LoopName, Duration, bool)>,
    engine: tokio::task::JoinHandle<()>,
    _policy: watch::Sender<Arc<Policy>>,
    stop: oneshot::Sender<()>,
}

impl Scheduler {
    async fn start(store: &Arc<PgStore>) -> Outcome<Self> {
        let (boards, wakes) = (Arc::new(Boards::default()), Wakes::default());
        let (sender, cycles) = mpsc::unbounded_channel();
        let policy = watch::Sender::new(Arc::new(policy()?));
        let engine = Engine::new(EngineParts {
            store: Arc::<PgStore>::clone(store),
            forge: Arc::new(SlowForge),
            cluster: Arc::<Boards>::clone(&boards),
            platform: Arc::new(RealPlatform),
            observer: Arc::new(Cycles(sender)),
            policy: policy.subscribe(),
            replica: ReplicaName::new("bench")?,
            wakes: wakes.clone(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let engine = tokio::spawn(engine.run(async move {
            let _ = stopped.await;
        }));
        let store = Arc::clone(store);
        let mut scheduler = Self { store, boards, wakes, cycles, engine, _policy: policy, stop };
        let mut resting = BTreeSet::new();
        while !LOOPS.iter().all(|name| resting.contains(name)) {
            resting.insert(scheduler.next().await?.0);
        }
        Ok(scheduler)
    }

    async fn next(&mut self) -> Outcome<(LoopName, Duration)> {
        match tokio::time::timeout(CYCLE_LIMIT, self.cycles.recv()).await? {
            Some((name, took, true)) => Ok((name, took)),
            Some((name, ..)) => Err(format!("a cycle of the loop {} failed", name.as_str()).into()),
            None => Err("the engine has ended".into()),
        }
    }

    /// Wakes the scheduler once: how long its cycle took, and the statements that it sent.
    async fn cycle(&mut self) -> Outcome<(Duration, u64)> {
        let before = self.store.statements();
        self.wakes.schedule.wake();
        let (name, took) = self.next().await?;
        if name != LoopName::Schedule {
            return Err(format!("the loop {} ran in between", name.as_str()).into());
        }
        Ok((took, self.store.statements() - before))
    }

    async fn stop(self) -> Outcome<()> {
        drop(self.stop);
        Ok(self.engine.await?)
    }
}

struct Cycles(mpsc::UnboundedSender<(LoopName, Duration, bool)>);

impl Observer for Cycles {
    fn observe(&self, event: EngineEvent) {
        if let EngineEvent::Cycle { name, took, ok } = event {
            // The measurement may be over.
            let _ = self.0.send((name, took, ok));
        }
    }
}

fn policy() -> Outcome<Policy> {
    let pool = PoolPolicy {
        node_selector: BTreeMap::from([(BOARD.0.to_owned(), BOARD.1.to_owned())]),
        image: "registry.example/runner:1".parse()?,
        max_workers: None,
    };
    Ok(Policy {
        pools: BTreeMap::from([(PoolName::new("boards")?, pool)]),
        routes: Vec::new(),
        entities: BTreeMap::new(),
        banned_senders: BTreeSet::new(),
        staging_repositories: BTreeSet::new(),
        limits: Limits::default(),
        timeouts: Timeouts {
            tick: NEVER,
            jobs_poll: NEVER,
            runners_poll: NEVER,
            deliveries_sweep: NEVER,
            runs_poll: NEVER,
            lease: NEVER,
            shutdown: Duration::from_millis(1),
            ..Timeouts::default()
        },
        name_prefix: NamePrefix::new("bench-runner-")?,
    })
}
