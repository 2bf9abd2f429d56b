//! Which deliveries never arrived, as far as GitHub's own log tells.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{backoff::age, ids::DeliveryGuid, policy::Timeouts, ports::HookDelivery};

/// An attempt younger than this part of a sweep's period may still be under way: 30 s by default.
const UNDER_WAY_PART: u32 = 10;

/// A sweep looks back this many of its periods, so that one that fails loses nothing.
const LOOK_BACK_SWEEPS: u32 = 3;
/// GitHub delivers again only what is at most three days old.
const LONGEST_OUTAGE: Duration = Duration::from_secs(3 * 24 * 3600);

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
pub struct Lost {
    /// GitHub's id of the newest attempt, which a redelivery names.
    pub attempt: i64,
    /// When the oldest attempt was made that the log was read for.
    pub since: Timestamp,
}

/// The deliveries of which no attempt was answered well and none is under way.
#[must_use]
pub fn lost_deliveries(
    attempts: &[HookDelivery],
    now: Timestamp,
    timeouts: &Timeouts,
) -> BTreeMap<DeliveryGuid, Lost> {
    let mut newest: BTreeMap<&DeliveryGuid, (&HookDelivery, Timestamp)> = BTreeMap::new();
    for attempt in attempts {
        let (known, since) = newest.entry(&attempt.guid).or_insert((attempt, attempt.delivered_at));
        *since = attempt.delivered_at.min(*since);
        if (attempt.delivered_at, attempt.id) > (known.delivered_at, known.id) {
            *known = attempt;
        }
    }
    for attempt in attempts.iter().filter(|attempt| attempt.delivered) {
        newest.remove(&attempt.guid);
    }
    let waited = |(attempt, _): &(&HookDelivery, Timestamp)| {
        age(now, attempt.delivered_at) >= timeouts.deliveries_sweep / UNDER_WAY_PART
    };
    let lost = newest.into_values().filter(waited);
    lost.map(|(attempt, since)| (attempt.guid.clone(), Lost { attempt: attempt.id, since })).collect()
}
