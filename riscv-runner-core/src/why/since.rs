//! Since when a reason has held: the latest time at which the evidence for it appeared. Pure, so that every
//! page and command agrees.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Reason;
use crate::{
    backoff::doubling,
    ids::PoolName,
    plan::{Hold, Holds},
    policy::Policy,
    scope::PoolKey,
    snapshot::{PendingJob, Snapshot},
    worker::Worker,
};

/// Since when jobs of a key have been held for a reason that leaves no other trace, by the reason's name.
pub type HeldSince = BTreeMap<(PoolKey, String), Timestamp>;

/// What the leader remembers after a cycle: reasons that still hold keep their time.
#[must_use]
pub fn remember_held(before: &HeldSince, held: &Holds, now: Timestamp) -> HeldSince {
    let untraced = held.groups().iter().filter(|group| leaves_no_trace(&group.hold));
    let named = untraced.map(|group| (group.key.clone(), group.hold.name().to_owned()));
    named
        .map(|named| (before.get(&named).copied().unwrap_or(now), named))
        .map(|(at, key)| (key, at))
        .collect()
}

/// Since when `job` of `key` has been waiting for `reason`: not before the job existed, and now where there
/// is no evidence of an earlier time.
#[must_use]
pub fn since(
    snapshot: &Snapshot,
    policy: &Policy,
    key: &PoolKey,
    job: &PendingJob,
    reason: &Reason,
) -> Timestamp {
    let told = reason.since().or_else(|| match reason {
        Reason::Held(hold) => held_since(snapshot, policy, key, hold),
        Reason::Provision
        | Reason::Provisioning { .. }
        | Reason::PodPending { .. }
        | Reason::RunnerBooting { .. }
        | Reason::RunnerIdleGithubNotDispatching { .. } => None,
    });
    told.unwrap_or(snapshot.now).max(job.created_at)
}

const fn leaves_no_trace(hold: &Hold) -> bool {
    matches!(
        hold,
        Hold::RateLimited { .. }
            | Hold::MintingRefused { .. }
            | Hold::CapacityUnknown
            | Hold::UnknownPool { .. }
    )
}

fn held_since(snapshot: &Snapshot, policy: &Policy, key: &PoolKey, hold: &Hold) -> Option<Timestamp> {
    match hold {
        // A cap was reached, and the last worker for the demand was there, when the newest was reserved.
        Hold::EntityAtCap { note, .. } => {
            let full = newest(snapshot, |worker| worker.scope.entity == key.scope.entity());
            full.max(note.as_ref().map(|note| note.since))
        }
        Hold::PoolAtCap { pool, .. } => newest(snapshot, |worker| worker.pool == *pool),
        Hold::DemandMet => newest(snapshot, |worker| worker.key() == *key),
        // Without anything that takes a slot the pool never had one, as far as anybody knows.
        Hold::NoCapacity { pool, .. } => Some(full_since(snapshot, policy, pool)),
        Hold::BoardQuarantined { .. } => set_aside_since(snapshot, policy, hold),
        Hold::BackingOff { .. } => snapshot.backoffs.get(key).map(|backoff| backoff.since),
        Hold::RateLimited { .. }
        | Hold::MintingRefused { .. }
        | Hold::CapacityUnknown
        | Hold::UnknownPool { .. } => {
            snapshot.held_since.get(&(key.clone(), hold.name().to_owned())).copied()
        }
        Hold::Paused { note, .. } => Some(note.since),
        Hold::AuthFailing { since } | Hold::ImageRefused { since, .. } => Some(*since),
    }
}

fn newest(snapshot: &Snapshot, counts: impl Fn(&Worker) -> bool) -> Option<Timestamp> {
    let live = snapshot.workers.values().filter(|worker| !worker.status.is_terminal());
    live.filter(|worker| counts(worker)).map(|worker| worker.created_at).max()
}

/// When the last slot of the pool's boards was taken: by a worker of the pool, or by any pod on them.
fn full_since(snapshot: &Snapshot, policy: &Policy, pool: &PoolName) -> Timestamp {
    let selector = policy.pools.get(pool).map(|pool| &pool.node_selector);
    let on_boards = |node| {
        let node = snapshot.node(node);
        node.present().zip(selector).is_some_and(|(node, selector)| node.matches(selector))
    };
    let pods = snapshot.pods.present().into_iter().flat_map(BTreeMap::values);
    let pods = pods.filter(|pod| pod.holds_slot() && pod.node.as_ref().is_some_and(on_boards));
    let pods = pods.map(|pod| pod.created_at).max();
    pods.max(newest(snapshot, |worker| worker.pool == *pool)).unwrap_or(Timestamp::MIN)
}

/// When the board was set aside that is tried again first.
fn set_aside_since(snapshot: &Snapshot, policy: &Policy, hold: &Hold) -> Option<Timestamp> {
    let timeouts = &policy.timeouts;
    let first = snapshot.quarantines.values().find(|quarantine| quarantine.until == hold.until())?;
    let wait = doubling(timeouts.quarantine, timeouts.quarantine_longest, first.times);
    first.until?.checked_sub(wait).ok()
}
