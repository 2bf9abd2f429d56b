//! Observing: facts from the ports into one snapshot. What is not available is unknown, never absent.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use crate::{
    entity::{Entity, EntityKind},
    ids::{InstallationId, RepoName, WorkerName},
    installation::Installations,
    observed::{Observed, Why},
    plan::heads,
    policy::Policy,
    ports::{HeadRequest, PortErrorKind, PortResult},
    routing::{self, Query},
    scope::{PoolKey, ScopeRef, Target},
    snapshot::{DemandByKey, InstallationHealth, PendingJob, Snapshot},
};

/// The result of a look, as knowledge.
pub(super) fn known<T>(what: &'static str, result: PortResult<T>) -> Observed<T> {
    match result {
        Ok(value) => Observed::Present(value),
        Err(error) => {
            tracing::warn!(what, error = error.chain(), "could not observe");
            Observed::Unknown(match error.kind() {
                PortErrorKind::RateLimited { .. } => Why::RateLimited,
                PortErrorKind::Transient
                | PortErrorKind::Conflict
                | PortErrorKind::Denied
                | PortErrorKind::NotFound
                | PortErrorKind::NotLeader
                | PortErrorKind::Bug => Why::Failed,
            })
        }
    }
}

/// Demand by key, and [`supply`]: three statements and two reads of watches.
pub(super) async fn counts(engine: &Engine, policy: &Policy) -> PortResult<(Snapshot, Installations)> {
    let (demand, supply) = futures::join!(engine.parts.store.demand(), supply(engine));
    let (mut snapshot, installations) = supply?;
    snapshot.demand = demand?;
    for front in snapshot.demand.values_mut().filter_map(|demand| demand.front.as_deref_mut()) {
        installations.renew(&mut front.scope);
        add_health(engine, &installations, &mut snapshot.installations, front.scope.installation);
    }
    let mut remembered = engine.memory.lock().warm.clone();
    for scope in remembered.values_mut() {
        installations.renew(scope);
        add_health(engine, &installations, &mut snapshot.installations, scope.installation);
    }
    snapshot.warm = routing::warm(policy, &snapshot, &remembered);
    let kept = snapshot.warm.iter().map(|(key, warm)| (key.clone(), warm.scope.clone()));
    engine.memory.lock().warm = kept.collect();
    Ok((snapshot, installations))
}

fn add_health(
    engine: &Engine,
    known: &Installations,
    healths: &mut BTreeMap<InstallationId, InstallationHealth>,
    id: InstallationId,
) {
    healths.entry(id).or_insert_with(|| health(engine, known, id));
}

/// Workers, boards and what holds beside them; and the installations that rows may not know yet.
pub(super) async fn supply(engine: &Engine) -> PortResult<(Snapshot, Installations)> {
    let parts = &engine.parts;
    // Whoever is made while others look may be missing from what they see.
    let in_flight = engine.memory.lock().in_flight.clone();
    let (workers, standing, nodes, pods) = futures::join!(
        parts.store.live_workers(),
        parts.store.standing(),
        parts.cluster.nodes(),
        parts.cluster.pods(),
    );
    let standing = standing?;
    let installations = standing.installations;
    let mut snapshot = blank(engine);
    snapshot.in_flight.extend(in_flight);
    snapshot.workers = workers?;
    snapshot.workers.values_mut().for_each(|worker| installations.renew(&mut worker.scope));
    snapshot.nodes = known("nodes", nodes);
    snapshot.pods = known("pods", pods);
    engine.memory.lock().controls.clone_from(&standing.controls);
    snapshot.controls = standing.controls;
    snapshot.backoffs = standing.backoffs;
    snapshot.quarantines = standing.quarantines;
    snapshot.refused_images = standing.refused_images;
    snapshot.deliveries_swept = standing.deliveries_swept;
    for worker in snapshot.workers.values() {
        add_health(engine, &installations, &mut snapshot.installations, worker.scope.installation);
    }
    Ok((snapshot, installations))
}

/// What stands in the way of acting for an installation; GitHub's adapter hears of its return first.
pub(super) fn health(
    engine: &Engine,
    known: &Installations,
    installation: InstallationId,
) -> InstallationHealth {
    let forge = &engine.parts.forge;
    if let Some(at) = known.returned_at(installation) {
        forge.returned(installation, at);
    }
    known.health(installation, forge.health(installation))
}

fn blank(engine: &Engine) -> Snapshot {
    let now = engine.now();
    let mut snapshot = Snapshot::empty(now);
    snapshot.seed = engine.parts.platform.seed();
    snapshot.watching_since = engine.leading.borrow().as_ref().map_or(now, |leading| leading.since);
    snapshot.sightings = engine.memory.sightings();
    {
        let memory = engine.memory.lock();
        snapshot.in_flight = memory.in_flight.clone();
        snapshot.held_since = memory.held_since.clone();
    }
    snapshot.secrets = Observed::Unknown(Why::NotLooked);
    snapshot
}

