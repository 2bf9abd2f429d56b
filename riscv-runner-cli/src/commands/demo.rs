//! `rrctl demo`: the real engine, pages and output on a simulated GitHub and simulated boards, in virtual
//! time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use riscv_runner_core::{
    controls::Controls,
    job::JobPhase,
    ports::{LeaseStore, Observer, PortError, PortErrorKind, PortResult, ReportStore},
    snapshot::Snapshot,
};
use riscv_runner_http::{AppState, Role, SnapshotSource, metrics::Metrics, readiness::Readiness, router_for};
use riscv_runner_sim::world::{Next, Summary, World, WorldConfig};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    args::Demo,
    failure::{Failure, count},
    moment::short,
    printer::{Printer, Tone, Value},
};

/// Virtual seconds per real second, by default.
const SPEED: u32 = 30;
/// How often the table is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// How long after the last job everything may take to be cleaned up, in virtual time.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);

/// Runs `rrctl demo`.
pub(crate) async fn run(demo: Demo, printer: &Printer) -> Result<(), Failure> {
    let metrics: Arc<Metrics> = Arc::default();
    let observer = Arc::<Metrics>::clone(&metrics) as Arc<dyn Observer>;
    let world = World::observed(WorldConfig::demo(demo.seed, demo.jobs, demo.boards), observer);
    let listener = TcpListener::bind(demo.listen)
        .await
        .map_err(|error| Failure::because(&format!("cannot listen on {}", demo.listen), &error))?;
    let address =
        listener.local_addr().map_err(|error| Failure::because("the page has no address", &error))?;
    let (jobs, boards) = (count(demo.jobs as usize, "job"), count(demo.boards as usize, "board"));
    printer.note(&format!("{jobs} on {boards}, seed {}; page: http://{address}/", demo.seed));
    let (sees, seen) = watch::channel(None);
    let server = axum::serve(listener, router_for(Role::Scheduler, state(&world, metrics, seen)));
    let page = tokio::spawn(server.into_future());
    let speed = demo.speed.unwrap_or(if demo.once { 0 } else { SPEED });
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let interrupt = tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        asked.store(true, Ordering::Relaxed);
    });
    let began = Instant::now();
    let copy = *printer;
    let driven =
        tokio::task::spawn_blocking(move || drive(world, demo, speed, &stop, Drawing::new(copy, sees)));
    let summary = driven.await.map_err(|error| Failure::because("the demo ended early", &error))??;
    conclude(&summary, began.elapsed(), demo, printer)?;
    if !demo.once && !interrupt.is_finished() {
        printer.note("everything is done; the page stays until you press Ctrl-C");
        let _ = interrupt.await;
    }
    page.abort();
    Ok(())
}

/// The pages of the world.
fn state(world: &World, metrics: Arc<Metrics>, seen: watch::Receiver<Option<Snapshot>>) -> AppState {
    let store = world.store();
    let readiness: Arc<Readiness> = Arc::default();
    let controls = watch::Sender::new(Arc::new(Controls::default()));
    let reports: Arc<dyn ReportStore> = Arc::<riscv_runner_sim::store::MemoryStore>::clone(&store);
    let lease: Arc<dyn LeaseStore> = store;
    let platform = Arc::new(world.platform());
    AppState::builder(reports, lease, platform, world.policy().subscribe(), controls.subscribe())
        .metrics(metrics)
        .readiness(readiness)
        .snapshots(Arc::new(LastSeen(seen)))
        .build()
}

/// What an engine of the world saw last: the world's own time stands still between its steps, so pages
/// cannot ask it themselves.
struct LastSeen(watch::Receiver<Option<Snapshot>>);

#[async_trait]
impl SnapshotSource for LastSeen {
    async fn overview(&self, _: u32) -> PortResult<Snapshot> {
        self.0.borrow().clone().ok_or_else(|| {
            PortError::new(PortErrorKind::Transient, "read the demo", "the simulation has not started yet")
        })
    }
}

/// Runs the world until it is at rest, a law breaks, or the operator asks to stop.
fn drive(
    mut world: World,
    demo: Demo,
    speed: u32,
    stop: &AtomicBool,
    mut drawing: Drawing,
) -> Result<Summary, Failure> {
    world.keep_no_trace();
    if speed == 0 {
        world.run_to_rest(PATIENCE);
        return Ok(world.summary());
    }
    while !stop.load(Ordering::Relaxed) && world.violations().is_empty() {
        let drawn = drawing.draw(&mut world)?;
        if drawn && world.summary().jobs >= demo.jobs as usize && world.rest_state().is_rest() {
            break;
        }
        match world.step() {
            Next::Idle => break,
            Next::Sleep(virtually) => std::thread::sleep((virtually / speed).min(DRAW_EVERY)),
        }
    }
    drawing.show(&mut world)?;
    Ok(world.summary())
}

