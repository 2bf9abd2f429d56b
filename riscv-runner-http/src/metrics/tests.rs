//! What a scrape shows, and that the number of series stays bounded.

use std::collections::BTreeMap;

use riscv_runner_core::{
    delivery::Outcome,
    entity::EntityKind,
    ids::{EntityId, Login},
    labels::LabelSet,
};
use riscv_runner_github::Endpoint;

use super::*;

fn usage(entity: i64, pool: &str, pending: u64, workers: u64) -> UsageRow {
    UsageRow {
        entity_id: EntityId::new(entity).unwrap(),
        entity_name: Login::new(format!("account-{entity}")).unwrap(),
        entity_type: EntityKind::Organization,
        k8s_pool: PoolName::new(pool).unwrap(),
        job_labels: LabelSet::new([format!("label-{entity}")]).unwrap(),
        jobs: BTreeMap::from([(JobPhase::Pending, pending), (JobPhase::Completed, 900)]),
        workers: BTreeMap::from([(WorkerStatus::Running, workers), (WorkerStatus::Failed, 7)]),
    }
}

fn pools(names: &[&str]) -> Vec<PoolName> {
    names.iter().map(|name| PoolName::new(name).unwrap()).collect()
}

fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn a_scrape_sums_the_accounts_of_a_pool() {
    let metrics = Metrics::new();
    let rows = [usage(1, "k1", 2, 1), usage(2, "k1", 3, 0), usage(3, "gone", 5, 1)];
    let text = metrics.scrape(Some(&rows), &pools(&["k1", "k3"])).unwrap();
    for line in [
        r#"rrctl_queue_depth{pool="k1"} 5"#,
        r#"rrctl_queue_depth{pool="k3"} 0"#,
        r#"rrctl_queue_depth{pool="other"} 5"#,
        r#"rrctl_jobs{status="pending"} 10"#,
        r#"rrctl_jobs{status="running"} 0"#,
        r#"rrctl_workers{status="running",pool="k1"} 1"#,
        r#"rrctl_workers{status="pending",pool="k3"} 0"#,
        "rrctl_leader 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing:\n{text}");
    }
}

#[test]
fn a_drained_queue_goes_back_to_zero_and_an_unreadable_store_keeps_the_last_value() {
    let metrics = Metrics::new();
    let pools = pools(&["k1"]);
    metrics.scrape(Some(&[usage(1, "k1", 4, 1)]), &pools).unwrap();
    let kept = metrics.scrape(None, &pools).unwrap();
    assert!(kept.contains("rrctl_queue_depth{pool=\"k1\"} 4\n"), "{kept}");
    let drained = metrics.scrape(Some(&[]), &pools).unwrap();
    assert!(drained.contains("rrctl_queue_depth{pool=\"k1\"} 0\n"), "{drained}");
}

#[test]
fn events_are_counted_under_the_fixed_names() {
    let metrics = Metrics::new();
    let took = Duration::from_millis(40);
    metrics.observe(EngineEvent::Cycle { name: LoopName::Schedule, took, ok: false });
    metrics.observe(EngineEvent::Provisioned { step: ProvisionStep::Mint, took });
    metrics.observe(EngineEvent::WorkerFailed { reason: FailureReason::RunnerLost });
    metrics.observe(EngineEvent::JobStarted { waited: Duration::from_secs(70) });
    metrics.observe(EngineEvent::Delivered { outcome: Outcome::JobStored });
    metrics.observe(EngineEvent::Recovered { kind: "orphan_worker" });
    metrics.observe(EngineEvent::Leading(true));
    metrics.answered(Answer { endpoint: Endpoint::Job, status: Some(404), took });
    metrics.answered(Answer { endpoint: Endpoint::Job, status: None, took });
    metrics.webhook(WebhookEvent::of(Some("ping")), RequestOutcome::Recorded(Outcome::Pong), took);
    let text = metrics.scrape(None, []).unwrap();
    for line in [
        r#"rrctl_cycles_total{loop="schedule",result="failed"} 1"#,
        r#"rrctl_cycle_duration_seconds_count{loop="schedule"} 1"#,
        r#"rrctl_provision_duration_seconds_count{step="mint"} 1"#,
        r#"rrctl_worker_failures_total{reason="runner_lost"} 1"#,
        r#"rrctl_worker_failures_total{reason="pod_failed"} 0"#,
        r#"rrctl_job_wait_seconds_bucket{le="120.0"} 1"#,
        r#"rrctl_job_wait_seconds_bucket{le="60.0"} 0"#,
        r#"rrctl_deliveries_total{outcome="job_stored"} 1"#,
        r#"rrctl_recoveries_total{kind="orphan_worker"} 1"#,
        r#"rrctl_webhook_requests_total{event="ping",outcome="pong"} 1"#,
        r#"rrctl_github_requests_total{endpoint="GET /repos/{owner}/{repo}/actions/jobs/{job_id}",status="404"} 1"#,
        r#"rrctl_github_requests_total{endpoint="GET /repos/{owner}/{repo}/actions/jobs/{job_id}",status="none"} 1"#,
        "rrctl_webhook_duration_seconds_count 1",
        "rrctl_leader 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing:\n{text}");
    }
}

#[test]
fn ten_thousand_jobs_add_no_series() {
    let metrics = Metrics::new();
    let pools = pools(&["k1"]);
    let first = |metrics: &Metrics, n: i64| {
        let name = format!("event-{n}");
        metrics.webhook(
            WebhookEvent::of(Some(&name)),
            RequestOutcome::Recorded(Outcome::JobStored),
            Duration::ZERO,
        );
        metrics.observe(EngineEvent::JobStarted { waited: Duration::from_secs(n.unsigned_abs()) });
        metrics.scrape(Some(&[usage(n, &format!("pool-{n}"), 1, 1)]), &pools).unwrap()
    };
    let one = series(&first(&metrics, 1));
    for n in 2..10_000 {
        metrics.webhook(
            WebhookEvent::of(Some(&format!("event-{n}"))),
            RequestOutcome::Recorded(Outcome::JobStored),
            Duration::ZERO,
        );
    }
    let rows: Vec<_> = (1..=500).map(|n| usage(n, &format!("pool-{n}"), 20, 1)).collect();
    let many = series(&metrics.scrape(Some(&rows), &pools).unwrap());
    assert_eq!(one, many);
    assert!(many < 250, "{many} series");
}
