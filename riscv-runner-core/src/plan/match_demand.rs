//! Demand matching: for every waiting job, oldest first, the first verdict that applies.
//!
//! GitHub hands any queued job of a key to any of its idle runners, so jobs are counted against
//! workers and never paired. Workers beyond the running jobs serve the oldest waiting ones; those
//! need nothing more.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use jiff::Timestamp;

use super::{Action, Because, Draft, Finding, Hold, Provision, capacity::Capacity};
use crate::{
    backoff::Backoff,
    controls::ControlTarget,
    ids::{EntityId, ImageRef, JobId, PoolName},
    policy::Sharing,
    scope::{PoolKey, ScopeRef},
    snapshot::{Demand, PendingJob},
};

/// Plans a worker for every waiting job that none is on its way for, as far as caps and boards allow.
pub fn match_demand(draft: &mut Draft<'_>) {
    let mut capacity = draft.capacity();
    let mut queues = Queues::of(draft);
    while let Some((key, demand, next)) = queues.oldest(draft) {
        let job = &demand.waiting[next];
        match verdict(draft, capacity.as_mut(), key, job) {
            Ok(()) => {
                let supply = draft.supply(key).workers;
                let because = Because::DemandExceedsSupply {
                    key: key.clone(),
                    demand: demand.pending.saturating_add(demand.running),
                    supply,
                };
                provision(draft, capacity.as_ref(), key, &wish_of(job), because);
                queues.advance(key, demand, next + 1);
            }
            Err(Verdict::OfJob(hold)) => {
                draft.held.push(key, hold, [job.id]);
                queues.advance(key, demand, next + 1);
            }
            Err(Verdict::OfKey(hold)) => {
                // Within one plan caps and slots only shrink: what holds the first of a key holds all
                // that want the same pool and image.
                let same = |other: &&PendingJob| {
                    other.placement == job.placement && other.scope.installation == job.scope.installation
                };
                let alike = demand.waiting[next..]
                    .iter()
                    .take_while(same)
                    .take_while(|other| !is_paused(draft, other));
                let jobs: Vec<JobId> = alike.map(|other| other.id).collect();
                let end = next + jobs.len().max(1);
                draft.held.push(key, hold, jobs);
                queues.advance(key, demand, end);
            }
        }
    }
    keep_warm(draft, capacity.as_mut());
}

enum Verdict {
    /// Speaks of this job alone.
    OfJob(Hold),
    /// Speaks of every later job of the key with the same placement too.
    OfKey(Hold),
}

struct Wish {
    scope: ScopeRef,
    pool: PoolName,
    image: ImageRef,
    job: Option<JobId>,
}

fn wish_of(job: &PendingJob) -> Wish {
    Wish {
        scope: job.scope.clone(),
        pool: job.placement.pool.clone(),
        image: job.placement.image.clone(),
        job: Some(job.id),
    }
}

fn is_paused(draft: &Draft<'_>, job: &PendingJob) -> bool {
    draft.snapshot.controls.paused_repos.contains_key(&job.repo)
}

fn verdict(
    draft: &mut Draft<'_>,
    capacity: Option<&mut Capacity>,
    key: &PoolKey,
    job: &PendingJob,
) -> Result<(), Verdict> {
    if let Some(note) = draft.snapshot.controls.paused_repos.get(&job.repo) {
        let target = ControlTarget::Repository(job.repo.clone());
        return Err(Verdict::OfJob(Hold::Paused { target, note: note.clone() }));
    }
    obstacle(draft, capacity, key, &wish_of(job)).map_err(Verdict::OfKey)
}

