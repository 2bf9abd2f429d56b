//! The real binary with a real PostgreSQL, against doubles of GitHub and Kubernetes over HTTP.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod crashes;
mod doctor;
mod github_app;
mod keeping;
mod migrating;
mod nodes;
mod orders;
mod patience;
mod reading;
mod secrets;
mod server;
mod stage;
mod stopping;
mod telemetry;
mod telling;
mod terminal;
mod tracing;
mod visitors;
mod web;

use std::time::Duration;

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::{NewJob, ORGANIZATION_APP, PERSONAL_APP};
use stage::{Stage, eventually};

const LABELS: &[&str] = &["ubuntu-24.04-riscv"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_webhook_becomes_a_pod_that_is_followed_to_its_end_and_cleaned_up() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let server = stage.serve(ThrowAwayPostgres::shared()).await;

    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    assert_eq!(stage.deliver(&server, job, "queued").await, (200, "job_stored".to_owned()));
    let worker = stage.only_pod().await;
    assert!(worker.starts_with("rise-riscv-runner-"), "{worker}");
    let pod = stage.kube.object("pods", "default", &worker).unwrap();
    assert_eq!(pod["spec"]["nodeSelector"]["riseproject.dev/board"], "spacemit-k1");
    let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    let jit = env.iter().find(|variable| variable["name"] == "RUNNER_JITCONFIG").unwrap();
    assert!(jit["value"].is_null(), "the JIT configuration is not in the pod: {jit}");
    assert_eq!(jit["valueFrom"]["secretKeyRef"]["name"], worker.as_str());
    assert_eq!(stage.github.runner(&worker).unwrap().scope, "orgs/acme");
    assert!(stage.github.groups("acme").contains(&"RISE RISC-V Runners".to_owned()));

    stage.github.assign(job, &worker);
    assert_eq!(stage.deliver(&server, job, "in_progress").await.1, "job_marked_running");
    let running = server.json("/jobs.json").await;
    assert_eq!(running["jobs"][0]["status"], "running");
    assert_eq!(running["jobs"][0]["k8s_pod"], worker.as_str());

    stage.github.finish(job, "success");
    assert_eq!(stage.deliver(&server, job, "completed").await.1, "job_marked_completed");
    stage.kubelet.end(&worker, 0).await.unwrap();
    stage.nothing_is_left().await;
    eventually("the worker's row is completed", async || {
        server.json("/workers.json").await["workers"][0]["status"] == "completed"
    })
    .await;
    assert_eq!(server.json("/jobs.json").await["jobs"][0]["job_conclusion"], "success");
    assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_already_exists");
    assert!(stage.kube.names("pods").is_empty(), "a late delivery is no demand");
    server.stop().await;
    stage.played_by_the_rules();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_repository_of_a_personal_account_gets_its_own_runner() {
    let stage = Stage::start(2).await;
    stage.account("someone", EntityKind::User, PERSONAL_APP, &["someone/one", "someone/two"]);
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    for repo in ["someone/one", "someone/two"] {
        let job = stage.github.queue(&NewJob::new(repo, LABELS));
        assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
    }
    eventually("there are two pods", async || stage.kube.names("pods").len() == 2).await;
    let mut scopes: Vec<_> = stage.github.runners().into_iter().map(|runner| runner.scope).collect();
    scopes.sort_unstable();
    assert_eq!(scopes, ["repos/someone/one", "repos/someone/two"]);
    server.stop().await;
    stage.played_by_the_rules();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_and_scheduler_may_be_two_processes() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let postgres = ThrowAwayPostgres::shared();
    let config = stage.configuration(postgres);
    // Without its tick the scheduler wakes for a notification alone.
    let slow: &[(&str, &str)] = &[("RRCTL_TIMEOUTS__TICK", "1h")];
    let scheduler = server::Server::start(&config, &["--role", "scheduler", "--migrate"], slow).await;
    scheduler.ready().await;
    // The pods that GitHub talks to have no App's key.
    config.remove("app.pem");
    let webhook = server::Server::start(&config, &["--role", "webhook"], slow).await;
    webhook.never_logged("app.pem");
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    assert_eq!(stage.deliver(&scheduler, job, "queued").await.0, 405, "pages are there, webhooks are not");
    assert_eq!(stage.deliver(&webhook, job, "queued").await.1, "job_stored");
    stage.only_pod().await;
    webhook.stop().await;
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_makes_it_unready_and_its_return_ready() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let postgres = ThrowAwayPostgres::start_with(&[("fsync", "off")]).unwrap();
    let server = stage.serve(&postgres).await;
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    postgres.crash().unwrap();
    eventually("it is not ready", async || server.status("/ready").await == 503).await;
    assert_eq!(server.status("/health").await, 200);
    assert_eq!(stage.deliver(&server, job, "queued").await.0, 503, "what is not stored is not acknowledged");
    postgres.resume().unwrap();
    server.ready().await;
    assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
    stage.only_pod().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_and_nothing_of_it_is_stored() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    let good = stage.github.webhook(job, "queued").unwrap();

    let wrong = server.post(&good.headers("another secret"), good.body.clone()).await;
    assert_eq!(wrong.0, 401, "{wrong:?}");
    let mut headers = good.headers(stage::SECRET);
    headers.retain(|(name, _)| *name != "X-GitHub-Event");
    let nameless = server.post(&headers, good.body.clone()).await;
    assert_eq!(nameless.0, 400);
    assert!(nameless.1.to_string().to_lowercase().contains("x-github-event"), "{nameless:?}");
    let mut broken = good.clone();
    broken.body = "{".to_owned();
    assert_eq!(server.post(&broken.headers(stage::SECRET), broken.body.clone()).await.0, 400);
    let mut odd = good.clone();
    odd.body = good.body.replacen('{', "{\"odd\":1e999999,", 1);
    let number = server.post(&odd.headers(stage::SECRET), odd.body.clone()).await;
    assert_eq!(number.0, 400, "{number:?}");
    assert!(number.1.to_string().contains("cannot be stored"), "{number:?}");
    let large = " ".repeat(2 * 1024 * 1024);
    assert_eq!(server.post(&good.headers(stage::SECRET), large).await.0, 413);
    assert_eq!(server.json("/jobs.json").await["total_count"], 0);
    assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escapes_that_no_database_takes_are_taken() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    let mut odd = stage.github.webhook(job, "queued").unwrap();
    odd.body = odd.body.replacen('{', r#"{"odd":"\u0000 \ud800 \\u0000","\u0000":1e-15000,"#, 1);
    let answer = server.post(&odd.headers(stage::SECRET), odd.body.clone()).await;
    assert_eq!((answer.0, answer.1["outcome"].as_str()), (200, Some("job_stored")), "{answer:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_show_what_a_server_does() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let postgres = ThrowAwayPostgres::shared();
    let server = stage.serve(postgres).await;
    let first = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    assert_eq!(stage.deliver(&server, first, "queued").await.1, "job_stored");
    let worker = stage.only_pod().await;
    let second = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    assert_eq!(stage.deliver(&server, second, "queued").await.1, "job_stored");

    let config = server.configuration();
    let rrctl = async |arguments: &[&str]| config.rrctl_json(arguments).await;
    let why = rrctl(&["why", &second.to_string()]).await;
    assert_eq!(why["reason"]["name"], "no_capacity", "{why}");
    let queue = rrctl(&["queue"]).await;
    assert_eq!(queue["jobs_pending"], 2, "{queue}");
    assert_eq!(rrctl(&["jobs"]).await["total_count"], 2);
    assert_eq!(rrctl(&["workers"]).await["workers"][0]["pod_name"], worker.as_str());
    assert_eq!(rrctl(&["pools"]).await["pools"]["spacemit-k1"]["boards"], 1);
    eventually("the board shows its worker", async || {
        rrctl(&["boards"]).await["boards"][0]["workers"][0]["pod_name"] == worker.as_str()
    })
    .await;
    assert_eq!(rrctl(&["usage"]).await["usage"][0]["entity_name"], "acme");
    let status = rrctl(&["status"]).await;
    assert!(status["leader"]["epoch"].as_i64().unwrap() >= 1, "{status}");
    let plan = rrctl(&["schedule", "--dry-run"]).await;
    assert_eq!(plan["verdicts"].as_array().unwrap().len(), 2, "{plan}");
    assert_eq!(plan["plan"]["steps"].as_array().unwrap().len(), 0);
    let once = config.rrctl(&["schedule", "--once"]).await;
    assert_eq!(once.status.code(), Some(1), "the server holds the lease");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_configuration_is_taken_and_a_bad_one_refused() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    let deliver = async || {
        let job = stage.github.queue(&NewJob::new("acme/tool", &["new-label"]));
        stage.deliver(&server, job, "queued").await.1
    };
    assert_eq!(deliver().await, "ignored_no_label");
    let config = server.configuration();
    let good = config.text();
    config.replace("[limits]\npolicy = \"random\"\n");
    server.hang_up().await;
    server.logged("is refused").await;
    server.logged("rrctl.toml:2: limits.policy: ").await;
    assert_eq!(deliver().await, "ignored_no_label");
    config.replace(&good.replace("labels = [\"ubuntu-24.04-riscv\"]", "labels = [\"new-label\"]"));
    server.hang_up().await;
    server.logged("routes[0].labels: ").await;
    eventually("the new rule holds", async || deliver().await == "job_stored").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_taken_without_a_signal_and_what_needs_a_restart_is_named() {
    let stage = Stage::start(1).await;
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    let config = server.configuration();
    let changed = config
        .text()
        .replace("body_limit = \"1MiB\"", "body_limit = \"2MiB\"\nstaging_repositories = [\"acme/tool\"]");
    config.replace(&format!("{changed}[notify]\ndiscord_url = \"https://discord.example/planted\"\n"));
    server.logged("needs_restart").await;
    server.logged("server.staging_repositories: ").await;
    server.logged("server.body_limit: ").await;
    server.logged("this key takes effect with a restart").await;
    server.logged("notify.discord_url: ").await;
    server.never_logged("planted");
    server.stop().await;
}

/// How long anything may take that a test waits for: far longer than it should, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
