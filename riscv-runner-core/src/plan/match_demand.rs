//! Demand matching: for every waiting job, oldest first, the first verdict that applies.
//!
//! GitHub hands any queued job of a key to any of its idle runners, so jobs are counted against
//! workers and never paired. Workers beyond the running jobs serve the oldest waiting ones; those
//! need nothing more.

use super::{
    Action, Because, Draft, Finding, Hold, Provision, capacity::Capacity, queues::Queues, refused_images,
};
use crate::{
    backoff::Backoff,
    controls::{ControlTarget, Controls, Note},
    ids::{EntityId, ImageRef, InstallationId, JobId, PoolName},
    job::Placement,
    scope::{PoolKey, ScopeRef},
    snapshot::{Demand, PendingJob},
};

/// Plans a worker for every waiting job that has none on its way, as far as caps and boards allow.
pub fn match_demand(draft: &mut Draft<'_>) {
    let mut capacity = draft.capacity();
    let mut queues = Queues::of(draft);
    while let Some(turn) = queues.next() {
        let (key, demand) = (turn.key, turn.demand);
        let waiting = &demand.counted()[turn.next..];
        let Some(job) = waiting.first() else { break };
        let judged = if let Some(hold) = paused(draft, job) {
            let jobs = first_while(waiting, |other| other.repo == job.repo);
            draft.held.push(key, hold, jobs)
        } else if let Err(hold) = obstacle(draft, capacity.as_mut(), key, &Wish::of(job)) {
            hold_alike(draft, key, hold, waiting)
        } else {
            let because = Because::DemandExceedsSupply {
                key: key.clone(),
                demand: demand.jobs(),
                supply: draft.supply(key).workers,
            };
            provision(draft, capacity.as_ref(), key, &Wish::of(job), because);
            1
        };
        queues.advance(draft, &turn, judged);
    }
    keep_warm(draft, capacity.as_mut());
}

/// Within one plan caps and slots only shrink: what holds the first of a key's jobs holds all that want
/// the same pool and image. How many jobs were judged.
fn hold_alike(draft: &mut Draft<'_>, key: &PoolKey, hold: Hold, waiting: &[PendingJob]) -> usize {
    let Some(first) = waiting.first() else { return 0 };
    let paused_repos = &draft.snapshot.controls.paused_repos;
    let alike = |job: &PendingJob| {
        job.scope.installation == first.scope.installation
            && job.placement == first.placement
            && (paused_repos.is_empty() || !paused_repos.contains_key(&job.repo))
    };
    draft.held.push(key, hold, first_while(waiting, alike))
}

fn first_while(waiting: &[PendingJob], holds: impl Fn(&PendingJob) -> bool) -> &[PendingJob] {
    let end = waiting.iter().position(|job| !holds(job)).unwrap_or(waiting.len());
    &waiting[..end]
}

/// What a worker is to be made for.
struct Wish<'a> {
    scope: &'a ScopeRef,
    placement: &'a Placement,
    job: Option<JobId>,
}

impl<'a> Wish<'a> {
    const fn of(job: &'a PendingJob) -> Self {
        Self { scope: &job.scope, placement: &job.placement, job: Some(job.id) }
    }
}

fn paused(draft: &Draft<'_>, job: &PendingJob) -> Option<Hold> {
    let note = draft.snapshot.controls.paused_repos.get(&job.repo)?;
    Some(Hold::Paused { target: ControlTarget::Repository(job.repo.clone()), note: note.clone() })
}

