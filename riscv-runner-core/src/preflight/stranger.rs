//! What strangers may learn of a repository: of a private one exactly what they learn of one that does not
//! exist.

use crate::{
    observed::{Observed, Why},
    ports::RepositoryFacts,
};

/// The facts, with everything that depends on a repository that is not known to be public taken out.
pub(super) fn as_seen_by_strangers(facts: &RepositoryFacts) -> RepositoryFacts {
    if facts.repository.present().is_some_and(|state| !state.private) {
        return facts.clone();
    }
    RepositoryFacts {
        repo: facts.repo.clone(),
        apps: facts.apps.clone(),
        installations: facts.installations.clone(),
        chosen: std::collections::BTreeSet::new(),
        repository: match facts.repository {
            Observed::Unknown(why) => Observed::Unknown(why),
            Observed::Present(_) | Observed::Absent => Observed::Absent,
        },
        actions_allowed: Observed::Unknown(Why::NotLooked),
        group: Observed::Unknown(Why::NotLooked),
        refused: facts.refused,
    }
}
