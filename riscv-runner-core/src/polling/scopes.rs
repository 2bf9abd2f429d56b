//! Which scopes' registrations are worth a look.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    backoff::age,
    ids::{RunnerName, WorkerName},
    observed::{Observed, Why},
    pod::PodPhase,
    policy::Timeouts,
    scope::{Scope, ScopeRef},
    snapshot::Snapshot,
    worker::Worker,
};

/// After it becomes leader, a replica looks wherever registrations may have been left this long ago.
const LOOK_BACK: Duration = Duration::from_secs(24 * 3600);
/// A scope in which nothing is doubtful is looked at this many polls apart.
const QUIET_POLLS: u32 = 20;

/// Since when workers' scopes are of interest: far back at first, then as far as a clean-up takes.
#[must_use]
pub fn scopes_since(now: Timestamp, watching_since: Timestamp, timeouts: &Timeouts) -> Timestamp {
    let recent = timeouts.orphan_grace * 4 + timeouts.runners_poll * (QUIET_POLLS + 1);
    let settled = age(now, watching_since) > recent;
    let span = if settled { recent } else { LOOK_BACK.max(recent) };
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}

/// The scopes to list now: those with a doubtful worker, those whose workers ended lately, and the rest
/// now and then.
#[must_use]
pub fn scopes_due(
    snapshot: &Snapshot,
    recent: &[ScopeRef],
    listed: &BTreeMap<Scope, Timestamp>,
    timeouts: &Timeouts,
) -> Vec<ScopeRef> {
    let live = snapshot.workers.values().map(|worker| &worker.scope);
    let mut scopes: BTreeMap<Scope, &ScopeRef> =
        recent.iter().chain(live).map(|scope| (scope.scope(), scope)).collect();
    scopes.retain(|scope, _| {
        let since = listed.get(scope).map_or(Duration::MAX, |at| age(snapshot.now, *at));
        let mut workers =
            snapshot.workers.values().filter(|worker| worker.scope.scope() == *scope).peekable();
        let ended_only = workers.peek().is_none();
        let doubtful = workers.any(|worker| is_doubtful(snapshot, worker));
        let left_over = snapshot.sightings.iter().any(|(name, seen)| {
            !snapshot.workers.contains_key(name) && seen.absent_since.is_none() && seen.first_seen.is_some()
        });
        since >= timeouts.runners_poll * QUIET_POLLS
            || doubtful
            || (ended_only && left_over)
            || since == Duration::MAX
    });
    scopes.into_values().cloned().collect()
}

/// A worker whose pod runs, but of which no job tells that its runner works.
fn is_doubtful(snapshot: &Snapshot, worker: &Worker) -> bool {
    if worker.runs_known_job() {
        return false;
    }
    match snapshot.pod(&worker.name) {
        Observed::Present(pod) => matches!(pod.phase, PodPhase::Running { .. } | PodPhase::Unknown),
        Observed::Absent => worker.runner.is_some(),
        Observed::Unknown(_) => false,
    }
}

/// An empty listing of a scope in which runners were online is not believed.
pub fn doubt_implausible(snapshot: &mut Snapshot) {
    for (scope, listing) in &mut snapshot.runners {
        let empty = listing.present().is_some_and(BTreeMap::is_empty);
        let expected = snapshot.workers.values().any(|worker| {
            worker.scope.scope() == *scope && worker.online_at.is_some() && worker.is_supply() && {
                let pod = snapshot.pods.and_find(|pods| pods.get(&worker.name));
                pod.present().is_some_and(|pod| matches!(pod.phase, PodPhase::Running { .. }))
            }
        });
        if empty && expected {
            *listing = Observed::Unknown(Why::Implausible);
        }
    }
}

/// Whether any listing of the snapshot shows a registration of this name.
#[must_use]
pub fn is_listed(snapshot: &Snapshot, name: &WorkerName) -> bool {
    let name = RunnerName::from(name);
    snapshot.runners.values().filter_map(Observed::present).any(|listing| listing.contains_key(&name))
}

/// Whether what was remembered of this name is of no more use: no live worker, and no registration in
/// any listing.
#[must_use]
pub fn is_over(snapshot: &Snapshot, name: &WorkerName) -> bool {
    !snapshot.workers.contains_key(name) && !snapshot.runners.is_empty() && !is_listed(snapshot, name)
}
