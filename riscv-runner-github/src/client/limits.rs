//! GitHub's limits, as its answers report them: one state for each installation and each App.
//!
//! A limited installation cools down alone. Provisioning goes first: reconciliation may use half of
//! what the hour has left.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use reqwest::{StatusCode, header::HeaderMap};
use riscv_runner_core::{backoff, entity::EntityKind, ids::InstallationId};

/// GitHub asks for at least a minute after a secondary limit that names no time of its own.
const FIRST_COOL_DOWN: Duration = Duration::from_secs(60);
/// The longest wait between two tries; secondary limits last minutes.
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(15 * 60);
/// GitHub's points allow about 180 registrations a minute; the rest is for everything else.
const MINTS_PER_WINDOW: usize = 150;
/// The window that the ceiling of registrations is counted in.
const MINT_WINDOW: Duration = Duration::from_secs(60);

/// What a request is for. Provisioning must not starve because of reconciliation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// A job waits for it, or it undoes what provisioning did.
    Provision,
    /// It compares what we know with what GitHub knows.
    Reconcile,
}

/// Whose budget a request is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Payer {
    /// The App of this kind, acting as itself.
    App(EntityKind),
    /// An installation.
    Installation(InstallationId),
}

/// Why a request must not be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A limit of GitHub, or of registrations per minute, holds until then.
    Limited(Timestamp),
    /// Reconciliation has used its share of the hour, which ends then.
    BudgetSpent(Timestamp),
}

#[derive(Debug, Clone, Copy)]
struct Budget {
    remaining: u64,
    reset: Timestamp,
    reconciling: u64,
}

#[derive(Debug, Default)]
struct Standing {
    cooling_until: Option<Timestamp>,
    limited_in_a_row: u32,
    core: Option<Budget>,
    registrations_until: Option<Timestamp>,
    mints: VecDeque<Timestamp>,
}

/// The limits of all payers.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    standings: Mutex<BTreeMap<Payer, Standing>>,
}

impl Limits {
    /// Whether a request may be sent now; charges it to reconciliation if it is for that.
    pub(super) fn admit(&self, payer: Payer, priority: Priority, now: Timestamp) -> Result<(), Refusal> {
        let mut standings = self.lock();
        let standing = standings.entry(payer).or_default();
        if let Some(until) = standing.limited(now) {
            return Err(Refusal::Limited(until));
        }
        let Some(budget) = standing.core.as_mut().filter(|budget| now < budget.reset) else { return Ok(()) };
        match priority {
            Priority::Provision => Ok(()),
            Priority::Reconcile if budget.reconciling < (budget.remaining + budget.reconciling) / 2 => {
                budget.reconciling += 1;
                Ok(())
            }
            Priority::Reconcile => Err(Refusal::BudgetSpent(budget.reset)),
        }
    }

    /// Takes one of the registrations that the minute allows.
    pub(crate) fn admit_mint(&self, installation: InstallationId, now: Timestamp) -> Result<(), Refusal> {
        let mut standings = self.lock();
        let standing = standings.entry(Payer::Installation(installation)).or_default();
        if let Some(until) = standing.mint_limited(now) {
            return Err(Refusal::Limited(until));
        }
        standing.mints.push_back(now);
        Ok(())
    }

    /// A request for reconciliation cost nothing after all: GitHub answered 304, or was not reached.
    pub(super) fn refund(&self, payer: Payer, priority: Priority) {
        if priority == Priority::Reconcile
            && let Some(budget) = self.lock().entry(payer).or_default().core.as_mut()
        {
            budget.reconciling = budget.reconciling.saturating_sub(1);
        }
    }

    /// Learns from an answer; the time until which it forbids further requests, if it does.
    pub(super) fn learn(
        &self,
        payer: Payer,
        status: StatusCode,
        headers: &HeaderMap,
        message: &str,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let said = Said::read(headers);
        let mut standings = self.lock();
        let standing = standings.entry(payer).or_default();
        if let (Some(remaining), Some(reset)) = (said.remaining, said.reset) {
            standing.note(said.is_registration, remaining, reset);
        }
        if !is_limit(status, &said, message) {
            if status.is_success() {
                standing.limited_in_a_row = 0;
            }
            return None;
        }
        standing.limited_in_a_row = standing.limited_in_a_row.saturating_add(1);
        let until = said.until(now).unwrap_or_else(|| {
            backoff::add(
                now,
                backoff::doubling(FIRST_COOL_DOWN, LONGEST_COOL_DOWN, standing.limited_in_a_row),
            )
        });
        if said.is_registration {
            standing.registrations_until = standing.registrations_until.max(Some(until));
        } else {
            standing.cooling_until = standing.cooling_until.max(Some(until));
        }
        Some(until)
    }

