//! Limits of rules: how many workers may live with a rule's labels in the rule's pool.

use crate::{ids::PoolName, labels::LabelSet, policy::Policy, routing::Route, snapshot::Snapshot};

/// The rules that have a limit, with the workers that count against each, this plan's included.
#[derive(Debug, Default)]
pub(super) struct RouteCaps<'a>(Vec<Capped<'a>>);

#[derive(Debug)]
struct Capped<'a> {
    rule: &'a Route,
    max: u32,
    live: u32,
}

impl<'a> RouteCaps<'a> {
    pub(super) fn new(snapshot: &Snapshot, policy: &'a Policy) -> Self {
        let limited = policy.routes.iter().filter_map(|rule| Some((rule, rule.max_workers?)));
        let mut caps = Self(limited.map(|(rule, max)| Capped { rule, max, live: 0 }).collect());
        if !caps.0.is_empty() {
            for worker in snapshot.workers.values().filter(|worker| !worker.status.is_terminal()) {
                caps.debit(&worker.labels, &worker.pool);
            }
        }
        caps
    }

    /// Counts one more worker.
    pub(super) fn debit(&mut self, labels: &LabelSet, pool: &PoolName) {
        for capped in self.0.iter_mut().filter(|capped| counts(capped.rule, labels, pool)) {
            capped.live += 1;
        }
    }

    /// How many more workers the limits allow; `None` where none applies.
    pub(super) fn left(&self, labels: &LabelSet, pool: &PoolName) -> Option<u32> {
        let applying = self.0.iter().filter(|capped| counts(capped.rule, labels, pool));
        applying.map(|capped| capped.max.saturating_sub(capped.live)).min()
    }

    /// The first limit that one more worker would exceed: how many there are, and how many there may be.
    pub(super) fn reached(&self, labels: &LabelSet, pool: &PoolName) -> Option<(u32, u32)> {
        let full =
            self.0.iter().find(|capped| capped.live >= capped.max && counts(capped.rule, labels, pool))?;
        Some((full.live, full.max))
    }
}

fn counts(rule: &Route, labels: &LabelSet, pool: &PoolName) -> bool {
    rule.pool == *pool && rule.fits_labels(labels)
}