/// The live table: drawn over itself on a terminal, a line now and then elsewhere.
struct Drawing {
    printer: Printer,
    last: Option<Instant>,
    lines: usize,
    sees: watch::Sender<Option<Snapshot>>,
}

impl Drawing {
    const fn new(printer: Printer, sees: watch::Sender<Option<Snapshot>>) -> Self {
        Self { printer, last: None, lines: 0, sees }
    }

    /// Draws when it is time to; whether it was.
    fn draw(&mut self, world: &mut World) -> Result<bool, Failure> {
        let every = if self.printer.is_live() { DRAW_EVERY } else { DRAW_EVERY * 10 };
        if self.last.is_some_and(|last| last.elapsed() < every) {
            return Ok(false);
        }
        self.last = Some(Instant::now());
        self.show(world)?;
        Ok(true)
    }

    fn show(&mut self, world: &mut World) -> Result<(), Failure> {
        if let Some(snapshot) = world.snapshot() {
            self.sees.send_replace(Some(snapshot));
        }
        let text = table(world, &self.printer);
        if self.printer.is_live() {
            let up = if self.lines > 0 { format!("\x1b[{}A\x1b[J", self.lines) } else { String::new() };
            self.lines = text.lines().count();
            self.printer.raw(&format!("{up}{text}"))
        } else {
            self.printer.raw(&text)
        }
    }
}

fn table(world: &World, printer: &Printer) -> String {
    let (jobs, workers) = (world.store().all_jobs(), world.store().all_workers());
    let at = short(world.clock().elapsed());
    let policy = world.policy().borrow().clone();
    let rows = policy.pools.keys().map(|pool| {
        let phase = |phase| {
            jobs.iter().filter(|row| row.job.placement.pool == *pool && row.job.state.phase == phase).count()
        };
        let of_pool = || workers.iter().map(|row| &row.worker).filter(|worker| worker.pool == *pool);
        let failed = of_pool().filter(|worker| worker.failure.is_some()).count();
        vec![
            pool.as_str().into(),
            Value::toned(&phase(JobPhase::Pending), Tone::Waiting),
            Value::toned(&phase(JobPhase::Running), Tone::Good),
            Value::number(&phase(JobPhase::Completed)),
            Value::number(&of_pool().filter(|worker| !worker.status.is_terminal()).count()),
            Value::toned(&failed, if failed > 0 { Tone::Bad } else { Tone::Plain }),
        ]
    });
    let header = ["pool", "waiting", "running", "done", "workers", "failed"];
    format!("after {at}\n{}", printer.render(&header, rows.collect::<Vec<_>>()))
}

fn conclude(summary: &Summary, took: Duration, demo: Demo, printer: &Printer) -> Result<(), Failure> {
    let done: usize = summary.conclusions.values().sum();
    printer.line("")?;
    printer.line(&format!("jobs      {} of {} done", done, summary.jobs))?;
    for (conclusion, n) in &summary.conclusions {
        printer.line(&format!("          {n} {conclusion}"))?;
    }
    let (half, most) = (short(summary.wait_p50), short(summary.wait_p95));
    printer.line(&format!("waits     p50 {half}, p95 {most}"))?;
    printer.line(&format!("workers   {} made", summary.workers))?;
    for (reason, n) in &summary.failures {
        printer.line(&format!("          {n} failed: {reason}"))?;
    }
    let (lasted, requests) = (short(summary.lasted), summary.github_requests);
    printer.line(&format!(
        "time      {lasted} simulated in {:.1} s, {requests} requests to GitHub",
        took.as_secs_f64()
    ))?;
    for violation in &summary.violations {
        printer.error(&format!("an invariant broke: {violation}"));
    }
    if !summary.violations.is_empty() {
        let again = format!(
            "reproduce it: rrctl demo --once --jobs {} --boards {} --seed {}",
            demo.jobs, demo.boards, demo.seed
        );
        return Err(Failure::failed(count(summary.violations.len(), "broken invariant")).hint(again));
    }
    printer.line("          every invariant held")
}
