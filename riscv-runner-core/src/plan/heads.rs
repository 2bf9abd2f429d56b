//! Which waiting jobs a cycle needs to read: those that could be served now, and no more.

use std::collections::BTreeMap;

use super::{Draft, match_demand::met};
use crate::{
    ids::{EntityId, PoolName},
    policy::Policy,
    ports::HeadRequest,
    scope::PoolKey,
    snapshot::{Demand, Snapshot},
};

/// A key whose jobs go to several pools may have a full pool's jobs in front: this many are read, so
/// that the others are found behind them.
const MIXED_KEY_DEPTH: u32 = 256;

/// What to read, given the counts alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The jobs to read.
    pub heads: Vec<HeadRequest>,
    /// How many of each pool at most.
    pub slots: BTreeMap<PoolName, u32>,
}

/// Chooses what to read from a snapshot that holds counts but no waiting jobs: of every key with unmet
/// demand, by the age of its oldest job, as many as its account's cap and its pools' slots leave.
#[must_use]
pub fn heads(snapshot: &Snapshot, policy: &Policy) -> Reading {
    if snapshot.demand.values().all(|demand| demand.pending == 0) {
        return Reading::default();
    }
    let draft = Draft::new(snapshot, policy);
    let unmet = unmet_by_age(&draft);
    if unmet.is_empty() {
        return Reading::default();
    }
    let Some(capacity) = draft.capacity() else { return Reading::default() };
    let slots = capacity.free();
    let mut room: BTreeMap<EntityId, u32> = BTreeMap::new();
    // How many more keys of each pool can matter: every one of them has an older job than the rest.
    let mut ranks = slots.clone();
    let mut heads = Vec::new();
    for Unmet { key, demand, unmet } in unmet {
        let useful: u32 = demand.pending_by_pool.keys().filter_map(|pool| ranks.get(pool)).sum();
        if useful == 0 {
            continue;
        }
        let entity = key.scope.entity();
        let room = room.entry(entity).or_insert_with(|| match draft.entity_cap(entity).get() {
            Some(max) => max.saturating_sub(draft.live_of(entity)),
            None => u32::MAX,
        });
        let mixed = demand.pending_by_pool.len() > 1;
        let limit = if mixed { unmet.min(MIXED_KEY_DEPTH) } else { unmet.min(useful).min(*room) };
        if limit == 0 || *room == 0 {
            continue;
        }
        *room = room.saturating_sub(limit);
        for pool in demand.pending_by_pool.keys() {
            if let Some(rank) = ranks.get_mut(pool) {
                *rank = rank.saturating_sub(1);
            }
        }
        heads.push(HeadRequest { key: key.clone(), skip: demand.pending - unmet, limit });
    }
    Reading { heads, slots }
}

/// A key with jobs that no worker is on its way for.
struct Unmet<'a> {
    key: &'a PoolKey,
    demand: &'a Demand,
    unmet: u32,
}

fn unmet_by_age<'a>(draft: &Draft<'a>) -> Vec<Unmet<'a>> {
    let waiting = draft.snapshot.demand.iter().filter(|(_, demand)| demand.pending > 0);
    let unmet = |(key, demand)| Unmet { key, demand, unmet: demand.pending - met(draft, key, demand) };
    let open = |of: &Unmet<'_>| of.unmet > 0 && !is_withheld(draft.snapshot, of.key);
    let mut keys: Vec<_> = waiting.map(unmet).filter(open).collect();
    keys.sort_by_key(|of| of.demand.oldest);
    keys
}

fn is_withheld(snapshot: &Snapshot, key: &PoolKey) -> bool {
    let controls = &snapshot.controls;
    controls.everything_paused.is_some()
        || controls.paused_entities.contains_key(&key.scope.entity())
        || snapshot.backoffs.get(key).is_some_and(|backoff| backoff.holds(snapshot.now))
}

/// Everything: for a dry run and for explaining, where every job gets its verdict.
#[must_use]
pub fn every_head(snapshot: &Snapshot) -> Vec<HeadRequest> {
    let all =
        |(key, demand): (&PoolKey, &Demand)| HeadRequest { key: key.clone(), skip: 0, limit: demand.pending };
    snapshot.demand.iter().filter(|(_, demand)| demand.pending > 0).map(all).collect()
}
