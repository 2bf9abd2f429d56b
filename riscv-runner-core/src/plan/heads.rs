//! Which waiting jobs a cycle needs to read: those that could be served now, and no more.
//!
//! What the first job of a key is held back by is known from the counts. A key that waits for something
//! else than a slot is left out, so that it takes no place from the others.

use std::collections::BTreeMap;

use super::{
    Draft,
    capacity::Capacity,
    deal_slots::deal_slots,
    match_demand::{barred, met},
};
use crate::{
    ids::{EntityId, InstallationId, PoolName},
    policy::{Policy, Sharing},
    ports::{HeadRequest, PoolShare},
    scope::{PoolKey, Scope},
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
    /// How many of each pool at most; under fair sharing, of each account in each pool.
    pub shares: Vec<PoolShare>,
}

/// Chooses what to read from a snapshot that holds counts but no waiting jobs: of every key with unmet
/// demand, by the age of its oldest job, as many as caps, GitHub's limits and the pools' slots leave.
/// Under fair sharing the slots are dealt out to the accounts first.
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
    let slots = open_slots(&draft, &capacity);
    if slots.values().all(|free| *free == 0) {
        return Reading::default();
    }
    let shares = match policy.limits.sharing {
        Sharing::Fifo => slots.into_iter().map(|(pool, slots)| ((None, pool), slots)).collect(),
        Sharing::Fair => deal_slots(&draft, &unmet, slots),
    };
    let heads = ask(&draft, unmet, shares.clone());
    let share = |((entity, pool), rows)| PoolShare { pool, entity, rows };
    Reading { heads, shares: shares.into_iter().map(share).collect() }
}

/// A key with jobs that no worker is on its way for.
pub(super) struct Unmet<'a> {
    key: &'a PoolKey,
    pub(super) demand: &'a Demand,
    pub(super) unmet: u32,
}

impl Unmet<'_> {
    pub(super) const fn entity(&self) -> EntityId {
        self.key.scope.entity()
    }

    pub(super) fn pools(&self) -> impl Iterator<Item = &PoolName> {
        self.demand.pending_by_pool.keys()
    }

    /// How many more of its workers the limits of rules allow in the pool.
    pub(super) fn within_rules(&self, draft: &Draft<'_>, pool: &PoolName) -> u32 {
        draft.route_caps.left(&self.key.labels, pool).unwrap_or(u32::MAX)
    }

    fn is_mixed(&self) -> bool {
        self.demand.pending_by_pool.len() > 1
    }

    /// Whether the first job is of a paused repository. Others of the key may not be, so it is read, but
    /// takes no place from others.
    pub(super) fn may_be_paused(&self, snapshot: &Snapshot) -> bool {
        let paused = &snapshot.controls.paused_repos;
        self.demand.front.as_ref().is_some_and(|front| paused.contains_key(&front.repo))
    }
}

/// Slots, by who may fill them.
pub(super) type Shares = BTreeMap<(Option<EntityId>, PoolName), u32>;

fn unmet_by_age<'a>(draft: &Draft<'a>) -> Vec<Unmet<'a>> {
    let waiting = draft.snapshot.demand.iter().filter(|(_, demand)| demand.pending > 0);
    let unmet = |(key, demand)| Unmet { key, demand, unmet: demand.pending - met(draft, key, demand) };
    let open = |of: &Unmet<'_>| of.unmet > 0 && !is_withheld(draft, of);
    let mut keys: Vec<_> = waiting.map(unmet).filter(open).collect();
    keys.sort_by_key(|of| of.demand.oldest);
    keys
}

/// Whether something holds back all jobs of the key.
fn is_withheld(draft: &Draft<'_>, of: &Unmet<'_>) -> bool {
    let snapshot = draft.snapshot;
    let controls = &snapshot.controls;
    if controls.everything_paused.is_some() || controls.paused_entities.contains_key(&of.entity()) {
        return true;
    }
    if matches!(of.key.scope, Scope::Repository { .. }) && of.may_be_paused(snapshot) {
        return true;
    }
    let front = of.demand.front.as_ref();
    // Jobs of other pools may run in another image.
    let image = front.map(|front| &front.placement.image).filter(|_| !of.is_mixed());
    barred(draft, of.key, front.map(|front| front.scope.installation), image, 0).is_some()
}