/// The first thing that stands in the way of one more worker; takes its slot if nothing does.
fn obstacle(
    draft: &mut Draft<'_>,
    capacity: Option<&mut Capacity>,
    key: &PoolKey,
    wish: &Wish<'_>,
) -> Result<(), Hold> {
    let name = &wish.placement.pool;
    let entity = key.scope.entity();
    withheld(&draft.snapshot.controls, entity, name)?;
    if let Some(max) = draft.entity_cap(entity).get().filter(|max| draft.live_of(entity) >= *max) {
        // A cap of run time wins over the configuration, so where there is one, it is the one reached.
        let note = draft.snapshot.controls.entity_caps.get(&entity).map(|(_, note)| note.clone());
        return Err(Hold::EntityAtCap { current: draft.live_of(entity), max, note });
    }
    let Some(pool) = draft.policy.pools.get(name) else {
        draft.find(Finding::UnknownPool { pool: name.clone() });
        return Err(Hold::UnknownPool { pool: name.clone() });
    };
    if let Some(max) = pool.max_workers.filter(|max| draft.live_in(name) >= *max) {
        return Err(Hold::PoolAtCap { pool: name.clone(), current: draft.live_in(name), max });
    }
    if let Some((current, max)) = draft.route_caps.reached(&key.labels, name) {
        return Err(Hold::PoolAtCap { pool: name.clone(), current, max });
    }
    let Some(capacity) = capacity else { return Err(Hold::CapacityUnknown) };
    // The slot is taken last but its absence is reported before what follows.
    let Some(slot) = capacity.find(name) else { return Err(no_slot(capacity, name)) };
    forbidden(draft, key, wish)?;
    capacity.take(name, &slot);
    Ok(())
}

/// The order of an operator that forbids new workers for the account in the pool.
fn withheld(controls: &Controls, entity: EntityId, pool: &PoolName) -> Result<(), Hold> {
    let paused = |target, note: &Note| Err(Hold::Paused { target, note: note.clone() });
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

impl Provision {
    /// Heeds what operators have ordered since the plan was made: boards drained meanwhile are avoided.
    ///
    /// # Errors
    /// When such an order forbids the worker.
    pub fn heed(&mut self, controls: &Controls) -> Result<(), Hold> {
        withheld(controls, self.scope.entity, &self.pool)?;
        let drained = controls.drained_nodes.keys().filter(|node| !self.avoid.contains(node));
        let drained: Vec<_> = drained.cloned().collect();
        self.avoid.extend(drained);
        Ok(())
    }
}

fn no_slot(capacity: &Capacity, pool: &PoolName) -> Hold {
    let slots = capacity.slots(pool).cloned().unwrap_or_default();
    match slots.quarantined {
        // Where a board is merely busy, the job waits for that one too: the pool is full.
        Some((boards, until)) if slots.active == 0 => {
            Hold::BoardQuarantined { pool: pool.clone(), boards, until }
        }
        quarantined => Hold::NoCapacity {
            pool: pool.clone(),
            total: slots.total,
            active: slots.active,
            quarantined: quarantined.map_or(0, |(boards, _)| boards),
            drained: slots.drained,
            drained_boards: slots.drained_boards,
        },
    }
}

fn forbidden(draft: &mut Draft<'_>, key: &PoolKey, wish: &Wish<'_>) -> Result<(), Hold> {
    let (installation, image) = (wish.scope.installation, &wish.placement.image);
    let planned = draft.planned_for(installation);
    let Some(hold) = barred(draft, key, Some(installation), Some(image), planned) else {
        return Ok(());
    };
    if let Hold::ImageRefused { image, .. } = &hold {
        draft.find(Finding::ImageRefused { image: image.clone() });
    }
    Err(hold)
}

/// What bars workers of the key, of the image, or of the installation for which as many are `planned`, however
/// many slots are free.
pub(super) fn barred(
    draft: &Draft<'_>,
    key: &PoolKey,
    installation: Option<InstallationId>,
    image: Option<&ImageRef>,
    planned: u32,
) -> Option<Hold> {
    let snapshot = draft.snapshot;
    let now = snapshot.now;
    if let Some(backoff) = snapshot.backoffs.get(key).filter(|backoff| backoff.holds(now)) {
        return Some(Hold::BackingOff { until: backoff.until, failures: backoff.failures });
    }
    if let Some(hold) = image.and_then(|image| refused_images::hold(draft, image)) {
        return Some(hold);
    }
    let health = snapshot.installations.get(&installation?)?;
    if let Some(until) = health.rate_limited_until.filter(|until| now < *until) {
        return Some(Hold::RateLimited { until });
    }
    if let Some((_, next_at)) = health.mints_left.filter(|(left, _)| planned >= *left) {
        return Some(Hold::RateLimited { until: next_at });
    }
    if let Some(since) = health.auth_failing_since
        && health.auth_retry_at.is_some_and(|at| now < at)
    {
        return Some(Hold::AuthFailing { since });
    }
    let (until, status) = health.minting_refused.filter(|(until, _)| now < *until)?;
    Some(Hold::MintingRefused { status, until })
}

fn provision<'a>(
    draft: &mut Draft<'a>,
    capacity: Option<&Capacity>,
    key: &'a PoolKey,
    wish: &Wish<'a>,
    because: Because,
) {
    let Some(name) = draft.fresh_name() else { return };
    let entity_cap = draft.entity_cap(key.scope.entity()).get();
    let Placement { pool, image } = wish.placement;
    let pool_cap = draft.policy.pools.get(pool).and_then(|pool| pool.max_workers);
    draft.debit(key, wish.placement, wish.scope.installation);
    let seed = draft.chance();
    let on_failure = {
        let before = draft.snapshot.backoffs.get(key);
        Backoff::after_failure(before, draft.snapshot.now, seed, &draft.policy.timeouts)
    };
    let action = Action::Provision(Provision {
        name,
        scope: wish.scope.clone(),
        labels: key.labels.clone(),
        pool: pool.clone(),
        image: image.clone(),
        job: wish.job,
        entity_cap,
        pool_cap,
        warm: draft.snapshot.warm.get(key).map_or(0, |warm| warm.count),
        avoid: capacity.map(|capacity| capacity.avoid().to_vec()).unwrap_or_default(),
        on_failure,
    });
    draft.decide(action, because);
}

