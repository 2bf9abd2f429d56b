//! What a scrape shows, and that the number of series stays bounded.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{Timestamp, ToSpan};
use riscv_runner_core::{
    controls::{Controls, Note, Revocation},
    delivery::Outcome,
    entity::EntityKind,
    ids::{EntityId, ImageRef, InstallationId, JobId, Login, NodeName, PoolName, RepoName},
    job::{JobPhase, Placement},
    labels::LabelSet,
    observed::Observed,
    pod::Node,
    policy::{Cap, Limits, NamePrefix, Policy, PoolPolicy, Timeouts},
    ports::UsageRow,
    scope::{PoolKey, Scope, ScopeRef, Target},
    snapshot::{PendingJob, Snapshot},
    worker::WorkerStatus,
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

/// Pools of the kind of board that they are named after.
pub(super) fn policy(pools: &[&str]) -> Arc<Policy> {
    let pool = |name: &&str| {
        let node_selector = BTreeMap::from([("board".to_owned(), (*name).to_owned())]);
        let image = ImageRef::new("registry.example/runner:1").unwrap();
        (PoolName::new(name).unwrap(), PoolPolicy { node_selector, image, max_workers: None })
    };
    Arc::new(Policy {
        pools: pools.iter().map(pool).collect(),
        routes: Vec::new(),
        entities: BTreeMap::new(),
        banned_senders: [].into(),
        staging_repositories: [].into(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        name_prefix: NamePrefix::new("rr-").unwrap(),
    })
}

fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn a_scrape_sums_the_accounts_of_a_pool() {
    let metrics = Metrics::new();
    let rows = [usage(1, "k1", 2, 1), usage(2, "k1", 3, 0), usage(3, "gone", 5, 1)];
    let readings = Readings::of_usage(&rows, &policy(&["k1", "k3"]), &Controls::default());
    let text = metrics.scrape(Some(&readings)).unwrap();
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
    let policy = policy(&["k1"]);
    metrics
        .scrape(Some(&Readings::of_usage(&[usage(1, "k1", 4, 1)], &policy, &Controls::default())))
        .unwrap();
    let kept = metrics.scrape(None).unwrap();
    assert!(kept.contains("rrctl_queue_depth{pool=\"k1\"} 4\n"), "{kept}");
    let drained = metrics.scrape(Some(&Readings::of_usage(&[], &policy, &Controls::default()))).unwrap();
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
    metrics.observe(EngineEvent::Recovered { kind: Recovery::AdoptedPod });
    metrics.observe(EngineEvent::Removed { kind: riscv_runner_core::retention::Expiring::Events, rows: 5 });
    metrics.observe(EngineEvent::Panicked { place: PanicPlace::Cycle(LoopName::Jobs) });
    metrics.observe(EngineEvent::DeliveryGivenUp);
    metrics.observe(EngineEvent::Leading(true));
    metrics.answered(Answer { endpoint: Endpoint::Job, status: Some(404), took });
    metrics.answered(Answer { endpoint: Endpoint::Job, status: None, took });
    metrics.webhook(WebhookEvent::of(Some("ping")), RequestOutcome::Recorded(Outcome::Pong), took);
    let text = metrics.scrape(None).unwrap();
    for line in [
        r#"rrctl_cycles_total{loop="schedule",result="failed"} 1"#,
        r#"rrctl_cycle_duration_seconds_count{loop="schedule"} 1"#,
        r#"rrctl_provision_duration_seconds_count{step="mint"} 1"#,
        r#"rrctl_worker_failures_total{reason="runner_lost"} 1"#,
        r#"rrctl_worker_failures_total{reason="pod_failed"} 0"#,
        r#"rrctl_panics_total{place="jobs"} 1"#,
        r#"rrctl_panics_total{place="provisioning"} 0"#,
        "rrctl_deliveries_given_up_total 1",
        r#"rrctl_job_wait_seconds_bucket{le="120.0"} 1"#,
        r#"rrctl_job_wait_seconds_bucket{le="60.0"} 0"#,
        r#"rrctl_deliveries_total{outcome="job_stored"} 1"#,
        r#"rrctl_recoveries_total{kind="adopted_pod"} 1"#,
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
    let policy = policy(&["k1"]);
    let first = |metrics: &Metrics, n: i64| {
        let name = format!("event-{n}");
        metrics.webhook(
            WebhookEvent::of(Some(&name)),
            RequestOutcome::Recorded(Outcome::JobStored),
            Duration::ZERO,
        );
        metrics.observe(EngineEvent::JobStarted { waited: Duration::from_secs(n.unsigned_abs()) });
        let rows = [usage(n, &format!("pool-{n}"), 1, 1)];
        metrics.scrape(Some(&Readings::of_usage(&rows, &policy, &Controls::default()))).unwrap()
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
    let many =
        series(&metrics.scrape(Some(&Readings::of_usage(&rows, &policy, &Controls::default()))).unwrap());
    assert_eq!(one, many);
    assert!(many < 300, "{many} series");
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A waiting job of repository `n`, in the organization of the same number.
fn waits(snapshot: &mut Snapshot, id: i64, n: i64, pool: &str, age: i64) {
    let (entity, created_at) = (EntityId::new(n).unwrap(), now() - age.seconds());
    let key = PoolKey { scope: Scope::Organization(entity), labels: LabelSet::new([pool]).unwrap() };
    let demand = snapshot.demand.entry(key).or_default();
    demand.pending += 1;
    demand.oldest = Some(demand.oldest.map_or(created_at, |oldest| oldest.min(created_at)));
    let pool = PoolName::new(pool).unwrap();
    *demand.pending_by_pool.entry(pool.clone()).or_default() += 1;
    demand.waiting.push(PendingJob {
        id: JobId::new(id).unwrap(),
        created_at,
        repo: RepoName::new(format!("account-{n}/repository-{n}")).unwrap(),
        scope: ScopeRef {
            installation: InstallationId::new(n).unwrap(),
            entity,
            login: Login::new(format!("account-{n}")).unwrap(),
            target: Target::Organization,
        },
        placement: Placement { pool, image: ImageRef::new("registry.example/runner:1").unwrap() },
    });
}

/// A world with this many boards of a kind.
fn world(kind: &str, boards: usize) -> Snapshot {
    let node = |n| Node {
        name: NodeName::new(format!("{kind}-{n}")).unwrap(),
        labels: BTreeMap::from([("board".to_owned(), kind.to_owned())]),
        ready: true,
        cordoned: false,
        unreachable_since: None,
        slots: 1,
    };
    let nodes = (0..boards).map(|n| (node(n).name, node(n))).collect();
    Snapshot { nodes: Observed::Present(nodes), ..Snapshot::empty(now()) }
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} is missing:\n{text}");
    }
}

#[test]
fn a_snapshot_tells_ages_what_is_withheld_and_what_the_slots_do() {
    let mut snapshot = world("k1", 3);
    waits(&mut snapshot, 1, 1, "k1", 500);
    waits(&mut snapshot, 2, 2, "k1", 40);
    waits(&mut snapshot, 3, 2, "k1", 30);
    waits(&mut snapshot, 4, 3, "gone", 20);
    let note = Note { reason: "power work".into(), actor: "eve".into(), since: now() };
    snapshot.controls = Controls {
        paused_entities: [(EntityId::new(1).unwrap(), note.clone())].into(),
        drained_nodes: [(NodeName::new("k1-0").unwrap(), note.clone())].into(),
        entity_caps: [(EntityId::new(2).unwrap(), (Cap::AtMost(1), note))].into(),
        ..Controls::default()
    };
    if let Observed::Present(nodes) = &mut snapshot.nodes {
        nodes.get_mut(&NodeName::new("k1-1").unwrap()).unwrap().unreachable_since = Some(now());
    }
    let metrics = Metrics::new();
    let text = metrics.scrape(Some(&Readings::of_snapshot(snapshot, &policy(&["k1", "k3"])))).unwrap();
    has(
        &text,
        &[
            r#"rrctl_queue_depth{pool="k1"} 3"#,
            r#"rrctl_queue_depth{pool="k3"} 0"#,
            r#"rrctl_queue_depth{pool="other"} 1"#,
            r#"rrctl_queue_oldest_seconds{pool="k1"} 500.0"#,
            r#"rrctl_queue_oldest_dispatchable_seconds{pool="k1"} 40.0"#,
            r#"rrctl_queue_oldest_seconds{pool="k3"} 0.0"#,
            r#"rrctl_queue_withheld{reason="paused"} 1"#,
            r#"rrctl_queue_withheld{reason="entity_at_cap"} 1"#,
            r#"rrctl_queue_withheld{reason="unknown_pool"} 1"#,
            r#"rrctl_slots{pool="k1",state="free"} 1"#,
            r#"rrctl_slots{pool="k1",state="drained"} 1"#,
            r#"rrctl_slots{pool="k1",state="unreachable"} 1"#,
            r#"rrctl_slots{pool="k1",state="active"} 0"#,
            r#"rrctl_jobs{status="pending"} 4"#,
            r#"rrctl_workers{status="running",pool="k1"} 0"#,
        ],
    );
    let emptied = metrics.scrape(Some(&Readings::of_snapshot(world("k1", 3), &policy(&["k1"])))).unwrap();
    has(
        &emptied,
        &[r#"rrctl_queue_oldest_seconds{pool="k1"} 0.0"#, r#"rrctl_slots{pool="k1",state="free"} 3"#],
    );
    assert!(!emptied.contains("queue_withheld{"), "{emptied}");
}

#[test]
fn without_a_view_of_the_cluster_no_slot_is_claimed() {
    let metrics = Metrics::new();
    let policy = policy(&["k1"]);
    let seen = metrics.scrape(Some(&Readings::of_snapshot(world("k1", 1), &policy))).unwrap();
    assert!(seen.contains("rrctl_slots{"), "{seen}");
    let mut blind = world("k1", 1);
    blind.nodes = Observed::Unknown(riscv_runner_core::observed::Why::Failed);
    let text = metrics.scrape(Some(&Readings::of_snapshot(blind, &policy))).unwrap();
    assert!(!text.contains("rrctl_slots{"), "{text}");
}

#[test]
fn ten_thousand_waiting_jobs_of_five_hundred_repositories_add_no_series() {
    let policy = policy(&["k1", "k3"]);
    let scraped = |jobs: i64, repositories: i64| {
        let mut snapshot = world("k1", 55);
        for id in 1..=jobs {
            let n = 1 + id % repositories;
            let pool = ["k1".to_owned(), "k3".to_owned(), format!("gone-{n}")][id as usize % 3].clone();
            waits(&mut snapshot, id, n, &pool, id);
        }
        Metrics::new().scrape(Some(&Readings::of_snapshot(snapshot, &policy))).unwrap()
    };
    let many = scraped(10_000, 500);
    assert_eq!(series(&scraped(1_000, 100)), series(&many));
    assert!(series(&many) < 350, "{} series", series(&many));
    has(&many, &[r#"rrctl_jobs{status="pending"} 10000"#]);
    assert!(!many.contains("account-") && !many.contains("gone-"), "{many}");
}

#[test]
fn every_order_that_can_be_in_force_has_a_series_from_the_start() {
    let pauses = |metrics: &Metrics, readings: Option<&Readings>| metrics.scrape(readings).unwrap();
    let lines = |text: &str| {
        let ours = text.lines().filter(|line| line.starts_with("rrctl_controls{"));
        ours.map(ToOwned::to_owned).collect::<BTreeSet<_>>()
    };
    let started = lines(&pauses(&Metrics::new(), None));
    assert_eq!(started.len(), CONTROLS.len());
    assert!(started.iter().all(|line| line.ends_with(" 0")), "{started:?}");
    let (note, entity) =
        (Note { reason: "r".into(), actor: "a".into(), since: now() }, EntityId::new(1).unwrap());
    let controls = Controls {
        everything_paused: Some(note.clone()),
        paused_entities: [(entity, note.clone())].into(),
        paused_repos: [(RepoName::new("a/b").unwrap(), note.clone())].into(),
        drained_pools: [(PoolName::new("k1").unwrap(), note.clone())].into(),
        drained_nodes: [(NodeName::new("k1-0").unwrap(), note.clone())].into(),
        entity_caps: [(entity, (Cap::AtMost(1), note.clone()))].into(),
        banned_entities: [(entity, note.clone())].into(),
        revoked_workers: [("rr-abc".parse().unwrap(), Revocation { note, force: false })].into(),
    };
    let metrics = Metrics::new();
    let told = Readings::of_usage(&[], &policy(&["k1"]), &controls);
    let expected: BTreeSet<_> = started.iter().map(|line| line.replace("} 0", "} 1")).collect();
    assert_eq!(lines(&pauses(&metrics, Some(&told))), expected, "one of each, and no other series");
    let over = Readings::of_usage(&[], &policy(&["k1"]), &Controls::default());
    assert_eq!(lines(&pauses(&metrics, Some(&over))), started);
}

#[test]
fn counters_whose_labels_are_known_begin_at_zero() {
    let text = Metrics::new().scrape(None).unwrap();
    let mut lines: Vec<String> = Vec::new();
    lines.extend(
        Outcome::ALL.map(|outcome| format!(r#"deliveries_total{{outcome="{}"}} 0"#, outcome.as_str())),
    );
    lines.extend(Recovery::ALL.map(|kind| format!(r#"recoveries_total{{kind="{}"}} 0"#, kind.as_str())));
    for name in LoopName::ALL {
        let cycles = ["ok", "failed"]
            .map(|result| format!(r#"cycles_total{{loop="{}",result="{result}"}} 0"#, name.as_str()));
        lines.extend(cycles);
    }
    for line in lines {
        assert!(text.contains(&format!("rrctl_{line}\n")), "{line} is missing:\n{text}");
    }
}
