//! Which deliveries never arrived, according to GitHub's own log, and which are requested again.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    backoff::{age, doubling},
    ids::DeliveryGuid,
    policy::Timeouts,
    ports::HookDelivery,
};

/// An attempt younger than this part of a sweep's period may still be under way: 30 s by default.
const UNDER_WAY_PART: u32 = 10;

/// A sweep looks back this many of its periods, so that one that fails loses nothing.
const LOOK_BACK_SWEEPS: u32 = 3;
/// GitHub delivers again only what is at most three days old.
const LONGEST_OUTAGE: Duration = Duration::from_secs(3 * 24 * 3600);

/// A delivery that we refused this often is given up. With pauses that double from half a sweep's period
/// this takes about 80 minutes by default: long enough to put a wrong secret right.
const MOST_REFUSALS: u32 = 6;

/// From where a sweep reads GitHub's log, when an earlier one has compared it up to `swept`.
#[must_use]
pub fn sweep_from(swept: Timestamp, now: Timestamp, timeouts: &Timeouts) -> Timestamp {
    let look_back = timeouts.deliveries_sweep * LOOK_BACK_SWEEPS;
    let before = |at: Timestamp, span| at.checked_sub(span).unwrap_or(Timestamp::MIN);
    before(swept, look_back).clamp(before(now, LONGEST_OUTAGE.max(look_back)), before(now, look_back))
}

/// Whether everything that GitHub sent before `at` has arrived, when its log has been compared up to
/// `swept`: what was under way then may not have been in it.
#[must_use]
pub fn all_arrived(at: Timestamp, swept: Option<Timestamp>, timeouts: &Timeouts) -> bool {
    swept.is_some_and(|swept| age(swept, at) > timeouts.deliveries_sweep / UNDER_WAY_PART)
}

/// A delivery that never arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// When the oldest attempt was made, as far back as the log was read.
    pub since: Timestamp,
    /// What to do about it now.
    pub next: Next,
}

/// What to do about a delivery that never arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Request it again, by GitHub's id of the newest attempt.
    Ask(i64),
    /// Wait: it was rejected a short time ago, and may be rejected again.
    Rest,
    /// Give it up: it would be rejected every time.
    GiveUp {
        /// The status of our last answer.
        status: u16,
    },
}

/// The deliveries of which no attempt was answered well and none is under way.
///
/// What did not reach us is asked for by every sweep. What we refuse (a body that cannot be read, an App
/// that is not ours) we would refuse for three days, so that is asked for ever more rarely, and then
/// given up. How often it was tried is read off GitHub's log, so that it survives us.
#[must_use]
pub fn missing_deliveries(
    attempts: &[HookDelivery],
    now: Timestamp,
    timeouts: &Timeouts,
) -> BTreeMap<DeliveryGuid, Missing> {
    let mut tried: BTreeMap<&DeliveryGuid, Tried<'_>> = BTreeMap::new();
    for attempt in attempts {
        tried.entry(&attempt.guid).or_insert_with(|| Tried::first(attempt)).add(attempt);
    }
    let missing = tried.into_iter().filter(|(_, tried)| !tried.arrived && !tried.under_way(now, timeouts));
    missing
        .map(|(guid, tried)| (guid.clone(), Missing { since: tried.since, next: tried.next(now, timeouts) }))
        .collect()
}

/// All attempts of one delivery.
struct Tried<'a> {
    newest: &'a HookDelivery,
    since: Timestamp,
    arrived: bool,
    refusals: u32,
    /// Whether the first attempt is among them.
    whole: bool,
}

impl<'a> Tried<'a> {
    const fn first(attempt: &'a HookDelivery) -> Self {
        Self { newest: attempt, since: attempt.delivered_at, arrived: false, refusals: 0, whole: false }
    }

    fn add(&mut self, attempt: &'a HookDelivery) {
        self.since = attempt.delivered_at.min(self.since);
        if (attempt.delivered_at, attempt.id) > (self.newest.delivered_at, self.newest.id) {
            self.newest = attempt;
        }
        self.arrived |= attempt.delivered();
        self.refusals += u32::from(is_refusal(attempt.status));
        self.whole |= !attempt.redelivery;
    }

