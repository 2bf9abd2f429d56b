//! Stopping: what is in flight ends or is left to the next leader, the lease is given back, and a second
//! signal ends at once.

use std::time::Duration;

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::{Effect, Fault, NewJob, ORGANIZATION_APP};
use tokio::time::Instant;

use crate::{
    LABELS,
    server::{Configuration, Server},
    stage::{Stage, eventually},
};

const REGISTER: &str = "POST /orgs/{org}/actions/runners/generate-jitconfig";
/// What is asked for right before it; the double tells of requests that it has answered.
const CREATE_GROUP: &str = "POST /orgs/{org}/actions/runner-groups";
/// Longer than a test waits for anything: whoever leads meanwhile was given the lease.
const LEASE: (&str, &str) = ("RRCTL_TIMEOUTS__LEASE", "10m");
/// A shutdown may take ten seconds; the rest is for a busy machine.
const SHUTDOWN: Duration = Duration::from_secs(15);

/// A server that is registering a runner, which takes GitHub this long.
async fn registering(takes: Duration) -> (Stage, Configuration, Server) {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    stage.github.inject(Fault::on(REGISTER, Effect::Slow(takes)).times(1));
    let config = stage.configuration(ThrowAwayPostgres::shared());
    let server = Server::start(&config, &["--migrate"], &[LEASE]).await;
    server.ready().await;
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
    eventually("a runner is being registered", async || stage.github.count(CREATE_GROUP) == 1).await;
    (stage, config, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_made_is_finished_before_the_process_ends() {
    let (stage, config, server) = registering(Duration::from_secs(2)).await;
    server.terminate().await;
    assert!(server.ended().await.success());
    assert_eq!(stage.kube.names("pods").len(), 1, "its pod was made");
    let workers = config.rrctl_json(&["workers"]).await;
    assert_eq!(workers["workers"].as_array().unwrap().len(), 1);
    assert_eq!(workers["workers"][0]["status"], "pending", "{workers}");
    let next = Server::start(&config, &[], &[LEASE]).await;
    next.ready().await;
    let name = stage.only_pod().await;
    assert_eq!(workers["workers"][0]["pod_name"], name.as_str(), "the next leader goes on with it");
    next.stop().await;
    stage.played_by_the_rules();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hangs_is_given_up_in_time_and_the_lease_is_given_back() {
    let (stage, config, server) = registering(Duration::from_secs(3600)).await;
    let asked = Instant::now();
    server.terminate().await;
    assert!(server.ended().await.success());
    let took = asked.elapsed();
    assert!(took < SHUTDOWN, "{took:?}");
    assert!(stage.kube.names("pods").is_empty());
    let grace = ("RRCTL_TIMEOUTS__RESERVED_GRACE", "100ms");
    let next = Server::start(&config, &[], &[LEASE, grace, ("RRCTL_TIMEOUTS__BACKOFF", "100ms")]).await;
    next.ready().await;
    stage.only_pod().await;
    let workers = config.rrctl_json(&["workers"]).await;
    let failed = workers["workers"].as_array().unwrap().iter().find(|worker| worker["status"] == "failed");
    assert!(failed.is_some(), "what was given up is known, and its job has another worker: {workers}");
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let (_stage, _, server) = registering(Duration::from_secs(3600)).await;
    server.terminate().await;
    server.logged("asked to stop: finishing what is in flight").await;
    let asked = Instant::now();
    server.terminate().await;
    let status = server.ended().await;
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(1));
    assert!(took < Duration::from_secs(5), "{took:?}");
}
