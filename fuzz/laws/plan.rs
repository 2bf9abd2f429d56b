//! Snapshots for the planner.

use std::collections::{BTreeMap, BTreeSet};

use riscv_runner_core::{
    ids::{ImageRef, PoolName},
    plan::{Plan, audit::audit, reconcile, schedule},
    policy::{Limits, NamePrefix, Policy, PoolPolicy, Timeouts},
    snapshot::Snapshot,
};

/// A snapshot that can be read is planned without a panic; the audit finds nothing wrong with the plans,
/// every waiting job has one verdict, and planning again gives the same.
pub fn plan(input: &[u8]) {
    let Ok(snapshot) = serde_json::from_slice::<Snapshot>(input) else { return };
    let policy = policy(&snapshot);
    for make in [schedule, reconcile] {
        let plan: Plan = make(&snapshot, &policy);
        let violations = audit(&snapshot, &policy, &plan);
        assert!(violations.is_empty(), "{violations:?}");
        assert_eq!(json(&plan), json(&make(&snapshot, &policy)));
    }
    let plan = schedule(&snapshot, &policy);
    let held = plan.held.iter().map(|(job, _)| job);
    let served = plan.steps.iter().filter_map(|step| step.action.as_provision()?.job);
    let mut verdicts: Vec<_> = held.chain(served).collect();
    verdicts.sort();
    let waiting = snapshot.demand.values().flat_map(|demand| &demand.waiting).map(|job| job.id);
    let mut waiting: Vec<_> = waiting.collect();
    waiting.sort();
    assert_eq!(verdicts, waiting, "each waiting job has one verdict");
}

fn json(plan: &Plan) -> String {
    serde_json::to_string(plan).expect("a plan can be written")
}

/// Every pool that the snapshot names, on boards that are labelled with its name; some at a limit.
fn policy(snapshot: &Snapshot) -> Policy {
    let jobs = snapshot.demand.values().flat_map(|demand| &demand.waiting).map(|job| &job.placement.pool);
    let names: BTreeSet<&PoolName> =
        jobs.chain(snapshot.workers.values().map(|worker| &worker.pool)).collect();
    let image = ImageRef::new("runner:1").expect("an image");
    let pool = |(n, name): (usize, &PoolName)| {
        let node_selector = BTreeMap::from([("riseproject.dev/board".to_owned(), name.to_string())]);
        let max_workers = (n % 3 == 2).then_some(1);
        (name.clone(), PoolPolicy { node_selector, image: image.clone(), max_workers })
    };
    Policy {
        pools: names.into_iter().enumerate().map(pool).collect(),
        routes: Vec::new(),
        entities: BTreeMap::new(),
        banned_senders: BTreeSet::new(),
        staging_repositories: BTreeSet::new(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        name_prefix: NamePrefix::new("rr-").expect("a prefix"),
    }
}
