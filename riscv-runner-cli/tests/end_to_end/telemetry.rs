//! Traces of jobs at a collector: one whole trace for a job whatever processes worked on it, and no job or
//! shutdown that waits for a collector. A binary that was built without them says so.

use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::collector::Collector;

use crate::{server::Configuration, stage::Stage};

/// A configuration that sends traces to the collector.
fn traced(stage: &Stage, collector: &Collector) -> Configuration {
    let config = stage.configuration(ThrowAwayPostgres::shared());
    config.write("otlp.headers", &format!("authorization=Bearer%20{}\n", crate::secrets::COLLECTOR_TOKEN));
    let telemetry = "otlp_headers_file = \"otlp.headers\"\n";
    config.replace(&format!(
        "{}[telemetry]\notlp_endpoint = \"{}\"\n{telemetry}",
        config.text(),
        collector.url()
    ));
    config
}

#[cfg(not(feature = "otel"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binary_without_opentelemetry_refuses_to_be_asked_for_it() {
    let (stage, collector) = (Stage::start(1).await, Collector::start().await.unwrap());
    let config = traced(&stage, &collector);
    for command in [&["serve"][..], &["config", "check"]] {
        let output = config.rrctl(command).await;
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("telemetry.otlp_endpoint: this rrctl was built without OpenTelemetry"),
            "{said}"
        );
        assert!(said.contains("hint: build rrctl with `--features otel`, or remove [telemetry]"), "{said}");
    }
}

#[cfg(feature = "otel")]
mod sending {
    use std::{
        collections::{BTreeMap, BTreeSet},
        time::Duration,
    };

    use riscv_runner_core::entity::EntityKind;
    use riscv_runner_pg::testing::ThrowAwayPostgres;
    use riscv_runner_sim::doubles::{
        collector::{Answer, Collector, SentSpan},
        github::{NewJob, ORGANIZATION_APP},
    };
    use sha2::{Digest, Sha256};
    use tokio::time::Instant;

    use super::traced;
    use crate::{
        LABELS,
        secrets::{COLLECTOR_TOKEN, leaks},
        server::{Configuration, Server},
        stage::{Stage, eventually},
    };

    /// A shutdown may take ten seconds; the rest is for a busy machine.
    const SHUTDOWN: Duration = Duration::from_secs(15);

    /// What an operator computes with `sha256sum`.
    fn trace_of(job: i64) -> String {
        hex::encode(Sha256::digest(format!("riscv-runner/job/{job}")))[..32].to_owned()
    }

    async fn acme() -> Stage {
        let stage = Stage::start(1).await;
        stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
        stage
    }

    /// A job from its webhook to its end; its worker's row is completed as well.
    async fn one_job(stage: &Stage, webhook: &Server, scheduler: &Server) -> i64 {
        let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
        assert_eq!(stage.deliver(webhook, job, "queued").await.1, "job_stored");
        let worker = stage.only_pod().await;
        stage.github.assign(job, &worker);
        assert_eq!(stage.deliver(webhook, job, "in_progress").await.1, "job_marked_running");
        stage.github.finish(job, "failure");
        assert_eq!(stage.deliver(webhook, job, "completed").await.1, "job_marked_completed");
        assert_eq!(stage.deliver(webhook, job, "completed").await.1, "job_already_exists");
        stage.kubelet.end(&worker, 0).await.unwrap();
        eventually("the worker's row is completed", async || {
            scheduler.json("/workers.json").await["workers"][0]["status"] == "completed"
        })
        .await;
        job
    }