/// The free slots that a new worker may have.
fn open_slots(draft: &Draft<'_>, capacity: &Capacity) -> BTreeMap<PoolName, u32> {
    let open = |(pool, free): (PoolName, u32)| {
        let most = match draft.policy.pools.get(&pool).and_then(|pool| pool.max_workers) {
            _ if draft.snapshot.controls.drained_pools.contains_key(&pool) => 0,
            Some(max) => max.saturating_sub(draft.live_in(&pool)),
            None => u32::MAX,
        };
        (pool, free.min(most))
    };
    capacity.free().into_iter().map(open).collect()
}

/// How many more workers accounts and installations may have.
pub(super) struct Room<'d, 'a> {
    draft: &'d Draft<'a>,
    entities: BTreeMap<EntityId, u32>,
    installations: BTreeMap<InstallationId, u32>,
}

impl<'d, 'a> Room<'d, 'a> {
    pub(super) const fn new(draft: &'d Draft<'a>) -> Self {
        Self { draft, entities: BTreeMap::new(), installations: BTreeMap::new() }
    }

    /// What is left for the key's account, and for the installation of its first job.
    pub(super) fn of(&mut self, of: &Unmet<'_>) -> u32 {
        let draft = self.draft;
        let entity = of.entity();
        let of_entity =
            *self.entities.entry(entity).or_insert_with(|| match draft.entity_cap(entity).get() {
                Some(max) => max.saturating_sub(draft.live_of(entity)),
                None => u32::MAX,
            });
        let Some(front) = &of.demand.front else { return of_entity };
        let installation = front.scope.installation;
        let mints = *self.installations.entry(installation).or_insert_with(|| {
            let health = draft.snapshot.installations.get(&installation);
            health.and_then(|health| health.mints_left).map_or(u32::MAX, |(left, _)| left)
        });
        of_entity.min(mints)
    }

    fn take(&mut self, of: &Unmet<'_>, taken: u32) {
        if let Some(left) = self.entities.get_mut(&of.entity()) {
            *left = left.saturating_sub(taken);
        }
        let installation = of.demand.front.as_ref().map(|front| front.scope.installation);
        if let Some(left) = installation.and_then(|id| self.installations.get_mut(&id)) {
            *left = left.saturating_sub(taken);
        }
    }
}

/// Of every key as many jobs as can matter: each key before it has an older job for the same slots.
fn ask(draft: &Draft<'_>, unmet: Vec<Unmet<'_>>, mut ranks: Shares) -> Vec<HeadRequest> {
    let fair = draft.policy.limits.sharing == Sharing::Fair;
    let mut room = Room::new(draft);
    let mut heads = Vec::new();
    for of in unmet {
        let group = fair.then(|| of.entity());
        let useful: u32 = of
            .pools()
            .filter_map(|pool| Some((*ranks.get(&(group, pool.clone()))?).min(of.within_rules(draft, pool))))
            .fold(0, u32::saturating_add);
        let left = room.of(&of);
        let limit =
            if of.is_mixed() { of.unmet.min(MIXED_KEY_DEPTH) } else { of.unmet.min(useful).min(left) };
        if limit == 0 || useful == 0 || left == 0 {
            continue;
        }
        if !of.may_be_paused(draft.snapshot) {
            room.take(&of, limit);
            for pool in of.pools() {
                if let Some(rank) = ranks.get_mut(&(group, pool.clone())) {
                    *rank = rank.saturating_sub(1);
                }
            }
        }
        heads.push(HeadRequest { key: of.key.clone(), skip: of.demand.pending - of.unmet, limit });
    }
    heads
}

/// The first jobs of every key whatever is held, at most so many of each: all of them for a dry run and for
/// explaining, where every job gets its verdict.
#[must_use]
pub fn every_head(snapshot: &Snapshot, most: u32) -> Vec<HeadRequest> {
    let first = |(key, demand): (&PoolKey, &Demand)| HeadRequest {
        key: key.clone(),
        skip: 0,
        limit: demand.pending.min(most),
    };
    snapshot.demand.iter().filter(|(_, demand)| demand.pending > 0).map(first).collect()
}
