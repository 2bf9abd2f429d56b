//! States that operators are notified of when they begin, and again when they end.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    ids::{InstallationId, NodeName, PoolName},
    notify::{Rules, Severity, Topic},
    plan::{Hold, Plan},
    policy::Policy,
    snapshot::Snapshot,
};

/// What lasts less is not worth a message: GitHub hiccups, and kubelets restart.
const PATIENCE: Duration = Duration::from_secs(120);

/// A state that operators are notified of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Jobs wait for boards of this pool.
    PoolExhausted(PoolName),
    /// The App cannot authenticate for this installation.
    AuthFailing(InstallationId),
    /// GitHub's limits hold this installation back.
    RateLimited(InstallationId),
    /// This board is not ready, does not answer, or is gone.
    BoardLost(NodeName),
}

impl Condition {
    /// The topic of its notifications.
    #[must_use]
    pub const fn topic(&self) -> Topic {
        match self {
            Self::PoolExhausted(_) => Topic::PoolExhausted,
            Self::AuthFailing(_) => Topic::AuthFailing,
            Self::RateLimited(_) => Topic::RateLimited,
            Self::BoardLost(_) => Topic::BoardLost,
        }
    }

    /// The severity of its notifications.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::AuthFailing(_) => Severity::Critical,
            Self::PoolExhausted(_) | Self::RateLimited(_) | Self::BoardLost(_) => Severity::Warning,
        }
    }

    pub(super) fn subject(&self) -> String {
        match self {
            Self::PoolExhausted(pool) => pool.to_string(),
            Self::AuthFailing(installation) | Self::RateLimited(installation) => installation.to_string(),
            Self::BoardLost(node) => node.to_string(),
        }
    }

    /// How long it must hold before a notification is sent.
    pub(super) const fn patience(&self, rules: &Rules) -> Duration {
        match self {
            Self::PoolExhausted(_) => rules.pool_exhausted_after,
            Self::AuthFailing(_) | Self::RateLimited(_) | Self::BoardLost(_) => PATIENCE,
        }
    }

    pub(super) fn title(&self, ended: bool) -> String {
        match (self, ended) {
            (Self::PoolExhausted(pool), false) => format!("Jobs wait for boards of pool {pool}"),
            (Self::PoolExhausted(pool), true) => format!("Pool {pool} has boards again"),
            (Self::AuthFailing(id), false) => format!("The App cannot authenticate for installation {id}"),
            (Self::AuthFailing(id), true) => format!("The App authenticates for installation {id} again"),
            (Self::RateLimited(id), false) => format!("GitHub limits requests for installation {id}"),
            (Self::RateLimited(id), true) => format!("GitHub accepts requests for installation {id} again"),
            (Self::BoardLost(node), false) => format!("Board {node} is lost"),
            (Self::BoardLost(node), true) => format!("Board {node} is back"),
        }
    }
}

/// What one poll shows: the conditions that hold, with what is known of each, and those that could not be
/// observed.
pub(super) struct Look {
    pub(super) holding: BTreeMap<Condition, String>,
    pub(super) boards_seen: bool,
}

impl Look {
    pub(super) fn at(snapshot: &Snapshot, plan: &Plan, policy: &Policy, known: &mut KnownBoards) -> Self {
        let mut holding = BTreeMap::new();
        pools(plan, &mut holding);
        installations(snapshot, &mut holding);
        known.look(snapshot, policy, &mut holding);
        Self { holding, boards_seen: snapshot.nodes.is_present() }
    }

    /// Whether the poll could have shown the condition.
    pub(super) const fn covers(&self, condition: &Condition) -> bool {
        match condition {
            Condition::PoolExhausted(_) | Condition::BoardLost(_) => self.boards_seen,
            Condition::AuthFailing(_) | Condition::RateLimited(_) => true,
        }
    }
}

fn pools(plan: &Plan, holding: &mut BTreeMap<Condition, String>) {
    let mut waiting: BTreeMap<&PoolName, (usize, String)> = BTreeMap::new();
    for group in plan.held.groups() {
        if let Some((pool, why)) = exhausted(&group.hold) {
            let jobs = waiting.get(pool).map_or(0, |(jobs, _)| *jobs) + group.jobs.len();
            waiting.insert(pool, (jobs, why));
        }
    }
    for (pool, (jobs, why)) in waiting {
        holding.insert(
            Condition::PoolExhausted(pool.clone()),
            format!("At least {jobs} jobs are waiting; {why}."),
        );
    }
}

/// The pool whose boards a held job waits for, and what keeps them.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other reasons are not the pool's")]
fn exhausted(hold: &Hold) -> Option<(&PoolName, String)> {
    match hold {
        Hold::NoCapacity { pool, total, .. } => {
            Some((pool, format!("{total} slots take workers, and all are taken")))
        }
        Hold::BoardQuarantined { pool, boards, .. } => {
            Some((pool, format!("no board takes workers, and {boards} are set aside after failures")))
        }
        _ => None,
    }
}

fn installations(snapshot: &Snapshot, holding: &mut BTreeMap<Condition, String>) {
    for (id, health) in &snapshot.installations {
        // An installation that is gone is its owner's decision, and its jobs fail with that reason.
        if let (Some(since), None) = (health.auth_failing_since, health.gone_since) {
            let text = format!("Since {}. Its jobs are waiting.", since.strftime("%Y-%m-%d %H:%M UTC"));
            holding.insert(Condition::AuthFailing(*id), text);
        }
        if let Some(until) = health.rate_limited_until.filter(|until| snapshot.now < *until) {
            let text = format!("Until {}. Its jobs are waiting.", until.strftime("%Y-%m-%d %H:%M UTC"));
            holding.insert(Condition::RateLimited(*id), text);
        }
    }
}

/// Boards that were seen at work, so that one that is gone is missed.
#[derive(Debug, Default)]
pub(super) struct KnownBoards(std::collections::BTreeSet<NodeName>);

impl KnownBoards {
    fn look(&mut self, snapshot: &Snapshot, policy: &Policy, holding: &mut BTreeMap<Condition, String>) {
        let Some(nodes) = snapshot.nodes.present() else { return };
        let is_board = |labels: &BTreeMap<String, String>| {
            policy
                .pools
                .values()
                .any(|pool| pool.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value)))
        };
        for node in nodes.values().filter(|node| is_board(&node.labels)) {
            // Who cordons or drains a board is at work on it.
            if node.cordoned || snapshot.controls.drained_nodes.contains_key(&node.name) {
                self.0.remove(&node.name);
                continue;
            }
            let what = match (node.ready, node.unreachable_since) {
                (true, None) => {
                    self.0.insert(node.name.clone());
                    continue;
                }
                (_, Some(since)) => format!("Unreachable since {}.", since.strftime("%Y-%m-%d %H:%M UTC")),
                (false, None) => "Kubernetes calls it not ready.".to_owned(),
            };
            holding.insert(Condition::BoardLost(node.name.clone()), what);
        }
        for name in self.0.iter().filter(|name| !nodes.contains_key(*name)) {
            holding
                .insert(Condition::BoardLost(name.clone()), "It is no longer a node of the cluster.".into());
        }
    }
}
