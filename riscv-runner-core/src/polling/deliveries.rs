//! Which deliveries never arrived, as far as GitHub's own log tells.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{backoff::age, ids::DeliveryGuid, ports::HookDelivery};

/// An attempt younger than this may still be under way.
const UNDER_WAY: Duration = Duration::from_secs(30);

/// The deliveries of which no attempt was answered well and none is under way, each with its newest
/// attempt, which a redelivery names.
#[must_use]
pub fn lost_deliveries(attempts: &[HookDelivery], now: Timestamp) -> BTreeMap<DeliveryGuid, i64> {
    let mut newest: BTreeMap<&DeliveryGuid, &HookDelivery> = BTreeMap::new();
    for attempt in attempts {
        let known = newest.entry(&attempt.guid).or_insert(attempt);
        if (attempt.delivered_at, attempt.id) > (known.delivered_at, known.id) {
            *known = attempt;
        }
    }
    for attempt in attempts.iter().filter(|attempt| attempt.delivered) {
        newest.remove(&attempt.guid);
    }
    let waited = |attempt: &&HookDelivery| age(now, attempt.delivered_at) >= UNDER_WAY;
    newest.into_values().filter(waited).map(|attempt| (attempt.guid.clone(), attempt.id)).collect()
}
