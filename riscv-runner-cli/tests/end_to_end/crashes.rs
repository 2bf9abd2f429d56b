//! The process is killed at random moments during a burst; whatever it leaves behind, every job is
//! served and nothing stays.

use std::{collections::BTreeSet, net::TcpListener, sync::Arc, time::Duration};

use riscv_runner_core::{entity::EntityKind, plan::names::Chance};
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::{self, NewJob, ORGANIZATION_APP};

use crate::{
    LABELS,
    server::Server,
    stage::{SECRET, Stage, eventually},
};

const JOBS: usize = 200;
const BOARDS: u32 = 30;
/// How often the process is killed, unless `RRCTL_TEST_CRASHES` says otherwise.
const CRASHES: u32 = 12;
/// A process lives at most this long.
const LIFE_MS: u64 = 1_200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "a long run tells what it did")]
async fn a_burst_is_served_though_the_process_is_killed_again_and_again() {
    let crashes = std::env::var("RRCTL_TEST_CRASHES").ok().map_or(CRASHES, |text| text.parse().unwrap());
    let seed = std::env::var("RRCTL_TEST_SEED").ok().map_or(1, |text| text.parse().unwrap());
    let mut chance = Chance::new(seed);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let webhook = Some((format!("http://127.0.0.1:{port}/"), SECRET.to_owned()));
    let stage =
        Arc::new(Stage::start_with(BOARDS, github::Config { webhook, ..github::Config::default() }).await);
    for n in 0..4 {
        stage.account(
            &format!("acme{n}"),
            EntityKind::Organization,
            ORGANIZATION_APP,
            &[&format!("acme{n}/tool")],
        );
    }
    let postgres = ThrowAwayPostgres::start_with(&[]).unwrap();
    let config = stage.configuration(&postgres);
    let listen = format!("127.0.0.1:{port}");
    let variables: &[(&str, &str)] = &[
        ("RRCTL_SERVER__LISTEN", &listen),
        ("RRCTL_TIMEOUTS__LEASE", "300ms"),
        ("RRCTL_TIMEOUTS__RESERVED_GRACE", "1500ms"),
        ("RRCTL_TIMEOUTS__DELIVERIES_SWEEP", "500ms"),
        ("RRCTL_TIMEOUTS__RUNS_POLL", "2s"),
        ("RRCTL_TIMEOUTS__JOBS_POLL", "500ms"),
        ("RRCTL_TIMEOUTS__REQUEUE", "5s"),
        ("RRCTL_TIMEOUTS__RUNNER_SURPLUS", "2s"),
        ("RRCTL_TIMEOUTS__BACKOFF", "200ms"),
        ("RRCTL_TIMEOUTS__QUARANTINE", "200ms"),
    ];
    let first = Server::start(&config, &["--migrate"], variables).await;
    let runners = tokio::spawn(play_runners(Arc::clone(&stage)));
    let jobs = tokio::spawn(queue_jobs(Arc::clone(&stage)));
    let mut server = first;
    for _ in 0..crashes {
        // The moment of death is the test's input, so it is slept for and not waited for.
        tokio::time::sleep(Duration::from_millis(chance.next() % LIFE_MS)).await;
        server.kill().await;
        server = Server::start(&config, &[], variables).await;
    }
    jobs.await.unwrap();
    eventually("every job is over on GitHub", async || {
        let jobs = stage.github.jobs();
        jobs.len() == JOBS && jobs.iter().all(|job| job.status == "completed")
    })
    .await;
    eventually("the store knows every end", async || {
        let page = server.json("/jobs.json?per_page=1000").await;
        let rows = page["jobs"].as_array().unwrap();
        rows.len() == JOBS && rows.iter().all(|job| job["status"] == "completed")
    })
    .await;
    stage.nothing_is_left().await;
    runners.abort();
    let page = server.json("/workers.json?per_page=1000").await;
    let workers = page["workers"].as_array().unwrap();
    assert!(workers.iter().all(|worker| worker["status"] == "completed" || worker["status"] == "failed"));
    assert!(workers.iter().all(|worker| worker["status"] != "failed" || !worker["failure_info"].is_null()));
    println!("{crashes} crashes, seed {seed}: {JOBS} jobs by {} workers", workers.len());
    server.stop().await;
    stage.played_by_the_rules();
}

async fn queue_jobs(stage: Arc<Stage>) {
    for n in 0..JOBS {
        let job = stage.github.queue(&NewJob::new(&format!("acme{}/tool", n % 4), LABELS));
        let webhook = stage.github.webhook(job, "queued").unwrap();
        // A delivery that finds nobody is logged by the double as failed, as GitHub does.
        let _ = stage.github.send(&webhook).await;
    }
}

/// Plays the runners: each running pod with a registration takes one job, ends it, and ends.
async fn play_runners(stage: Arc<Stage>) {
    let mut busy = BTreeSet::new();
    loop {
        for name in stage.kube.names("pods") {
            let running = stage
                .kube
                .object("pods", "default", &name)
                .is_some_and(|pod| pod["status"]["phase"] == "Running");
            if !running || busy.contains(&name) || !stage.github.set_online(&name, true) {
                continue;
            }
            let Some(job) = stage.github.job_for(&name).filter(|job| stage.github.assign(*job, &name)) else {
                continue;
            };
            busy.insert(name.clone());
            tokio::spawn(work(Arc::clone(&stage), job, name));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn work(stage: Arc<Stage>, job: i64, name: String) {
    let webhook = stage.github.webhook(job, "in_progress").unwrap();
    let _ = stage.github.send(&webhook).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(stage.kube.object("pods", "default", &name).is_some(), "the pod of a running job was deleted");
    stage.github.finish(job, "success");
    let webhook = stage.github.webhook(job, "completed").unwrap();
    let _ = stage.github.send(&webhook).await;
    let _ = stage.kubelet.end(&name, 0).await;
}