/// The first thing that stands in the way of one more worker; takes its slot if nothing does.
fn obstacle(
    draft: &mut Draft<'_>,
    capacity: Option<&mut Capacity>,
    key: &PoolKey,
    wish: &Wish,
) -> Result<(), Hold> {
    withheld(draft, key.scope.entity(), &wish.pool)?;
    let entity = key.scope.entity();
    if let Some(max) = draft.entity_cap(entity).get().filter(|max| draft.live_of(entity) >= *max) {
        return Err(Hold::EntityAtCap { current: draft.live_of(entity), max });
    }
    let Some(pool) = draft.policy.pools.get(&wish.pool) else {
        draft.find(Finding::UnknownPool { pool: wish.pool.clone() });
        return Err(Hold::UnknownPool { pool: wish.pool.clone() });
    };
    if let Some(max) = pool.max_workers.filter(|max| draft.live_in(&wish.pool) >= *max) {
        return Err(Hold::PoolAtCap { pool: wish.pool.clone(), current: draft.live_in(&wish.pool), max });
    }
    let Some(capacity) = capacity else { return Err(Hold::CapacityUnknown) };
    // The slot is looked for last but reported before what follows, so look without taking it.
    let mut trial = capacity.clone();
    if !trial.take(&wish.pool) {
        return Err(no_slot(capacity, &wish.pool));
    }
    forbidden(draft, key, wish)?;
    *capacity = trial;
    Ok(())
}

fn withheld(draft: &Draft<'_>, entity: EntityId, pool: &PoolName) -> Result<(), Hold> {
    let controls = &draft.snapshot.controls;
    let paused = |target, note: &crate::controls::Note| Err(Hold::Paused { target, note: note.clone() });
    if let Some(note) = &controls.everything_paused {
        return paused(ControlTarget::Everything, note);
    }
    if let Some(note) = controls.paused_entities.get(&entity) {
        return paused(ControlTarget::Entity(entity), note);
    }
    match controls.drained_pools.get(pool) {
        Some(note) => paused(ControlTarget::Pool(pool.clone()), note),
        None => Ok(()),
    }
}

fn no_slot(capacity: &Capacity, pool: &PoolName) -> Hold {
    let slots = capacity.slots(pool).cloned().unwrap_or_default();
    match slots.quarantined {
        Some((boards, until)) => Hold::BoardQuarantined { pool: pool.clone(), boards, until },
        None => Hold::NoCapacity { pool: pool.clone(), total: slots.total, active: slots.active },
    }
}

fn forbidden(draft: &mut Draft<'_>, key: &PoolKey, wish: &Wish) -> Result<(), Hold> {
    let snapshot = draft.snapshot;
    if let Some(backoff) = snapshot.backoffs.get(key).filter(|backoff| backoff.holds(snapshot.now)) {
        return Err(Hold::BackingOff { until: backoff.until, failures: backoff.failures });
    }
    if let Some(since) = snapshot.refused_images.get(&wish.image) {
        draft.find(Finding::ImageRefused { image: wish.image.clone() });
        return Err(Hold::ImageRefused { image: wish.image.clone(), since: *since });
    }
    let Some(health) = snapshot.installations.get(&wish.scope.installation) else { return Ok(()) };
    if let Some(until) = health.rate_limited_until.filter(|until| snapshot.now < *until) {
        return Err(Hold::RateLimited { until });
    }
    if let Some((left, next_at)) = health.mints_left
        && draft.planned_for(wish.scope.installation) >= left
    {
        return Err(Hold::RateLimited { until: next_at });
    }
    if let Some(since) = health.auth_failing_since
        && health.auth_retry_at.is_some_and(|at| snapshot.now < at)
    {
        return Err(Hold::AuthFailing { since });
    }
    if let Some((until, status)) = health.minting_refused.filter(|(until, _)| snapshot.now < *until) {
        return Err(Hold::MintingRefused { status, until });
    }
    Ok(())
}