/// Workers beyond those that jobs have or will get, where a rule keeps some. None while a job of the key is
/// held: GitHub would hand it to them.
fn keep_warm(draft: &mut Draft<'_>, mut capacity: Option<&mut Capacity>) {
    for (key, warm) in &draft.snapshot.warm {
        let demand = draft.snapshot.demand.get(key);
        while let Some(spare) = spare(draft, key, demand)
            && spare < warm.count
        {
            let wish = Wish { scope: &warm.scope, placement: &warm.placement, job: None };
            if obstacle(draft, capacity.as_deref_mut(), key, &wish).is_err() {
                break;
            }
            let because = Because::KeptWarm { key: key.clone(), wished: warm.count };
            provision(draft, capacity.as_deref(), key, &wish, because);
        }
    }
}

/// How many workers of a key neither have a job nor are needed for one that waits; `None` while jobs wait that
/// none is on its way for.
fn spare(draft: &Draft<'_>, key: &PoolKey, demand: Option<&Demand>) -> Option<u32> {
    let workers = draft.supply(key).workers;
    let Some(demand) = demand else { return Some(workers) };
    let met = met(draft, key, demand);
    (met == demand.pending).then(|| workers.saturating_sub(taken(draft, key, demand)).saturating_sub(met))
}

/// How many of a key's workers have a job.
fn taken(draft: &Draft<'_>, key: &PoolKey, demand: &Demand) -> u32 {
    // Jobs and workers are read one after the other: a link may be newer or older than the count.
    draft.supply(key).taken.min(demand.running)
}

/// How many of a key's oldest waiting jobs are served by workers that are there or on their way.
pub(super) fn met(draft: &Draft<'_>, key: &PoolKey, demand: &Demand) -> u32 {
    draft.supply(key).workers.saturating_sub(taken(draft, key, demand)).min(demand.pending)
}