/// What the scheduler's cycle knows: the counts, and the waiting jobs that could be served. The second
/// value says whether more jobs wait than were read.
pub(super) async fn demand_and_supply(engine: &Engine, policy: &Policy) -> PortResult<(Snapshot, bool)> {
    let (mut snapshot, installations) = counts(engine, policy).await?;
    renew_fronts(policy, &mut snapshot);
    let reading = heads::heads(&snapshot, policy);
    let mut truncated = false;
    if !reading.heads.is_empty() {
        let except: Vec<RepoName> = snapshot.controls.paused_repos.keys().cloned().collect();
        let waiting = engine.parts.store.waiting(&reading.heads, &except, &reading.shares).await?;
        let asked: u32 = reading.heads.iter().map(|head| head.limit).sum();
        let read: usize = waiting.values().map(Vec::len).sum();
        truncated = read < asked as usize;
        fill(&mut snapshot.demand, &reading.heads, waiting);
    }
    complete(engine, policy, &installations, &mut snapshot);
    Ok((snapshot, truncated))
}

/// Everything that can be known, with at most so many waiting jobs of each key: every row that something
/// points to.
pub(super) async fn everything(engine: &Engine, most: u32) -> PortResult<Snapshot> {
    let policy = engine.policy();
    let (mut snapshot, installations) = counts(engine, &policy).await?;
    let heads = heads::every_head(&snapshot, most);
    if !heads.is_empty() {
        let waiting = engine.parts.store.waiting(&heads, &[], &[]).await?;
        fill(&mut snapshot.demand, &heads, waiting);
    }
    add_rows_of_left_overs(engine, &installations, &mut snapshot, &BTreeSet::new()).await?;
    complete(engine, &policy, &installations, &mut snapshot);
    Ok(snapshot)
}

fn fill(demand: &mut DemandByKey, heads: &[HeadRequest], mut waiting: BTreeMap<PoolKey, Vec<PendingJob>>) {
    for head in heads {
        if let Some(entry) = demand.get_mut(&head.key) {
            entry.skipped = head.skip;
            entry.waiting = waiting.remove(&head.key).unwrap_or_default();
        }
    }
}

/// A job that waits runs in the image that the policy in force gives its pool, not in the one of the
/// time when it was queued: that one may be what kept it waiting.
fn renew_images(policy: &Policy, demand: &mut DemandByKey) {
    for (key, demand) in demand {
        for job in &mut demand.waiting {
            renew_image(policy, key, job);
        }
    }
}

/// The first jobs' images matter before the others are read only where some image is refused.
fn renew_fronts(policy: &Policy, snapshot: &mut Snapshot) {
    if !snapshot.refused_images.is_empty() {
        for (key, demand) in &mut snapshot.demand {
            if let Some(front) = demand.front.as_deref_mut() {
                renew_image(policy, key, front);
            }
        }
    }
}

fn renew_image(policy: &Policy, key: &PoolKey, job: &mut PendingJob) {
    let ScopeRef { entity: id, login, target, .. } = &job.scope;
    let kind = match target {
        Target::Organization => EntityKind::Organization,
        Target::Repository { .. } => EntityKind::User,
    };
    let entity = Entity { id: *id, kind, login: login.clone() };
    let query = Query { labels: &key.labels, entity: &entity, repo: &job.repo };
    let placement = routing::route(policy, &query);
    if let Some(now) = placement.filter(|placement| placement.pool == job.placement.pool) {
        job.placement = now;
    }
}

fn complete(engine: &Engine, policy: &Policy, known: &Installations, snapshot: &mut Snapshot) {
    renew_images(policy, &mut snapshot.demand);
    for job in snapshot.demand.values_mut().flat_map(|demand| &mut demand.waiting) {
        known.renew(&mut job.scope);
        add_health(engine, known, &mut snapshot.installations, job.scope.installation);
    }
}

/// Adds the rows of pods that still run, and of other names, that no live worker stands for. A row
/// that is live after all was written after the live ones were read.
pub(super) async fn add_rows_of_left_overs(
    engine: &Engine,
    installations: &Installations,
    snapshot: &mut Snapshot,
    names: &BTreeSet<WorkerName>,
) -> PortResult<()> {
    let pods = snapshot.pods.present().into_iter().flatten();
    let left = pods.filter(|(_, pod)| pod.holds_slot()).map(|(name, _)| name).chain(names);
    let names: BTreeSet<_> = left.filter(|name| !snapshot.workers.contains_key(*name)).cloned().collect();
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = names.into_iter().collect();
    for (name, mut row) in engine.parts.store.workers_named(&names).await? {
        installations.renew(&mut row.scope);
        let rows = if row.status.is_terminal() { &mut snapshot.ended } else { &mut snapshot.workers };
        rows.insert(name, row);
    }
    Ok(())
}