fn provision(
    draft: &mut Draft<'_>,
    capacity: Option<&Capacity>,
    key: &PoolKey,
    wish: &Wish,
    because: Because,
) {
    let Some(name) = draft.fresh_name() else { return };
    let entity_cap = draft.entity_cap(key.scope.entity()).get();
    let pool_cap = draft.policy.pools.get(&wish.pool).and_then(|pool| pool.max_workers);
    draft.debit(key, &wish.pool, wish.scope.installation);
    let seed = draft.chance();
    let on_failure = Backoff::after_failure(draft.snapshot.backoffs.get(key), draft.snapshot.now, seed);
    let action = Action::Provision(Provision {
        name,
        scope: wish.scope.clone(),
        labels: key.labels.clone(),
        pool: wish.pool.clone(),
        image: wish.image.clone(),
        job: wish.job,
        entity_cap,
        pool_cap,
        warm: draft.snapshot.warm.get(key).map_or(0, |warm| warm.count),
        avoid: capacity.map(|capacity| capacity.avoid().to_vec()).unwrap_or_default(),
        on_failure,
    });
    draft.decide(action, because);
}

/// Workers beyond what jobs ask for, where a rule keeps some; held jobs come first.
fn keep_warm(draft: &mut Draft<'_>, mut capacity: Option<&mut Capacity>) {
    for (key, warm) in &draft.snapshot.warm {
        let jobs =
            draft.snapshot.demand.get(key).map_or(0, |demand| demand.pending.saturating_add(demand.running));
        while draft.supply(key).workers < jobs.saturating_add(warm.count) {
            let wish = Wish {
                scope: warm.scope.clone(),
                pool: warm.placement.pool.clone(),
                image: warm.placement.image.clone(),
                job: None,
            };
            if obstacle(draft, capacity.as_deref_mut(), key, &wish).is_err() {
                break;
            }
            let because = Because::KeptWarm { key: key.clone(), wished: warm.count };
            provision(draft, capacity.as_deref(), key, &wish, because);
        }
    }
}

/// How many of a key's oldest waiting jobs are served by workers that are there or on their way.
pub(super) fn met(draft: &Draft<'_>, key: &PoolKey, demand: &Demand) -> u32 {
    let supply = draft.supply(key);
    // Jobs and workers are read one after the other: a link may be newer or older than the count.
    let taken = supply.taken.min(demand.running);
    supply.workers.saturating_sub(taken).min(demand.pending)
}

type Place<'a> = (u32, Timestamp, JobId, &'a PoolKey, usize);

/// The keys' queues of unmet jobs, merged in the order of the sharing policy.
struct Queues<'a> {
    heap: BinaryHeap<Reverse<Place<'a>>>,
    demand: &'a BTreeMap<PoolKey, Demand>,
    fair: bool,
}

impl<'a> Queues<'a> {
    fn of(draft: &mut Draft<'a>) -> Self {
        let demand = &draft.snapshot.demand;
        let fair = draft.policy.limits.sharing == Sharing::Fair;
        let mut queues = Self { heap: BinaryHeap::with_capacity(demand.len()), demand, fair };
        for (key, wanted) in demand {
            let met = met(draft, key, wanted).saturating_sub(wanted.skipped) as usize;
            let met = met.min(wanted.waiting.len());
            draft.held.push(key, Hold::DemandMet, wanted.waiting[..met].iter().map(|job| job.id));
            let share = if fair { draft.live_of(key.scope.entity()) } else { 0 };
            queues.enter(share, key, wanted, met);
        }
        queues
    }

    fn enter(&mut self, share: u32, key: &'a PoolKey, demand: &Demand, next: usize) {
        if let Some(job) = demand.waiting.get(next) {
            self.heap.push(Reverse((share, job.created_at, job.id, key, next)));
        }
    }

    /// The next job to be judged: its key, the key's demand and its place there.
    fn oldest(&mut self, draft: &Draft<'_>) -> Option<(&'a PoolKey, &'a Demand, usize)> {
        loop {
            let Reverse((share, at, id, key, next)) = self.heap.pop()?;
            let current = if self.fair { draft.live_of(key.scope.entity()) } else { 0 };
            if share < current {
                // The account got workers since this entry was made: it goes behind those with fewer.
                self.heap.push(Reverse((current, at, id, key, next)));
                continue;
            }
            return Some((key, self.demand.get(key)?, next));
        }
    }

    fn advance(&mut self, key: &'a PoolKey, demand: &Demand, next: usize) {
        // A share that is too small is corrected when the entry is taken.
        self.enter(0, key, demand, next);
    }
}