    fn under_way(&self, now: Timestamp, timeouts: &Timeouts) -> bool {
        age(now, self.newest.delivered_at) < timeouts.deliveries_sweep / UNDER_WAY_PART
    }

    fn next(&self, now: Timestamp, timeouts: &Timeouts) -> Next {
        let HookDelivery { id, status, delivered_at, .. } = *self.newest;
        if !is_refusal(status) {
            return Next::Ask(id);
        }
        // The window moves on only past what has been given up: where the first attempt is out of it,
        // that was so, or somebody asked by hand for what is older.
        if !self.whole || self.refusals >= MOST_REFUSALS {
            return Next::GiveUp { status };
        }
        let pause = doubling(timeouts.deliveries_sweep / 2, LONGEST_OUTAGE, self.refusals);
        if age(now, delivered_at) < pause { Next::Rest } else { Next::Ask(id) }
    }
}

/// Whether the same request would be answered the same again: not what came too slowly or too often.
const fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 429)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + minutes * 60).unwrap()
    }

    fn attempt(id: i64, minutes: i64, status: u16) -> HookDelivery {
        HookDelivery {
            id,
            guid: DeliveryGuid::new("one").unwrap(),
            delivered_at: at(minutes),
            status,
            redelivery: id > 1,
            event: "workflow_job".to_owned(),
        }
    }

    fn next(attempts: &[HookDelivery], minutes: i64) -> Option<Next> {
        let missing = missing_deliveries(attempts, at(minutes), &Timeouts::default());
        missing.values().next().map(|missing| missing.next)
    }

    #[test]
    fn what_nobody_answered_is_asked_for_by_every_sweep() {
        for status in [0, 408, 429, 500, 502, 503, 504] {
            let tried: Vec<_> = (0..50).map(|n| attempt(n + 1, n * 5, status)).collect();
            assert_eq!(next(&tried, 250), Some(Next::Ask(50)), "{status}");
        }
    }

    #[test]
    fn what_arrived_once_or_is_under_way_is_not_missing() {
        assert_eq!(next(&[attempt(1, 0, 502), attempt(2, 5, 200), attempt(3, 6, 400)], 60), None);
        assert_eq!(next(&[attempt(1, 0, 502), attempt(2, 60, 502)], 60), None);
    }

    #[test]
    fn what_we_refuse_is_asked_for_ever_more_rarely_and_then_given_up() {
        let mut attempts = vec![attempt(1, 0, 400)];
        let mut asked = Vec::new();
        for minutes in (5..3 * 24 * 60).step_by(5) {
            match next(&attempts, minutes).unwrap() {
                Next::Ask(newest) => {
                    asked.push(minutes);
                    attempts.push(attempt(newest + 1, minutes, 400));
                }
                Next::Rest => {}
                Next::GiveUp { status } => {
                    assert_eq!((status, attempts.len()), (400, 6));
                }
            }
        }
        assert_eq!(asked, [5, 10, 20, 40, 80]);
    }

    #[test]
    fn a_refusal_between_outages_does_not_count_for_good() {
        let attempts = [attempt(1, 0, 401), attempt(2, 5, 502)];
        assert_eq!(next(&attempts, 10), Some(Next::Ask(2)));
    }

    #[test]
    fn what_was_given_up_before_is_not_begun_anew_when_its_first_attempt_is_out_of_sight() {
        assert_eq!(next(&[attempt(6, 80, 422)], 90), Some(Next::GiveUp { status: 422 }));
        assert_eq!(next(&[attempt(6, 80, 502)], 90), Some(Next::Ask(6)));
    }

    #[test]
    fn a_sweep_reads_back_to_what_is_missing_and_three_days_at_most() {
        let timeouts = Timeouts::default();
        let from = |swept| sweep_from(at(swept), at(6000), &timeouts);
        assert_eq!(from(6000), at(6000 - 15));
        assert_eq!(from(5000), at(5000 - 15));
        assert_eq!(from(0), at(6000 - 3 * 24 * 60));
    }
}
