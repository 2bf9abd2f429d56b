//! The courier against a collector over HTTP, which judges by OpenTelemetry's own types.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::Outcome,
    failure::FailureReason,
    ids::{DeliveryGuid, JobId, Login, NodeName, RepoName, RunId, RunnerName, WorkerName},
    labels::LabelSet,
    ports::{Platform, ProvisionStep, Tracer},
    spans::{Fact, Span, SpanKey, Subject, Trouble},
};
use riscv_runner_otel::{OtlpConfig, OtlpTracer, Pace, SetupError, otlp, root_span_id, trace_id};
use riscv_runner_sim::{
    chance::Stream,
    clock::{SimClock, SimPlatform},
    doubles::collector::{Answer, Collector, SentSpan},
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fast where a test would have to wait.
const HASTY: Pace = Pace {
    queue: 64,
    linger: Duration::from_millis(5),
    timeout: Duration::from_secs(30),
    tries: 3,
    first_wait: Duration::from_millis(5),
    longest_wait: Duration::from_millis(20),
};

struct Sending {
    tracer: OtlpTracer,
    stop: watch::Sender<bool>,
    courier: JoinHandle<()>,
}

fn platform() -> Arc<dyn Platform> {
    Arc::new(SimPlatform::new(SimClock::default(), Stream::new(1, "otlp")))
}

fn config(collector: &Collector) -> OtlpConfig {
    OtlpConfig { pace: HASTY, ..OtlpConfig::new(collector.url(), "replica-1") }
}

fn start(config: &OtlpConfig) -> Sending {
    let (tracer, courier) = otlp(config, platform()).unwrap();
    let (stop, stopping) = watch::channel(false);
    Sending { tracer, stop, courier: tokio::spawn(courier.run(stopping)) }
}

impl Sending {
    /// Stops it, and waits until everything is sent or given up.
    async fn finish(self) {
        self.stop.send_replace(true);
        timeout(PATIENCE, self.courier).await.expect("it stops").unwrap();
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it never came to pass: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn job(id: i64) -> Subject {
    Subject::Job(JobId::new(id).unwrap())
}

fn root(id: i64, facts: Vec<Fact>) -> Span {
    Span::new(job(id), SpanKey::Job, at(100), at(160), facts)
}

fn named<'a>(spans: &'a [SentSpan], name: &str) -> &'a SentSpan {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} is not in {spans:#?}"))
}

#[tokio::test]
async fn spans_arrive_with_who_made_them_and_hang_together() {
    let collector = Collector::start().await.unwrap();
    let sending = start(&config(&collector));
    let worker = WorkerName::new("rr-a").unwrap();
    let step = SpanKey::Step(ProvisionStep::Mint, worker.clone());
    for (key, trouble) in [
        (SpanKey::Job, None),
        (SpanKey::Provision(worker), Some(Trouble::Failed(FailureReason::JitRejected, "422".to_owned()))),
        (step, None),
    ] {
        sending.tracer.traced(Span::new(job(7), key, at(100), at(160), Vec::new()).with_trouble(trouble));
    }
    sending.finish().await;
    assert_eq!(collector.violations(), [""; 0]);
    let requests = collector.requests();
    assert_eq!(requests.len(), 1, "they share a request");
    assert_eq!(requests[0].path, "/v1/traces");
    assert_eq!(requests[0].headers["content-type"], "application/x-protobuf");
    let spans = collector.spans();
    let [whole, provision, mint] = ["job", "provision", "mint"].map(|name| named(&spans, name));
    assert_eq!(whole.trace_id, hex::encode(trace_id(&job(7))));
    assert_eq!((&whole.parent, &whole.span_id), (&None, &hex::encode(root_span_id(&job(7)))));
    assert_eq!(provision.parent.as_ref(), Some(&whole.span_id));
    assert_eq!(mint.parent.as_ref(), Some(&provision.span_id));
    assert_eq!((whole.began, whole.ended), (100_000_000_000, 160_000_000_000));
    assert_eq!((whole.kind.as_str(), mint.kind.as_str()), ("INTERNAL", "CLIENT"));
    assert_eq!((&whole.error, &provision.error), (&None, &Some("jit_rejected: 422".to_owned())));
    assert_eq!(provision.attributes["error.type"], "jit_rejected");
    let sender = BTreeMap::from(
        [
            ("service.name", "riscv-runner"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", "replica-1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    assert_eq!(whole.resource, sender);
    assert_eq!(whole.scope.0, "riscv-runner-otel");
}

#[tokio::test]
async fn each_fact_has_its_attribute() {
    let collector = Collector::start().await.unwrap();
    let sending = start(&config(&collector));
    let facts = vec![
        Fact::Run(RunId::new(70).unwrap()),
        Fact::JobName("build".to_owned()),
        Fact::Page("https://github.com/acme/tool/actions/runs/70/job/7".to_owned()),
        Fact::Account(Login::new("acme").unwrap()),
        Fact::Repository(RepoName::new("acme/tool").unwrap()),
        Fact::Labels(LabelSet::new(["riscv", "Fast"]).unwrap()),
        Fact::Attempt(2),
        Fact::Conclusion("timed_out".to_owned()),
        Fact::Runner(RunnerName::new("rr-a").unwrap()),
        Fact::Pool("k1".parse().unwrap()),
        Fact::Image("runner:1".parse().unwrap()),
        Fact::Node(NodeName::new("k1-01").unwrap()),
        Fact::Ended(FailureReason::RunnerSurplus),
        Fact::Delivery(DeliveryGuid::new("g-1").unwrap()),
        Fact::Event("workflow_job.completed".to_owned()),
        Fact::Outcome(Outcome::JobMarkedCompleted),
    ];
    sending.tracer.traced(root(7, facts).with_trouble(Some(Trouble::Concluded("timed_out".to_owned()))));
    sending.finish().await;
    assert_eq!(collector.violations(), [""; 0]);
    let told: Vec<_> = named(&collector.spans(), "job").attributes.clone().into_iter().collect();
    let expected = [
        ("cicd.pipeline.run.id", "70"),
        ("cicd.pipeline.task.name", "build"),
        ("cicd.pipeline.task.run.id", "7"),
        ("cicd.pipeline.task.run.result", "timeout"),
        ("cicd.pipeline.task.run.url.full", "https://github.com/acme/tool/actions/runs/70/job/7"),
        ("cicd.worker.name", "rr-a"),
        ("error.type", "timed_out"),
        ("k8s.node.name", "k1-01"),
        ("riscv_runner.attempt", "2"),
        ("riscv_runner.conclusion", "timed_out"),
        ("riscv_runner.delivery.event", "workflow_job.completed"),
        ("riscv_runner.delivery.guid", "g-1"),
        ("riscv_runner.delivery.outcome", "job_marked_completed"),
        ("riscv_runner.image", "runner:1"),
        ("riscv_runner.labels", "[Fast, riscv]"),
        ("riscv_runner.pool", "k1"),
        ("riscv_runner.reason", "runner_surplus"),
        ("riscv_runner.repository", "acme/tool"),
        ("vcs.owner.name", "acme"),
        ("vcs.provider.name", "github"),
        ("vcs.repository.name", "tool"),
    ];
    assert_eq!(told, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_name_without_end_is_cut() {
    let collector = Collector::start().await.unwrap();
    let sending = start(&config(&collector));
    sending.tracer.traced(root(7, vec![Fact::JobName("ü".repeat(5000))]));
    sending.finish().await;
    let sent = &collector.spans()[0].attributes["cicd.pipeline.task.name"];
    assert_eq!(sent.chars().count(), 1024);
}

#[tokio::test]
async fn headers_are_sent_and_the_path_is_not_added_twice() {
    let collector = Collector::start().await.unwrap();
    let headers = Some("authorization=Bearer%20planted,x-scope=lab".to_owned().into());
    let endpoint = format!("{}/v1/traces/", collector.url());
    let sending = start(&OtlpConfig { headers, endpoint, ..config(&collector) });
    sending.tracer.traced(root(7, Vec::new()));
    sending.finish().await;
    let requests = collector.requests();
    assert_eq!(requests[0].path, "/v1/traces");
    assert_eq!(requests[0].headers["authorization"], "Bearer planted");
    assert_eq!(requests[0].headers["x-scope"], "lab");
    assert_eq!(collector.violations(), [""; 0]);
}

#[tokio::test]
async fn a_passing_refusal_is_tried_again_and_another_one_is_not() {
    for (answers, requests, spans) in [
        (vec![Answer::Refuse(503, None), Answer::Refuse(429, Some(0))], 3, 1),
        (vec![Answer::Refuse(502, None), Answer::Refuse(504, None), Answer::Refuse(503, None)], 3, 0),
        (vec![Answer::Refuse(400, None)], 1, 0),
        (vec![Answer::Refuse(401, None)], 1, 0),
        (vec![Answer::Refuse(500, None)], 1, 0),
        (vec![Answer::Reject(1)], 1, 1),
    ] {
        let collector = Collector::start().await.unwrap();
        collector.answer_next(answers.clone());
        let sending = start(&config(&collector));
        sending.tracer.traced(root(7, Vec::new()));
        eventually("it was asked often enough", || collector.requests().len() >= requests).await;
        sending.finish().await;
        let seen = (collector.requests().len(), collector.spans().len());
        assert_eq!(seen, (requests, spans), "{answers:?}");
        let bodies: Vec<_> = collector.requests().into_iter().map(|request| request.body).collect();
        assert!(bodies.windows(2).all(|two| two[0] == two[1]), "the same is sent again");
    }
}

#[tokio::test]
async fn the_wait_that_a_collector_names_is_bounded() {
    let collector = Collector::start().await.unwrap();
    collector.answer_next([Answer::Refuse(429, Some(3600))]);
    let sending = start(&config(&collector));
    sending.tracer.traced(root(7, Vec::new()));
    eventually("it was asked again", || collector.spans().len() == 1).await;
    sending.finish().await;
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_at_once_and_the_rest_goes_on() {
    let collector = Collector::start().await.unwrap();
    let (tracer, courier) = otlp(&config(&collector), platform()).unwrap();
    for id in 1..=100 {
        tracer.traced(root(id, Vec::new()));
    }
    let (_stop, stopping) = watch::channel(false);
    drop(tracer);
    timeout(PATIENCE, courier.run(stopping)).await.expect("it ends with its tracers");
    let ids: Vec<_> = collector.spans().iter().map(|span| span.trace_id.clone()).collect();
    let first: Vec<_> = (1..=64).map(|id| hex::encode(trace_id(&job(id)))).collect();
    assert_eq!(ids, first);
}

#[tokio::test]
async fn many_spans_go_in_several_requests() {
    let collector = Collector::start().await.unwrap();
    let pace = Pace { queue: 2000, ..HASTY };
    let (tracer, courier) = otlp(&OtlpConfig { pace, ..config(&collector) }, platform()).unwrap();
    for id in 1..=1200 {
        tracer.traced(root(id, Vec::new()));
    }
    let (_stop, stopping) = watch::channel(true);
    timeout(PATIENCE, courier.run(stopping)).await.expect("it stops");
    assert_eq!((collector.requests().len(), collector.spans().len()), (3, 1200));
    assert_eq!(collector.violations(), [""; 0]);
}

#[tokio::test]
async fn a_share_of_the_traces_is_sent_whole() {
    let collector = Collector::start().await.unwrap();
    let pace = Pace { queue: 2000, ..HASTY };
    let sending = start(&OtlpConfig { sample_ratio: 0.5, pace, ..config(&collector) });
    for id in 1..=200 {
        sending.tracer.traced(root(id, Vec::new()));
        let (key, until) = (SpanKey::Queued { until: at(120) }, at(120));
        sending.tracer.traced(Span::new(job(id), key, at(100), until, Vec::new()));
    }
    sending.finish().await;
    let mut by_trace = BTreeMap::<_, usize>::new();
    for span in collector.spans() {
        *by_trace.entry(span.trace_id).or_default() += 1;
    }
    assert!((60..140).contains(&by_trace.len()), "{}", by_trace.len());
    assert!(by_trace.values().all(|n| *n == 2));
}

#[tokio::test]
async fn a_collector_that_hangs_or_is_away_keeps_nobody_from_tracing_or_stopping() {
    let hanging = Collector::start().await.unwrap();
    hanging.answer_always(Answer::Hang);
    let pace = Pace { timeout: Duration::from_millis(50), ..HASTY };
    let sending = start(&OtlpConfig { pace, ..config(&hanging) });
    sending.tracer.traced(root(7, Vec::new()));
    eventually("each try ended", || hanging.requests().len() == 3).await;
    sending.tracer.traced(root(8, Vec::new()));
    sending.finish().await;
    assert_eq!(hanging.spans(), []);

    let away = config(&Collector::start().await.unwrap());
    let sending = start(&away);
    for id in 1..=1000 {
        sending.tracer.traced(root(id, Vec::new()));
    }
    sending.finish().await;
}

#[test]
fn a_configuration_that_cannot_work_is_refused_without_its_secrets() {
    let refused = |change: &dyn Fn(&mut OtlpConfig)| {
        let mut config = OtlpConfig::new("http://127.0.0.1:1", "replica-1");
        change(&mut config);
        otlp(&config, platform()).err().map(|error| error.to_string()).unwrap()
    };
    for endpoint in ["", "collector:4318", "ftp://collector", "http://"] {
        let told = refused(&|config| endpoint.clone_into(&mut config.endpoint));
        assert_eq!(told, SetupError::Url.to_string(), "{endpoint}");
    }
    for ratio in [-0.1, 1.1, f64::NAN] {
        assert_eq!(refused(&|config| config.sample_ratio = ratio), SetupError::Ratio.to_string());
    }
    let told = refused(&|config| config.headers = Some("planted".to_owned().into()));
    assert!(told.starts_with("header 1 has no") && !told.contains("planted"), "{told}");
}