    /// Until when an installation can register nothing because of limits.
    pub(crate) fn limited_until(&self, installation: InstallationId, now: Timestamp) -> Option<Timestamp> {
        let standings = self.lock();
        let standing = standings.get(&Payer::Installation(installation))?;
        standing.limited(now).max(standing.registrations_until.filter(|until| now < *until))
    }

    /// How many registrations the minute still allows, and when it allows one more.
    pub(crate) fn mints_left(&self, installation: InstallationId, now: Timestamp) -> (u32, Timestamp) {
        let mut standings = self.lock();
        let Some(standing) = standings.get_mut(&Payer::Installation(installation)) else {
            return (u32::try_from(MINTS_PER_WINDOW).unwrap_or(u32::MAX), backoff::add(now, MINT_WINDOW));
        };
        standing.forget_mints(now);
        let left = MINTS_PER_WINDOW.saturating_sub(standing.mints.len());
        let first = standing.mints.front().copied().unwrap_or(now);
        (u32::try_from(left).unwrap_or(u32::MAX), backoff::add(first, MINT_WINDOW))
    }

    /// The least that any payer has left of its hour.
    pub(crate) fn remaining_min(&self, now: Timestamp) -> Option<u64> {
        let standings = self.lock();
        let budgets = standings.values().filter_map(|standing| standing.core);
        budgets.filter(|budget| now < budget.reset).map(|budget| budget.remaining).min()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Payer, Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn limited(&self, now: Timestamp) -> Option<Timestamp> {
        let empty = self.core.filter(|budget| budget.remaining == 0).map(|budget| budget.reset);
        self.cooling_until.max(empty).filter(|until| now < *until)
    }

    fn forget_mints(&mut self, now: Timestamp) {
        while self.mints.front().is_some_and(|first| backoff::add(*first, MINT_WINDOW) <= now) {
            self.mints.pop_front();
        }
    }

    fn mint_limited(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.forget_mints(now);
        let full = (self.mints.len() >= MINTS_PER_WINDOW)
            .then(|| self.mints.front().map(|first| backoff::add(*first, MINT_WINDOW)))
            .flatten();
        full.max(self.registrations_until.filter(|until| now < *until))
    }

    /// Answers overtake each other, so within one hour the least that was said counts.
    fn note(&mut self, is_registration: bool, remaining: u64, reset: Timestamp) {
        if is_registration {
            if remaining == 0 {
                self.registrations_until = self.registrations_until.max(Some(reset));
            }
            return;
        }
        match &mut self.core {
            Some(budget) if reset < budget.reset => {}
            Some(budget) if reset == budget.reset => budget.remaining = budget.remaining.min(remaining),
            Some(_) | None => self.core = Some(Budget { remaining, reset, reconciling: 0 }),
        }
    }
}

/// What the headers of an answer say about limits.
struct Said {
    remaining: Option<u64>,
    reset: Option<Timestamp>,
    retry_after: Option<Duration>,
    is_registration: bool,
}

impl Said {
    fn read(headers: &HeaderMap) -> Self {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let reset = number("x-ratelimit-reset")
            .and_then(|second| i64::try_from(second).ok())
            .and_then(|second| Timestamp::from_second(second).ok());
        Self {
            remaining: number("x-ratelimit-remaining"),
            reset,
            retry_after: number("retry-after").map(Duration::from_secs),
            is_registration: headers
                .get("x-ratelimit-resource")
                .is_some_and(|resource| resource.as_bytes() == b"actions_runner_registration"),
        }
    }

    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let exhausted = self.reset.filter(|reset| self.remaining == Some(0) && now < *reset);
        self.retry_after.map(|wait| backoff::add(now, wait.max(Duration::from_secs(1)))).or(exhausted)
    }
}

