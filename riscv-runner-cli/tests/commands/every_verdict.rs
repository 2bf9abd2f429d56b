//! A snapshot with one waiting job in each verdict: the fixture `every_verdict.json`, as the core of
//! today writes it.

use std::{collections::BTreeMap, fs};

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::Backoff,
    controls::Note,
    ids::{
        EntityId, ImageRef, InstallationId, JobId, Login, NodeName, PodUid, PoolName, RepoName, WorkerName,
    },
    job::Placement,
    labels::LabelSet,
    observed::Observed,
    pod::{Node, Pod, PodPhase},
    quarantine::Quarantine,
    scope::{PoolKey, Scope, ScopeRef, Target},
    snapshot::{Demand, InstallationHealth, PendingJob, Snapshot},
    worker::{Worker, WorkerStatus},
};

use crate::run::fixtures;

/// The verdicts, sorted.
pub(crate) const NAMES: [&str; 13] = [
    "auth_failing",
    "backing_off",
    "board_quarantined",
    "demand_met",
    "entity_at_cap",
    "image_refused",
    "minting_refused",
    "no_capacity",
    "paused",
    "pool_at_cap",
    "provision",
    "rate_limited",
    "unknown_pool",
];

const IMAGE: &str = "runner:24.04";

#[test]
fn the_fixture_is_what_the_core_writes() {
    let path = fixtures().join("every_verdict.json");
    let text = serde_json::to_string_pretty(&snapshot()).unwrap() + "\n";
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(known == text, "the format of snapshots has changed: run this test with UPDATE_FIXTURES=1");
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn earlier() -> Timestamp {
    "2026-11-21T11:50:00Z".parse().unwrap()
}

fn later() -> Timestamp {
    "2026-11-21T12:10:00Z".parse().unwrap()
}

/// Every account has one installation, of the same number.
fn scope(account: i64) -> ScopeRef {
    ScopeRef {
        installation: InstallationId::new(account).unwrap(),
        entity: EntityId::new(account).unwrap(),
        login: Login::new(format!("account-{account}")).unwrap(),
        target: Target::Organization,
    }
}

fn key(account: i64, label: &str) -> PoolKey {
    let scope = Scope::Organization(EntityId::new(account).unwrap());
    PoolKey { scope, labels: LabelSet::new([label]).unwrap() }
}

fn pool(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

fn image(name: &str) -> ImageRef {
    ImageRef::new(name).unwrap()
}

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::empty(now());
    snapshot.watching_since = earlier();
    for (name, board) in [
        ("free-1", "free"),
        ("free-2", "free"),
        ("free-3", "free"),
        ("capped-1", "capped"),
        ("full-1", "full"),
        ("broken-1", "broken"),
    ] {
        add_node(&mut snapshot, name, board);
    }
    jobs(&mut snapshot);
    workers(&mut snapshot);
    hindrances(&mut snapshot);
    snapshot
}

fn jobs(snapshot: &mut Snapshot) {
    for (n, account, label, pool, image) in [
        (101, 1, "provision", "free", IMAGE),
        (102, 1, "demand-met", "free", IMAGE),
        (103, 2, "paused", "free", IMAGE),
        (104, 3, "entity-at-cap", "free", IMAGE),
        (105, 1, "pool-at-cap", "capped", IMAGE),
        (106, 1, "no-capacity", "full", IMAGE),
        (107, 1, "board-quarantined", "broken", IMAGE),
        (108, 1, "backing-off", "free", IMAGE),
        (109, 4, "rate-limited", "free", IMAGE),
        (110, 5, "auth-failing", "free", IMAGE),
        (111, 6, "minting-refused", "free", IMAGE),
        (112, 1, "image-refused", "free", "runner:old"),
        (113, 1, "unknown-pool", "gone", IMAGE),
    ] {
        add_job(snapshot, n, account, label, Placement { pool: self::pool(pool), image: self::image(image) });
    }
}

fn workers(snapshot: &mut Snapshot) {
    add_worker(snapshot, "rise-riscv-runner-demandmet", 1, "demand-met", "free", None);
    add_worker(snapshot, "rise-riscv-runner-entitycap", 3, "other", "full", Some("full-1"));
    add_worker(snapshot, "rise-riscv-runner-poolatcap", 1, "other", "capped", Some("capped-1"));
}

fn hindrances(snapshot: &mut Snapshot) {
    let note = Note { reason: "moving to another rack".into(), actor: "ops".into(), since: earlier() };
    snapshot.controls.paused_entities.insert(EntityId::new(2).unwrap(), note);
    snapshot
        .backoffs
        .insert(key(1, "backing-off"), Backoff { failures: 3, since: earlier(), until: later() });
    let quarantine = Quarantine { strikes: 3, times: 1, until: Some(later()) };
    snapshot.quarantines.insert(node("broken-1"), quarantine);
    let refused_at = "2026-11-21T11:55:00Z".parse().unwrap();
    snapshot.refused_images.insert(image("runner:old"), refused_at);
    let fine = InstallationHealth::default;
    for (account, health) in [
        (4, InstallationHealth { rate_limited_until: Some(later()), ..fine() }),
        (
            5,
            InstallationHealth {
                auth_failing_since: Some(earlier()),
                auth_retry_at: Some(later()),
                ..fine()
            },
        ),
        (6, InstallationHealth { minting_refused: Some((later(), 403)), ..fine() }),
    ] {
        snapshot.installations.insert(InstallationId::new(account).unwrap(), health);
    }
}

fn add_node(snapshot: &mut Snapshot, name: &str, board: &str) {
    let labels = BTreeMap::from([("riseproject.dev/board".to_owned(), board.to_owned())]);
    let machine =
        Node { name: node(name), labels, ready: true, cordoned: false, unreachable_since: None, slots: 1 };
    if let Observed::Present(nodes) = &mut snapshot.nodes {
        nodes.insert(node(name), machine);
    }
}

fn add_job(snapshot: &mut Snapshot, n: i64, account: i64, label: &str, placement: Placement) {
    let job = PendingJob {
        id: JobId::new(n).unwrap(),
        created_at: earlier().checked_add(std::time::Duration::from_secs(n.unsigned_abs())).unwrap(),
        repo: RepoName::new(format!("account-{account}/project")).unwrap(),
        scope: scope(account),
        placement,
    };
    let demand = Demand {
        pending: 1,
        oldest: Some(job.created_at),
        pending_by_pool: [(job.placement.pool.clone(), 1)].into(),
        waiting: vec![job],
        ..Demand::default()
    };
    snapshot.demand.insert(key(account, label), demand);
}

fn add_worker(
    snapshot: &mut Snapshot,
    name: &str,
    account: i64,
    label: &str,
    pool: &str,
    bound_to: Option<&str>,
) {
    let name = WorkerName::new(name).unwrap();
    let uid = PodUid::new(format!("uid-of-{name}")).unwrap();
    let worker = Worker {
        name: name.clone(),
        scope: scope(account),
        labels: LabelSet::new([label]).unwrap(),
        pool: self::pool(pool),
        image: image(IMAGE),
        status: if bound_to.is_some() { WorkerStatus::Running } else { WorkerStatus::Pending },
        node: bound_to.map(node),
        pod_uid: bound_to.map(|_| uid.clone()),
        runner: None,
        created_at: earlier(),
        running_at: bound_to.map(|_| earlier()),
        completed_at: None,
        online_at: None,
        gone_at: None,
        failure: None,
        job: None,
    };
    if let (Observed::Present(pods), Some(machine)) = (&mut snapshot.pods, bound_to) {
        let pod = Pod {
            name: name.clone(),
            uid,
            phase: PodPhase::Running { since: earlier() },
            node: Some(node(machine)),
            pool: Some(self::pool(pool)),
            created_at: earlier(),
            deleting: false,
            killed: false,
            identity: None,
        };
        pods.insert(name.clone(), pod);
    }
    snapshot.workers.insert(name, worker);
}
