//! Registrations: what GitHub lists, looked at per scope, remembered, and brought to agree with the rows.

use std::collections::{BTreeMap, BTreeSet};

use futures::{
    future::{BoxFuture, FutureExt},
    stream::{self, StreamExt},
};

use super::{Engine, memory::Remembered, observe, schedule::audited};
use crate::{
    ids::WorkerName,
    observed::Observed,
    plan,
    policy::Policy,
    polling,
    ports::{LeaderProof, PortResult, WorkerChange},
    runner::RunnerListing,
    scope::{Scope, ScopeRef},
    snapshot::Snapshot,
};

/// How many scopes are listed at the same time.
const CONCURRENT_LISTINGS: usize = 8;

impl Engine {
    /// One cycle of looking at registrations.
    pub(super) fn runners_cycle(&self, _: LeaderProof) -> BoxFuture<'_, PortResult<()>> {
        async move {
            let policy = self.policy();
            let (mut snapshot, installations) = observe::counts(self, &policy).await?;
            let since = polling::scopes_since(snapshot.now, snapshot.watching_since, &policy.timeouts);
            let mut recent = self.parts.store.scopes_of_workers(since).await?;
            recent.iter_mut().for_each(|scope| installations.renew(scope));
            let due = {
                let mut memory = self.memory.lock();
                let Remembered { owed, looked, .. } = &mut *memory;
                owed.values_mut().for_each(|scope| installations.renew(scope));
                polling::still_owed(owed, &recent, looked, snapshot.now, &policy.timeouts);
                polling::scopes_due(&snapshot, owed, looked, &policy)
            };
            snapshot.runners = self.list(&due).await;
            snapshot.scopes = due;
            polling::doubt_implausible(&mut snapshot);
            self.remember(&mut snapshot, &policy);
            self.note_online(&mut snapshot).await;
            let secrets = observe::known("secrets", self.parts.cluster.secrets().await);
            snapshot.secrets =
                secrets.map(|all| all.into_iter().map(|one| (one.name, one.created_at)).collect());
            let names = names(&snapshot, &policy);
            observe::add_rows_of_left_overs(self, &installations, &mut snapshot, &names).await?;
            let plan = plan::reconcile(&snapshot, &policy);
            if let Some(plan) = audited(&snapshot, &policy, plan) {
                self.execute(plan).await;
            }
            Ok(())
        }
        .boxed()
    }

    async fn list(&self, scopes: &[ScopeRef]) -> BTreeMap<Scope, Observed<RunnerListing>> {
        stream::iter(scopes.to_vec())
            .map(|scope| async move {
                let answer = self.parts.forge.runners(&scope).await;
                let listing = observe::known("registrations", answer);
                let by_name =
                    |all: Vec<crate::runner::Runner>| all.into_iter().map(|r| (r.name.clone(), r)).collect();
                (scope.scope(), listing.map(by_name))
            })
            .buffer_unordered(CONCURRENT_LISTINGS)
            .collect()
            .await
    }

    /// Adds this look to what earlier ones showed. A look that failed changes nothing.
    fn remember(&self, snapshot: &mut Snapshot, policy: &Policy) {
        let mut memory = self.memory.lock();
        for (scope, listing) in &snapshot.runners {
            if let Some(listing) = listing.present() {
                let now =
                    polling::look(memory.looked.get(scope), *scope, listing, snapshot, &policy.name_prefix);
                memory.looked.insert(*scope, now);
            }
        }
        let Remembered { owed, looked, .. } = &mut *memory;
        polling::forget_quiet(looked, owed, &snapshot.workers);
        drop(memory);
        snapshot.sightings = self.memory.sightings();
    }

    /// Writes down that runners were seen online, so that a later leader knows it too.
    async fn note_online(&self, snapshot: &mut Snapshot) {
        let mut online = Vec::new();
        for worker in snapshot.workers.values().filter(|worker| worker.online_at.is_none()) {
            if let Some(runner) = snapshot.runner(worker).present().filter(|runner| runner.online) {
                online.push((worker.name.clone(), worker.status, runner.id));
            }
        }
        for (name, status, runner) in online {
            let change = WorkerChange::Online { at: snapshot.now, runner };
            self.change(&name, status, &change).await;
            if let Some(worker) = snapshot.workers.get_mut(&name) {
                worker.online_at = Some(snapshot.now);
                worker.runner = Some(runner);
            }
        }
    }
}

/// Names of ours on registrations and secrets: their rows are read after they were seen, so that what
/// was made meanwhile is not taken for a left-over.
fn names(snapshot: &Snapshot, policy: &Policy) -> BTreeSet<WorkerName> {
    let listed = snapshot.runners.values().filter_map(Observed::present).flat_map(|listing| listing.keys());
    let listed = listed.filter_map(|name| WorkerName::new(name.as_str()).ok());
    let secrets = snapshot.secrets.present().into_iter().flat_map(|secrets| secrets.keys().cloned());
    listed.chain(secrets).filter(|name| policy.name_prefix.owns(name.as_str())).collect()
}
