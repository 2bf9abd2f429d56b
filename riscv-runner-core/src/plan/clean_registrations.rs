//! Registrations of ours that belong to no live worker.

use super::{Action, Because, Draft, action::Registration};
use crate::{
    backoff::age,
    ids::WorkerName,
    runner::{Group, Runner},
    scope::ScopeRef,
};

/// Deletes idle registrations with our prefix, in our group or on our repositories, whose worker has ended or has no row, once they have been
/// seen for longer than the grace: another replica may just have made them.
pub fn clean_registrations(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    for scope in &snapshot.scopes {
        let listing = snapshot.runners.get(&scope.scope()).and_then(|listing| listing.present());
        for runner in listing.into_iter().flat_map(|listing| listing.values()) {
            clean(draft, scope, runner);
        }
    }
}

fn clean(draft: &mut Draft<'_>, scope: &ScopeRef, runner: &Runner) {
    let snapshot = draft.snapshot;
    if runner.busy || runner.group == Group::Other || !draft.policy.name_prefix.owns(runner.name.as_str()) {
        return;
    }
    let Ok(name) = WorkerName::new(runner.name.as_str()) else { return };
    if snapshot.workers.contains_key(&name) {
        return;
    }
    // A pod without a row may be about to be adopted: its registration is its worker's.
    if !snapshot.ended.contains_key(&name) && !snapshot.pod(&name).is_absent() {
        return;
    }
    let first_seen = snapshot.sightings.get(&name).and_then(|sightings| sightings.first_seen);
    let seen_for = first_seen.map_or(std::time::Duration::ZERO, |at| age(snapshot.now, at));
    if seen_for < draft.policy.timeouts.orphan_grace {
        return;
    }
    let registration = Registration { scope: scope.clone(), runner: runner.id };
    draft.also(Action::Deregister { worker: name, registration }, Because::NoLiveWorker);
}