    fn in_one_tree(spans: &[SentSpan]) {
        let ids: BTreeSet<_> = spans.iter().map(|span| span.span_id.as_str()).collect();
        assert_eq!(ids.len(), spans.len(), "each has an id of its own: {spans:#?}");
        let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_none()).collect();
        assert_eq!(roots.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["job"]);
        for span in spans {
            let is_there = span.parent.as_deref().is_none_or(|parent| ids.contains(parent));
            assert!(is_there, "the parent of {} is missing: {spans:#?}", span.name);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_job_is_one_trace_whatever_processes_worked_on_it() {
        let (stage, collector) = (acme().await, Collector::start().await.unwrap());
        let config = traced(&stage, &collector);
        let scheduler = Server::start(&config, &["--role", "scheduler", "--migrate"], &[]).await;
        let webhook = Server::start(&config, &["--role", "webhook"], &[]).await;
        scheduler.ready().await;
        let job = one_job(&stage, &webhook, &scheduler).await;
        webhook.stop().await;
        scheduler.stop().await;

        assert_eq!(collector.violations(), [""; 0]);
        let spans = collector.spans();
        assert!(spans.iter().all(|span| span.trace_id == trace_of(job)), "{spans:#?}");
        in_one_tree(&spans);
        let mut names = BTreeMap::<&str, usize>::new();
        for span in &spans {
            *names.entry(&span.name).or_default() += 1;
        }
        let once = ["confirm", "create", "job", "mint", "pod starting", "provision", "queued", "reserve"];
        let expected = once.into_iter().chain(["running", "worker"]).map(|name| (name, 1));
        assert_eq!(names, expected.chain([("delivery", 4)]).collect());
        let processes: BTreeSet<_> = spans.iter().map(|span| &span.resource["service.instance.id"]).collect();
        assert_eq!(processes.len(), 2, "{processes:?}");
        let root = spans.iter().find(|span| span.name == "job").unwrap();
        assert_eq!(root.attributes["riscv_runner.repository"], "acme/tool");
        assert_eq!(root.attributes["cicd.pipeline.task.run.id"], job.to_string());
        assert_eq!(root.error.as_deref(), Some("GitHub says: failure"));

        for request in collector.requests() {
            let token = request.headers["authorization"].to_str().unwrap();
            assert_eq!(token, format!("Bearer {COLLECTOR_TOKEN}"));
            let body = String::from_utf8_lossy(&request.body).into_owned();
            assert_eq!(leaks([&body]), [""; 0]);
        }
    }

    async fn served(stage: &Stage, config: &Configuration) -> Server {
        let server = Server::start(config, &["--migrate"], &[]).await;
        server.ready().await;
        one_job(stage, &server, &server).await;
        server
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_collector_that_hangs_costs_no_job_and_a_bounded_time_at_the_end() {
        let (stage, collector) = (acme().await, Collector::start().await.unwrap());
        collector.answer_always(Answer::Hang);
        let server = served(&stage, &traced(&stage, &collector)).await;
        eventually("the collector was asked", async || !collector.requests().is_empty()).await;
        let asked = Instant::now();
        server.terminate().await;
        server.logged("the collector did not accept the last spans in time; they are lost").await;
        assert!(server.ended().await.success());
        let took = asked.elapsed();
        assert!(took < SHUTDOWN, "{took:?}");
        stage.played_by_the_rules();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_collector_that_is_away_costs_no_job_and_is_told_once() {
        let stage = acme().await;
        let config = {
            let collector = Collector::start().await.unwrap();
            traced(&stage, &collector)
        };
        let server = served(&stage, &config).await;
        let asked = Instant::now();
        server.terminate().await;
        server.logged("spans were lost on their way to the collector").await;
        assert!(server.ended().await.success());
        assert!(asked.elapsed() < SHUTDOWN, "{:?}", asked.elapsed());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn headers_that_cannot_be_sent_are_refused_before_anything_is_served() {
        let stage = Stage::start(1).await;
        let config = stage.configuration(ThrowAwayPostgres::shared());
        assert!(config.rrctl(&["migrate"]).await.status.success());
        let telemetry = "[telemetry]\notlp_endpoint = \"http://127.0.0.1:1\"\n";
        config.replace(&format!("{}{telemetry}otlp_headers = \"a=%zz-planted\"\n", config.text()));
        let output = config.rrctl(&["serve"]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("header 1 is not percent-encoded as it should be"), "{said}");
        assert!(!said.contains("planted"), "{said}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_role_says_that_the_headers_of_its_collector_are_missing() {
        let (stage, collector) = (acme().await, Collector::start().await.unwrap());
        let config = traced(&stage, &collector);
        config.remove("otlp.headers");
        for role in ["all", "webhook", "scheduler"] {
            let server = Server::start(&config, &["--role", role, "--migrate"], &[]).await;
            server.logged("telemetry.otlp_headers_file: ").await;
            server.stop().await;
        }
    }
}
