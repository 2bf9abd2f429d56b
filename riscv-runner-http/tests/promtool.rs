//! Prometheus' own tool reads the alert rules, runs their tests, understands every query of the dashboard,
//! and reads what `/metrics` answers.

#![expect(clippy::unwrap_used, reason = "what a test needs must be there, or the test fails where it stands")]

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use riscv_runner_core::{
    delivery::Outcome,
    failure::FailureReason,
    ports::{EngineEvent, LoopName, Observer, ProvisionStep, Recovery},
};
use riscv_runner_github::{Answer, Endpoint, GithubObserver};
use riscv_runner_http::metrics::{Exposition, Metrics, RequestOutcome, WebhookEvent};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where `promtool` is: as the environment says, where `scripts/test` puts it, or on the path.
fn promtool() -> Command {
    let asked = std::env::var_os("RRCTL_TEST_PROMTOOL").map(PathBuf::from);
    let fetched = root().join(".deps/prometheus/usr/bin/promtool");
    let found = asked.unwrap_or_else(|| if fetched.exists() { fetched } else { "promtool".into() });
    let mut command = Command::new(&found);
    let works = Command::new(&found).arg("--version").output().is_ok_and(|done| done.status.success());
    assert!(
        works,
        "promtool is not here: run ./scripts/test, or sudo apt-get install prometheus, or set RRCTL_TEST_PROMTOOL"
    );
    command.current_dir(root().join("deploy/prometheus"));
    command
}

#[track_caller]
fn is_well(done: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{}\n{}\n{}", done.status, text(&done.stdout), text(&done.stderr));
}

fn piped(mut command: Command, text: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_alert_rules_are_rules_and_fire_when_they_should() {
    is_well(&promtool().args(["check", "rules", "alerts.yaml"]).output().unwrap());
    is_well(&promtool().args(["test", "rules", "alerts.test.yaml"]).output().unwrap());
}

#[test]
fn every_query_of_the_dashboard_is_a_query() {
    let text = std::fs::read_to_string(root().join("deploy/grafana/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            // What Grafana puts in.
            let query = query.replace("$__rate_interval", "5m").replace("$pool", ".*");
            queries += 1;
            rules.push_str(&format!(
                "      - record: panel:{queries}\n        expr: {}\n",
                Value::from(query)
            ));
        }
    }
    assert!(queries > 20, "{queries} queries");
    let file = std::env::temp_dir().join(format!("riscv-runner-dashboard-{}.yaml", std::process::id()));
    std::fs::write(&file, rules).unwrap();
    let done = promtool().args(["check", "rules"]).arg(&file).output();
    std::fs::remove_file(&file).unwrap();
    is_well(&done.unwrap());
}

#[test]
fn what_a_scrape_answers_is_read_and_named_as_it_should_be() {
    let metrics = Metrics::new();
    let took = Duration::from_millis(40);
    metrics.webhook(WebhookEvent::of(Some("ping")), RequestOutcome::Recorded(Outcome::Pong), took);
    metrics.observe(EngineEvent::Cycle { name: LoopName::Schedule, took, ok: true });
    metrics.observe(EngineEvent::Provisioned { step: ProvisionStep::Mint, took });
    metrics.observe(EngineEvent::WorkerFailed { reason: FailureReason::RunnerLost });
    metrics.observe(EngineEvent::Delivered { outcome: Outcome::JobStored });
    metrics.observe(EngineEvent::Recovered { kind: Recovery::AdoptedPod });
    metrics.answered(Answer { endpoint: Endpoint::Job, status: Some(200), took });
    let text = metrics.scrape_as(Exposition::Plain, None).unwrap();
    let mut command = promtool();
    command.args(["check", "metrics"]);
    is_well(&piped(command, &text));
}
