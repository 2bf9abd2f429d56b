//! Which scopes' registrations to poll.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    backoff::age,
    health::drained_since,
    ids::{RunnerName, WorkerName},
    observed::{Observed, Why},
    pod::PodPhase,
    policy::{NamePrefix, Policy, Timeouts},
    runner::{Group, RunnerListing},
    scope::{Scope, ScopeRef},
    snapshot::{SightingsByWorker, Snapshot},
    worker::Worker,
};

/// After it becomes leader, a replica polls every scope where registrations may have been left this long ago.
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

/// What polls of one scope's registrations showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// When it was last polled.
    pub at: Timestamp,
    /// What was seen of each live worker of the scope, and of each registration in the last listing.
    pub sightings: SightingsByWorker,
    /// Whether the last listing had a registration of ours that belongs to no live worker.
    pub left_overs: bool,
}

/// Adds a listing of a scope to what earlier polls showed.
#[must_use]
pub fn look(
    earlier: Option<&Looked>,
    scope: Scope,
    listing: &RunnerListing,
    snapshot: &Snapshot,
    prefix: &NamePrefix,
) -> Looked {
    let live =
        snapshot.workers.values().filter(|worker| worker.scope.scope() == scope).map(|worker| &worker.name);
    let ours = listing.values().filter(|runner| prefix.owns(runner.name.as_str()));
    let listed: BTreeMap<WorkerName, Group> =
        ours.filter_map(|runner| Some((WorkerName::new(runner.name.as_str()).ok()?, runner.group))).collect();
    let left_overs =
        listed.iter().any(|(name, group)| *group == Group::Ours && !snapshot.workers.contains_key(name));
    let names: BTreeSet<&WorkerName> = live.chain(listed.keys()).collect();
    let seen = |name: &WorkerName| {
        let before = earlier.and_then(|looked| looked.sightings.get(name)).cloned().unwrap_or_default();
        before.look(listing.get(&RunnerName::from(name)), snapshot.now)
    };
    let sightings = names.into_iter().map(|name| (name.clone(), seen(name))).collect();
    Looked { at: snapshot.now, sightings, left_overs }
}

/// Adds the scopes that recently had workers to those owed a poll, and drops those that a later poll showed
/// to be clean. One that GitHub does not answer for stays owed, however long that takes.
pub fn still_owed(
    owed: &mut BTreeMap<Scope, ScopeRef>,
    recent: &[ScopeRef],
    looked: &BTreeMap<Scope, Looked>,
    now: Timestamp,
    timeouts: &Timeouts,
) {
    let clean = |scope: &Scope| {
        looked
            .get(scope)
            .is_some_and(|last| !last.left_overs && age(now, last.at) <= timeouts.orphan_grace * 2)
    };
    owed.retain(|scope, _| !clean(scope));
    owed.extend(recent.iter().map(|scope| (scope.scope(), scope.clone())));
}

/// Forgets what polls showed of scopes that are no longer of interest: they have no worker, are not owed a
/// poll, and had nothing left over in the last one.
pub fn forget_quiet(
    looked: &mut BTreeMap<Scope, Looked>,
    owed: &BTreeMap<Scope, ScopeRef>,
    workers: &BTreeMap<WorkerName, Worker>,
) {
    let live: BTreeSet<Scope> = workers.values().map(|worker| worker.scope.scope()).collect();
    looked.retain(|scope, last| last.left_overs || live.contains(scope) || owed.contains_key(scope));
}

/// The scopes to list now: those with a doubtful worker, those with registrations left over, those
/// never looked at, and the rest now and then.
#[must_use]
pub fn scopes_due(
    snapshot: &Snapshot,
    owed: &BTreeMap<Scope, ScopeRef>,
    looked: &BTreeMap<Scope, Looked>,
    policy: &Policy,
) -> Vec<ScopeRef> {
    let timeouts = &policy.timeouts;
    let live = snapshot.workers.values().map(|worker| &worker.scope);
    let mut scopes: BTreeMap<Scope, &ScopeRef> =
        owed.values().chain(live).map(|scope| (scope.scope(), scope)).collect();
    scopes.retain(|scope, _| {
        let Some(last) = looked.get(scope) else { return true };
        let mut workers =
            snapshot.workers.values().filter(|worker| worker.scope.scope() == *scope).peekable();
        // One listing may be wrong: before a scope without workers is forgotten it is looked at again.
        let forsaken = workers.peek().is_none();
        let quiet = if forsaken { timeouts.orphan_grace * 2 } else { timeouts.runners_poll * QUIET_POLLS };
        last.left_overs
            || age(snapshot.now, last.at) >= quiet
            || workers.any(|worker| is_doubtful(snapshot, policy, worker))
    });
    scopes.into_values().cloned().collect()
}

/// A worker whose pod runs, but for which no job shows that its runner works.
fn is_doubtful(snapshot: &Snapshot, policy: &Policy, worker: &Worker) -> bool {
    if worker.runs_known_job() {
        return false;
    }
    match snapshot.pod(&worker.name) {
        Observed::Present(pod) => {
            // Before a drain ends a worker whose pod is still pending, its registration must have been seen.
            matches!(pod.phase, PodPhase::Running { .. } | PodPhase::Unknown)
                || drained_since(snapshot, policy, worker, Some(pod)).is_some()
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{EntityId, InstallationId, Login, RunnerId},
        runner::Runner,
        scope::Target,
    };

    #[test]
    fn only_what_is_left_over_in_our_group_calls_for_another_look() {
        let scope = Scope::Organization(EntityId::new(1).unwrap());
        let left_overs = |group| {
            let name = RunnerName::new("rr-abcdefghi").unwrap();
            let id = RunnerId::new(1).unwrap();
            let runner = Runner { id, name: name.clone(), online: true, busy: false, group };
            let snapshot = Snapshot::empty(Timestamp::UNIX_EPOCH);
            let prefix = NamePrefix::new("rr-").unwrap();
            let looked = look(None, scope, &RunnerListing::from([(name, runner)]), &snapshot, &prefix);
            assert_eq!(looked.sightings.len(), 1);
            looked.left_overs
        };
        assert!(left_overs(Group::Ours));
        assert!(!left_overs(Group::Other));
    }

    #[test]
    fn a_scope_is_forgotten_when_its_last_look_showed_it_clean_and_nobody_owes_it_another() {
        let at = Timestamp::UNIX_EPOCH;
        let scope = |n| ScopeRef {
            entity: EntityId::new(n).unwrap(),
            login: Login::new("acme").unwrap(),
            installation: InstallationId::new(n).unwrap(),
            target: Target::Organization,
        };
        let look = |left_overs| Looked { at, sightings: SightingsByWorker::default(), left_overs };
        let mut looked: BTreeMap<Scope, Looked> =
            (1..=100).map(|n| (scope(n).scope(), look(n == 7))).collect();
        let mut owed = BTreeMap::from([(scope(3).scope(), scope(3)), (scope(7).scope(), scope(7))]);
        let nobody = BTreeMap::new();
        forget_quiet(&mut looked, &owed, &nobody);
        assert!(looked.keys().copied().eq([scope(3).scope(), scope(7).scope()]), "{looked:?}");
        still_owed(&mut owed, &[], &looked, at, &Timeouts::default());
        forget_quiet(&mut looked, &owed, &nobody);
        assert!(looked.keys().copied().eq([scope(7).scope()]), "{looked:?}");
    }
}