/// GitHub reports limits with 429 and with 403; the latter also means that something is forbidden.
fn is_limit(status: StatusCode, said: &Said, message: &str) -> bool {
    match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN => {
            let message = message.to_ascii_lowercase();
            said.remaining == Some(0)
                || said.retry_after.is_some()
                || message.contains("rate limit")
                || message.contains("abuse detection")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYER: Payer = Payer::App(EntityKind::User);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn learn(limits: &Limits, status: u16, pairs: &[(&'static str, &str)], now: i64) -> Option<i64> {
        let status = StatusCode::from_u16(status).unwrap();
        limits.learn(PAYER, status, &headers(pairs), "", at(now)).map(Timestamp::as_second)
    }

    #[test]
    fn reconciliation_gets_half_of_what_is_left_and_provisioning_the_rest() {
        let limits = Limits::default();
        learn(&limits, 200, &[("x-ratelimit-remaining", "10"), ("x-ratelimit-reset", "3600")], 0);
        for _ in 0..5 {
            assert_eq!(limits.admit(PAYER, Priority::Reconcile, at(1)), Ok(()));
        }
        learn(&limits, 200, &[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "3600")], 1);
        let spent = Err(Refusal::BudgetSpent(at(3600)));
        assert_eq!(limits.admit(PAYER, Priority::Reconcile, at(1)), spent);
        assert_eq!(limits.admit(PAYER, Priority::Provision, at(1)), Ok(()));
        assert_eq!(limits.admit(PAYER, Priority::Reconcile, at(3600)), Ok(()), "a new hour");
    }

    #[test]
    fn what_cost_nothing_is_given_back() {
        let limits = Limits::default();
        learn(&limits, 200, &[("x-ratelimit-remaining", "2"), ("x-ratelimit-reset", "3600")], 0);
        for _ in 0..9 {
            assert_eq!(limits.admit(PAYER, Priority::Reconcile, at(1)), Ok(()));
            limits.refund(PAYER, Priority::Reconcile);
        }
    }

    #[test]
    fn an_exhausted_hour_stops_everything_until_it_ends() {
        let limits = Limits::default();
        learn(&limits, 200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "3600")], 0);
        assert_eq!(limits.admit(PAYER, Priority::Provision, at(1)), Err(Refusal::Limited(at(3600))));
        assert_eq!(limits.admit(PAYER, Priority::Provision, at(3600)), Ok(()));
        assert_eq!(limits.remaining_min(at(1)), Some(0));
        assert_eq!(limits.remaining_min(at(3600)), None);
    }

    #[test]
    fn the_named_time_counts_and_without_one_the_wait_doubles() {
        let limits = Limits::default();
        assert_eq!(learn(&limits, 403, &[("retry-after", "7")], 100), Some(107));
        let exhausted = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "900")];
        assert_eq!(learn(&limits, 403, &exhausted, 100), Some(900));
        assert_eq!(learn(&limits, 429, &[], 1000), Some(1240), "the third in a row");
        assert_eq!(learn(&limits, 200, &[], 2000), None);
        assert_eq!(learn(&limits, 429, &[], 2000), Some(2060), "a success starts anew");
        assert_eq!(learn(&limits, 403, &[], 3000), None, "forbidden is not limited");
    }

    #[test]
    fn answers_that_overtake_each_other_do_not_refill_the_hour() {
        let limits = Limits::default();
        let said = |remaining| [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", "3600")];
        learn(&limits, 200, &said("3"), 0);
        learn(&limits, 200, &said("7"), 0);
        assert_eq!(limits.remaining_min(at(1)), Some(3));
    }

    #[test]
    fn a_minute_has_so_many_registrations_and_installations_do_not_share_them() {
        let limits = Limits::default();
        let (one, two) = (InstallationId::new(1).unwrap(), InstallationId::new(2).unwrap());
        for n in 0..150 {
            assert_eq!(limits.admit_mint(one, at(n / 10)), Ok(()));
        }
        assert_eq!(limits.admit_mint(one, at(20)), Err(Refusal::Limited(at(60))));
        assert_eq!(limits.mints_left(one, at(20)), (0, at(60)));
        assert_eq!(limits.mints_left(two, at(20)), (150, at(80)));
        assert_eq!(limits.admit_mint(two, at(20)), Ok(()));
        assert_eq!(limits.admit_mint(one, at(60)), Ok(()));
    }

    #[test]
    fn registrations_have_a_limit_of_their_own() {
        let limits = Limits::default();
        let payer = InstallationId::new(1).unwrap();
        let said = headers(&[
            ("x-ratelimit-resource", "actions_runner_registration"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "600"),
        ]);
        let of = Payer::Installation(payer);
        limits.learn(of, StatusCode::CREATED, &said, "", at(0));
        assert_eq!(limits.admit(of, Priority::Provision, at(1)), Ok(()));
        assert_eq!(limits.admit_mint(payer, at(1)), Err(Refusal::Limited(at(600))));
        assert_eq!(limits.limited_until(payer, at(1)), Some(at(600)));
    }
}
