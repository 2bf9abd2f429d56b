//! `docs/metrics.md`, the dashboard and the alerts name the metrics that there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use riscv_runner_core::{delivery::Outcome, ids::PoolName, snapshot::Snapshot};
use riscv_runner_github::Endpoint;

use super::{tests::policy, *};

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A scrape in which every family has a series.
fn everything() -> String {
    struct Counts;
    impl Counted for Counts {
        fn github_budget_remaining_min(&self) -> Option<u64> {
            Some(4_990)
        }
        fn store_statements(&self) -> u64 {
            7
        }
    }
    let metrics = Metrics::new();
    let took = Duration::from_millis(40);
    metrics.webhook(WebhookEvent::of(Some("ping")), RequestOutcome::Recorded(Outcome::Pong), took);
    metrics.observe(EngineEvent::Cycle { name: LoopName::Schedule, took, ok: true });
    metrics.observe(EngineEvent::Delivered { outcome: Outcome::JobStored });
    metrics.observe(EngineEvent::Recovered { kind: Recovery::AdoptedPod });
    metrics.observe(EngineEvent::Noticed {
        notifier: "webhook",
        outcome: riscv_runner_core::ports::NoticeOutcome::Sent,
    });
    metrics.answered(Answer { endpoint: Endpoint::Job, status: Some(200), took });
    metrics.take_over(&Counts);
    let mut readings = Readings::of_snapshot(Snapshot::empty(jiff::Timestamp::UNIX_EPOCH), &policy(&["k1"]));
    let seen = readings.seen.get_or_insert_default();
    seen.withheld.insert("paused", 1);
    let pool = PoolName::new("k1").unwrap();
    seen.slots.insert((pool.to_string(), crate::picture::SlotState::Free), 1);
    metrics.scrape(Some(&readings)).unwrap()
}

/// A metric as the documentation has it.
struct Described {
    kind: String,
    labels: BTreeSet<String>,
    help: String,
}

/// Every metric by the name under which it is queried (a histogram without its suffixes).
fn described(text: &str) -> BTreeMap<String, Described> {
    let text = exposition::plain(text);
    let mut metrics: BTreeMap<String, Described> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            let help = help.trim_end_matches('.').to_owned();
            metrics.insert(name.to_owned(), Described { kind: String::new(), labels: [].into(), help });
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            kind.clone_into(&mut metrics.get_mut(name).unwrap().kind);
        } else {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let family = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|name| metrics.contains_key(*name)))
                .unwrap_or(name);
            let names = labels.split("=\"").filter_map(|part| part.rsplit(['{', ',', '"']).next());
            let labels = names.filter(|name| !name.is_empty() && *name != "le" && !name.ends_with('}'));
            metrics.get_mut(family).unwrap().labels.extend(labels.map(ToOwned::to_owned));
        }
    }
    metrics
}

fn table(metrics: &BTreeMap<String, Described>) -> String {
    let mut text = String::from("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    for (name, Described { kind, labels, help }) in metrics {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        text.push_str(&format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", ")));
    }
    text
}

#[test]
fn the_documentation_lists_every_metric_and_no_other() {
    const BEGIN: &str = "<!-- metrics -->\n";
    const END: &str = "<!-- /metrics -->";
    let page = read("docs/metrics.md");
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (found, after) = rest.split_once(END).expect("the table has an end");
    let expected = table(&described(&everything()));
    if found != expected && std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(path("docs/metrics.md"), format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, expected, "run this test with UPDATE_FIXTURES=1");
}

/// Names that begin like ours.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c: char| !is_part(c)).filter(|word| word.starts_with("rrctl_")).collect()
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_metrics_that_there_are() {
    let metrics = described(&everything());
    for file in ["deploy/grafana/dashboard.json", "deploy/prometheus/alerts.yaml"] {
        let text = read(file);
        let names = named(&text);
        assert!(names.len() > 8, "{file} asks for {names:?} only");
        for name in names {
            let known = metrics.get(name).is_some_and(|metric| metric.kind != "histogram")
                || ["_bucket", "_count", "_sum"].iter().any(|suffix| {
                    name.strip_suffix(suffix)
                        .and_then(|name| metrics.get(name))
                        .is_some_and(|metric| metric.kind == "histogram")
                });
            assert!(known, "{file}: nothing is called {name}");
        }
    }
}

#[test]
fn the_names_that_scripts_rely_on_are_there() {
    let metrics = described(&everything());
    for (name, labels) in [
        ("webhook_requests_total", &["event", "outcome"][..]),
        ("webhook_duration_seconds", &[]),
        ("queue_depth", &["pool"]),
        ("queue_oldest_seconds", &["pool"]),
        ("queue_oldest_dispatchable_seconds", &["pool"]),
        ("queue_withheld", &["reason"]),
        ("jobs", &["status"]),
        ("workers", &["pool", "status"]),
        ("slots", &["pool", "state"]),
        ("job_wait_seconds", &[]),
        ("provision_duration_seconds", &["step"]),
        ("worker_failures_total", &["reason"]),
        ("cycle_duration_seconds", &["loop"]),
        ("leader", &[]),
        ("github_requests_total", &["endpoint", "status"]),
        ("github_budget_remaining_min", &[]),
        ("recoveries_total", &["kind"]),
        ("store_statements_total", &[]),
        ("retention_removed_total", &["kind"]),
    ] {
        let metric = metrics.get(&format!("rrctl_{name}")).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(metric.labels.iter().eq(labels), "{name}: {:?}", metric.labels);
    }
}
