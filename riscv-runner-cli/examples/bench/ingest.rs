//! How many deliveries per second are taken durably, beside what PostgreSQL can commit at all.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use riscv_runner_pg::{PgConfig, PgStore, SchemaName, migrate, testing::ThrowAwayPostgres};

use crate::{
    Outcome,
    figures::{cpu_time, cpu_time_of_children, machine, table},
    load::{Measured, Pace, put},
    payload::Deliveries,
    pgbench::{self, Limit},
    server::{Server, Settings},
};

/// As many as GitHub is likely to use at once, and then some.
const CONNECTIONS: u32 = 64;
/// What is put on when latency is asked for, of what the server can take.
const SHARE: f64 = 0.8;
/// The schema of the limit.
const LIMIT: &str = "pgbench";
/// The schema of the server.
const OURS: &str = "ours";

/// Measures, and prints what came of it.
pub(crate) async fn run(quick: bool) -> Outcome<()> {
    let time = Duration::from_secs(if quick { 2 } else { 8 });
    machine();
    let postgres = ThrowAwayPostgres::start_with(&[])?;
    let store = connect(&postgres, OURS).await?;
    let limits = connect(&postgres, LIMIT).await?;
    // The limit writes three things, and does not count demand beside them.
    execute(&limits, "DROP TRIGGER count_inserted ON jobs").await?;
    let settings =
        Settings { role: "webhook", store: postgres.url(), schema: OURS, outside: None, limits: "" };
    let server = Server::start(&settings).await?;
    let bench = Bench { server, store, deliveries: Deliveries::new()?, next: Arc::new(AtomicU64::new(1)) };
    bench.put(1, Pace::AsFastAsAnswered, Duration::from_millis(200)).await?;
    let payload: String = sqlx::query_scalar("SELECT payload::text FROM installation_events LIMIT 1")
        .fetch_one(bench.store.pool())
        .await?;
    println!("a body of {} bytes, logged as {} bytes\n", bench.deliveries.body(1).len(), payload.len());
    let mut rows = Vec::new();
    let mut limit = Vec::new();
    for clients in [1, 4, 16, CONNECTIONS] {
        execute(&limits, "CHECKPOINT").await?;
        let run = pgbench::run(postgres.url(), LIMIT, &payload, clients, time).await?;
        rows.push(row(&format!("pgbench, {} clients", run.clients), run.per_second, &[run.mean_ms]));
        limit.push(run);
    }
    bench.put(CONNECTIONS, Pace::AsFastAsAnswered, time / 4).await?;
    let full = bench.phase(CONNECTIONS, Pace::AsFastAsAnswered, time).await?;
    let paced = bench.phase(CONNECTIONS, Pace::PerSecond(full.measured.per_second * SHARE), time).await?;
    let alone = bench.phase(1, Pace::AsFastAsAnswered, time).await?;
    rows.push(full.row(&format!("POST /, {CONNECTIONS} connections")));
    rows.push(paced.row("POST /, at 80 % of that"));
    rows.push(alone.row("POST /, 1 connection"));
    let heads = ["", "per s", "mean ms", "p50 ms", "p99 ms", "rrctl CPU", "PostgreSQL CPU"];
    table("Durable intake: job, log entry and wake-up", &heads, &rows);
    summary(&limit, &full, &paced, &alone);
    bench.server.stop().await
}

fn summary(limits: &[Limit], full: &Phase, paced: &Phase, alone: &Phase) {
    let best = limits.iter().map(|limit| limit.per_second).fold(0.0, f64::max);
    let single = limits.first().map_or(f64::NAN, |limit| limit.mean_ms);
    println!(
        "ratio={:.2} max_rps={:.0} p50_ms={:.2} p99_ms={:.2} single_ratio={:.2}",
        full.measured.per_second / best,
        full.measured.per_second,
        paced.measured.latencies.ms(50),
        paced.measured.latencies.ms(99),
        alone.measured.latencies.mean_ms() / single,
    );
}

struct Bench {
    server: Server,
    store: PgStore,
    deliveries: Deliveries,
    next: Arc<AtomicU64>,
}

/// A stretch of load, and what it cost.
struct Phase {
    measured: Measured,
    server_cpu: f64,
    postgres_cpu: f64,
}

impl Bench {
    async fn put(&self, connections: u32, pace: Pace, time: Duration) -> Outcome<Measured> {
        put(self.server.address(), &self.deliveries, &self.next, connections, pace, time).await
    }

    async fn phase(&self, connections: u32, pace: Pace, time: Duration) -> Outcome<Phase> {
        execute(&self.store, "CHECKPOINT").await?;
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(self.store.pool()).await?;
        let postmaster = crate::figures::parent_of(backend.unsigned_abs()).unwrap_or(0);
        let before = (cpu_time(self.server.pid()?)?, cpu_time_of_children(postmaster));
        let measured = self.put(connections, pace, time).await?;
        let server = cpu_time(self.server.pid()?)?.saturating_sub(before.0);
        let postgres = cpu_time_of_children(postmaster).saturating_sub(before.1);
        let share = |used: Duration| used.as_secs_f64() / time.as_secs_f64();
        Ok(Phase { measured, server_cpu: share(server), postgres_cpu: share(postgres) })
    }
}

impl Phase {
    fn row(&self, name: &str) -> Vec<String> {
        let latencies = &self.measured.latencies;
        let ms = [latencies.mean_ms(), latencies.ms(50), latencies.ms(99)];
        let mut row = row(name, self.measured.per_second, &ms);
        row.extend([self.server_cpu, self.postgres_cpu].map(|share| format!("{:.0} %", share * 100.0)));
        row
    }
}

fn row(name: &str, per_second: f64, ms: &[f64]) -> Vec<String> {
    let mut row = vec![name.to_owned(), format!("{per_second:.0}")];
    row.extend(ms.iter().map(|ms| format!("{ms:.2}")));
    row
}

async fn connect(postgres: &ThrowAwayPostgres, schema: &str) -> Outcome<PgStore> {
    let config = PgConfig::new(postgres.url().to_owned().into(), SchemaName::new(schema)?);
    migrate(&config).await?;
    Ok(PgStore::connect(&config).await?)
}

async fn execute(store: &PgStore, statement: &'static str) -> Outcome<()> {
    sqlx::query(statement).execute(store.pool()).await?;
    Ok(())
}
