//! Which reasons have been logged already: a job that waits for an hour is one line, not one a cycle.

use std::collections::BTreeSet;

use super::Engine;
use crate::{
    plan::{Hold, HoldGroup, Holds},
    scope::PoolKey,
};

/// Reasons by key and name.
pub(super) type Told = BTreeSet<(PoolKey, &'static str)>;

impl Engine {
    /// Logs why jobs are held, once for each key and reason until it ends.
    pub(super) fn tell_held(&self, held: &Holds) {
        let mut memory = self.memory.lock();
        let (now, new) = newly_held(&memory.told, held);
        memory.told = now;
        drop(memory);
        for group in new {
            tracing::info!(
                key = %group.key,
                hold = group.hold.name(),
                because = %group.hold,
                jobs = group.jobs.len(),
                first_job = group.jobs.first().map(|job| job.get()),
                "held"
            );
        }
    }
}

/// What is held now, and the groups of it that were not before. Jobs whose worker is on its way are not
/// really held.
fn newly_held<'a>(before: &Told, held: &'a Holds) -> (Told, Vec<&'a HoldGroup>) {
    let mut now = Told::new();
    let mut new = Vec::new();
    for group in held.groups().iter().filter(|group| group.hold != Hold::DemandMet) {
        let named = (group.key.clone(), group.hold.name());
        let is_new = !before.contains(&named);
        if now.insert(named) && is_new {
            new.push(group);
        }
    }
    (now, new)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        ids::{EntityId, ImageRef, InstallationId, JobId, Login, PoolName, RepoName},
        job::Placement,
        labels::LabelSet,
        scope::{Scope, ScopeRef, Target},
        snapshot::PendingJob,
    };

    fn key(labels: &str) -> PoolKey {
        let scope = Scope::Organization(EntityId::new(7).unwrap());
        PoolKey { scope, labels: LabelSet::new([labels]).unwrap() }
    }

    fn job(id: i64) -> PendingJob {
        let pool = PoolName::new("k1").unwrap();
        PendingJob {
            id: JobId::new(id).unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            repo: RepoName::new("acme/tools").unwrap(),
            scope: ScopeRef {
                installation: InstallationId::new(70).unwrap(),
                entity: EntityId::new(7).unwrap(),
                login: Login::new("acme").unwrap(),
                target: Target::Organization,
            },
            placement: Placement { pool, image: ImageRef::new("registry.example/runner:1").unwrap() },
        }
    }

    #[test]
    fn a_reason_is_told_when_it_begins_and_again_when_it_returns() {
        let capped = |current| Hold::EntityAtCap { current, max: 1, note: None };
        let mut held = Holds::default();
        held.push(&key("a"), capped(1), &[job(1)]);
        held.push(&key("a"), Hold::DemandMet, &[job(2)]);
        held.push(&key("b"), Hold::CapacityUnknown, &[job(3)]);
        let (told, new) = newly_held(&Told::new(), &held);
        assert_eq!(new.iter().map(|group| group.hold.name()).collect::<Vec<_>>().len(), 2);
        let mut later = Holds::default();
        later.push(&key("a"), capped(2), &[job(1), job(4)]);
        let (told, new) = newly_held(&told, &later);
        assert!(new.is_empty(), "other figures are the same reason: {new:?}");
        let (_, new) = newly_held(&told, &held);
        assert_eq!(new.iter().map(|group| group.hold.name()).collect::<Vec<_>>(), ["capacity_unknown"]);
    }
}
