//! How fast waiting jobs get their pods: bursts against the doubles of GitHub and Kubernetes.

use std::time::{Duration, Instant};

use riscv_runner_pg::testing::ThrowAwayPostgres;

use crate::{
    Outcome,
    burst::{Burst, Scale, Setting},
    figures::{Sorted, machine, table},
};

/// What a call to GitHub takes from Europe.
const GITHUB: Duration = Duration::from_millis(150);
/// `limits.provision_concurrency`, as it is by default.
const CONCURRENCY: u32 = 16;
/// Registrations that one installation may make per minute.
const MINTS_PER_MINUTE: usize = 150;

/// Measures, and prints what came of it.
pub(crate) async fn run(quick: bool) -> Outcome<()> {
    machine();
    let postgres = ThrowAwayPostgres::start_with(&[])?;
    let mut rows = Vec::new();
    one_by_one(&postgres, if quick { 20 } else { 200 }, &mut rows).await?;
    small_bursts(&postgres, &mut rows).await?;
    let (jobs, installations) = if quick { (100, 10) } else { (1_000, 10) };
    let scale = Scale { installations, boards: 2_000, concurrency: CONCURRENCY, github_latency: GITHUB };
    let setting = Setting::start(&postgres, "burst", &scale).await?;
    let burst = setting.burst(jobs).await?;
    rows.push(row(&format!("{jobs} jobs, {installations} installations, cold"), &burst));
    let heads = ["", "jobs", "last pod s", "p50 ms", "p99 ms"];
    table("From a webhook's answer to its pod", &heads, &rows);
    for (operation, calls) in &burst.calls {
        println!("  {calls:5} {operation}");
    }
    problems(&setting)?;
    let calls: usize = burst.calls.values().sum();
    println!(
        "\njobs_per_s={:.1} bound_ratio={:.2} p50_ms={:.0} p99_ms={:.0} calls_per_job={:.3}",
        jobs as f64 / burst.took.as_secs_f64(),
        burst.took.as_secs_f64() / bound(jobs, installations).as_secs_f64(),
        burst.waits.ms(50),
        burst.waits.ms(99),
        calls as f64 / jobs as f64,
    );
    setting.server.stop().await
}

/// What minting alone takes: so many at a time, and so many a minute for each installation.
fn bound(jobs: usize, installations: usize) -> Duration {
    let minutes = jobs.div_ceil(installations).saturating_sub(1) / MINTS_PER_MINUTE;
    let by_limit = Duration::from_secs(60 * minutes as u64);
    by_limit.max(GITHUB * u32::try_from(jobs.div_ceil(CONCURRENCY as usize)).unwrap_or(u32::MAX))
}

/// Job after job, each when the one before has its pod, and GitHub answers at once.
async fn one_by_one(postgres: &ThrowAwayPostgres, jobs: usize, rows: &mut Vec<Vec<String>>) -> Outcome<()> {
    let scale =
        Scale { installations: 4, boards: 2_000, concurrency: CONCURRENCY, github_latency: Duration::ZERO };
    let setting = Setting::start(postgres, "single", &scale).await?;
    setting.warm_up().await?;
    let mut waits = Vec::with_capacity(jobs);
    let begun = Instant::now();
    for _ in 0..jobs {
        waits.push(setting.burst(1).await?.waits.longest());
    }
    let burst = Burst { took: begun.elapsed(), waits: Sorted::new(waits), calls: Default::default() };
    rows.push(row(&format!("{jobs} jobs, one after the other, GitHub at 0 ms"), &burst));
    problems(&setting)?;
    setting.server.stop().await
}

/// Bursts with tokens and groups known, GitHub at its usual pace.
async fn small_bursts(postgres: &ThrowAwayPostgres, rows: &mut Vec<Vec<String>>) -> Outcome<()> {
    for (jobs, concurrency) in [(1, CONCURRENCY), (20, CONCURRENCY), (20, 32), (100, CONCURRENCY)] {
        let scale = Scale { installations: 4, boards: 2_000, concurrency, github_latency: GITHUB };
        let setting = Setting::start(postgres, &format!("burst_{jobs}_{concurrency}"), &scale).await?;
        setting.warm_up().await?;
        let burst = setting.burst(jobs).await?;
        let alone = GITHUB.as_secs_f64() * jobs as f64;
        let name = format!(
            "{jobs} at once, {concurrency} at a time: {:.1} x one after the other",
            alone / burst.took.as_secs_f64()
        );
        rows.push(row(&name, &burst));
        problems(&setting)?;
        setting.server.stop().await?;
    }
    Ok(())
}

fn row(name: &str, burst: &Burst) -> Vec<String> {
    vec![
        name.to_owned(),
        burst.waits.count().to_string(),
        format!("{:.2}", burst.took.as_secs_f64()),
        format!("{:.0}", burst.waits.ms(50)),
        format!("{:.0}", burst.waits.ms(99)),
    ]
}

/// What was done that GitHub's or Kubernetes' rules forbid makes a figure worthless.
fn problems(setting: &Setting) -> Outcome<()> {
    let found: Vec<_> = setting.github.violations().into_iter().chain(setting.kube.violations()).collect();
    if found.is_empty() { Ok(()) } else { Err(found.join("\n").into()) }
}
