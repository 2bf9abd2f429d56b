//! Hourly budgets, as GitHub counts them: per installation, and per App.

use std::collections::HashMap;

use jiff::Timestamp;

/// The length of an hour, in seconds.
const HOUR: i64 = 3600;

#[derive(Debug, Clone, Copy)]
struct Budget {
    remaining: u64,
    reset: i64,
}

/// The budgets of everybody who pays.
#[derive(Debug, Default)]
pub(super) struct Budgets(HashMap<i64, Budget>);

impl Budgets {
    pub(super) fn set(&mut self, payer: i64, remaining: u64, now: Timestamp) {
        self.0.insert(payer, Budget { remaining, reset: now.as_second() + HOUR });
    }

    /// Takes `cost` requests; what is left and when the hour ends, and whether there was any.
    pub(super) fn charge(&mut self, payer: i64, cost: u64, limit: u64, now: Timestamp) -> (u64, i64, bool) {
        let fresh = Budget { remaining: limit, reset: now.as_second() + HOUR };
        let budget = self.0.entry(payer).or_insert(fresh);
        if budget.reset <= now.as_second() {
            *budget = fresh;
        }
        let allowed = cost <= budget.remaining;
        budget.remaining = budget.remaining.saturating_sub(cost);
        (budget.remaining, budget.reset, allowed)
    }

    /// Gives one request back: a 304 costs nothing.
    pub(super) fn refund(&mut self, payer: i64) {
        if let Some(budget) = self.0.get_mut(&payer) {
            budget.remaining += 1;
        }
    }
}
