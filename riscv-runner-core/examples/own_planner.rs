//! Only the core, with a planner of the host's own: it begins with what the core would do, keeps some boards
//! free at certain hours, and lets the core's audit judge the result.
//!
//! `cargo run -p riscv-runner-core --example own_planner`

use std::{collections::BTreeMap, error::Error};

use jiff::{Timestamp, tz::TimeZone};
use riscv_runner_core::{
    ids::{EntityId, InstallationId, JobId, Login, NodeName, PoolName, RepoId, RepoName},
    job::Placement,
    labels::LabelSet,
    observed::Observed,
    plan::{Action, Plan, audit::audit, schedule},
    pod::Node,
    policy::{Limits, NamePrefix, Policy, PoolPolicy, Timeouts},
    scope::{PoolKey, ScopeRef, Target},
    snapshot::{Demand, PendingJob, Snapshot},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The planner of the host: by day, at most so many new workers a cycle, so that people's own experiments find a
/// board. What it leaves out stays demand, and is looked at in the next cycle.
fn polite(snapshot: &Snapshot, policy: &Policy, by_day: usize) -> Plan {
    let mut plan = schedule(snapshot, policy);
    let hour = snapshot.now.to_zoned(TimeZone::UTC).hour();
    if (8..18).contains(&hour) {
        let mut provisions = 0;
        plan.steps.retain(|step| {
            provisions += usize::from(matches!(step.action, Action::Provision(_)));
            !matches!(step.action, Action::Provision(_)) || provisions <= by_day
        });
    }
    plan
}

/// Three jobs wait, and three boards are free.
fn world(now: Timestamp) -> Outcome<(Snapshot, Policy)> {
    let pool = PoolName::new("spacemit-k1")?;
    let board = BTreeMap::from([("riseproject.dev/board".to_owned(), "spacemit-k1".to_owned())]);
    let image: riscv_runner_core::ids::ImageRef = "registry.example/runner:24.04".parse()?;
    let labels = LabelSet::new(["ubuntu-24.04-riscv"])?;
    let repo = RepoName::new("someone/tool")?;
    let scope = ScopeRef {
        installation: InstallationId::new(1)?,
        entity: EntityId::new(2)?,
        login: Login::new("someone")?,
        target: Target::Repository { id: RepoId::new(3)?, name: repo.clone() },
    };
    let mut snapshot = Snapshot::empty(now);
    let node = |n: u32| -> Outcome<(NodeName, Node)> {
        let name = NodeName::new(format!("board-{n}"))?;
        let labels = board.clone();
        let node = Node {
            name: name.clone(),
            labels,
            ready: true,
            cordoned: false,
            unreachable_since: None,
            slots: 1,
        };
        Ok((name, node))
    };
    snapshot.nodes = Observed::Present((1..=3).map(node).collect::<Outcome<_>>()?);
    snapshot.pods = Observed::Present(BTreeMap::new());
    let job = |id: i64| -> Outcome<PendingJob> {
        Ok(PendingJob {
            id: JobId::new(id)?,
            created_at: now,
            repo: repo.clone(),
            scope: scope.clone(),
            placement: Placement { pool: pool.clone(), image: image.clone() },
        })
    };
    let waiting = (1..=3).map(job).collect::<Outcome<Vec<_>>>()?;
    let demand = Demand {
        pending: 3,
        oldest: Some(now),
        pending_by_pool: BTreeMap::from([(pool.clone(), 3)]),
        waiting,
        ..Demand::default()
    };
    snapshot.demand.insert(PoolKey { scope: scope.scope(), labels }, demand);
    let policy = Policy {
        pools: BTreeMap::from([(pool, PoolPolicy { node_selector: board, image, max_workers: None })]),
        routes: Vec::new(),
        entities: BTreeMap::new(),
        banned_senders: [].into(),
        staging_repositories: [].into(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        name_prefix: NamePrefix::new("lab-")?,
    };
    Ok((snapshot, policy))
}

/// How many workers the host's planner makes at this time; the audit has looked at the plan.
fn workers_at(now: &str) -> Outcome<usize> {
    let (snapshot, policy) = world(now.parse()?)?;
    let plan = polite(&snapshot, &policy, 1);
    let violations = audit(&snapshot, &policy, &plan);
    if !violations.is_empty() {
        return Err(format!("the plan breaks a law: {violations:?}").into());
    }
    Ok(plan.steps.iter().filter(|step| step.action.as_provision().is_some()).count())
}

/// Plans the same world by night and by day.
pub(crate) fn main() -> Outcome<()> {
    let (night, day) = (workers_at("2026-01-01T03:00:00Z")?, workers_at("2026-01-01T12:00:00Z")?);
    assert_eq!((night, day), (3, 1));
    Ok(())
}
