//! What the server weighs: the binary, its memory at rest and at work, and the time to its first answer.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use riscv_runner_pg::{PgConfig, PgStore, SchemaName, testing::ThrowAwayPostgres};

use crate::{
    Outcome,
    burst::{Scale, Setting},
    figures::{machine, resident_kib, table},
    load::{Pace, put},
    payload::Deliveries,
    places,
};

const SCHEMA: &str = "footprint";
const CONNECTIONS: u32 = 64;

/// Measures, and prints what came of it.
pub(crate) async fn run(quick: bool) -> Outcome<()> {
    machine();
    let (jobs, boards) = if quick { (1_000, 100) } else { (10_000, 1_000) };
    let postgres = ThrowAwayPostgres::start_with(&[])?;
    let scale = Scale { installations: 10, boards, concurrency: 64, github_latency: Duration::ZERO };
    let setting = Setting::start(&postgres, SCHEMA, &scale).await?;
    // The schema is there now, as in every start but the first.
    setting.server.stop().await?;
    let setting = Setting::start(&postgres, SCHEMA, &scale).await?;
    let ready = setting.server.started_in();
    let idle = resident_kib(setting.server.pid()?)?.0;
    setting.burst(boards as usize).await?;
    // The rest waits: every board is taken.
    let config = PgConfig::new(postgres.url().to_owned().into(), SchemaName::new(SCHEMA)?);
    let store = PgStore::connect(&config).await?;
    let waiting = jobs - i64::from(boards);
    crate::backlog::add(&store, waiting).await?;
    let (deliveries, next) = (Deliveries::new()?, Arc::new(AtomicU64::new(50_000_000)));
    let time = Duration::from_secs(if quick { 1 } else { 5 });
    let address = setting.server.address();
    put(address, &deliveries, &next, CONNECTIONS, Pace::PerSecond(100.0), time).await?;
    let (active, peak) = resident_kib(setting.server.pid()?)?;
    put(address, &deliveries, &next, CONNECTIONS, Pace::AsFastAsAnswered, time).await?;
    let (loaded, peak_loaded) = resident_kib(setting.server.pid()?)?;
    let binary = std::fs::metadata(places::rrctl()?)?.len();
    let mib = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
    let rows = [
        vec!["idle, after its start".into(), mib(idle), String::new()],
        vec![
            format!("{jobs} active jobs, {CONNECTIONS} connections, 100 deliveries/s"),
            mib(active),
            mib(peak),
        ],
        vec!["the same, deliveries as fast as they are taken".into(), mib(loaded), mib(peak_loaded)],
    ];
    table("Resident memory of rrctl serve --role all", &["", "MiB", "peak MiB"], &rows);
    println!(
        "idle_mib={} active_mib={} ready_ms={:.0} binary_mb={:.1}",
        mib(idle),
        mib(active),
        ready.as_secs_f64() * 1e3,
        binary as f64 / 1e6
    );
    setting.server.stop().await
}
