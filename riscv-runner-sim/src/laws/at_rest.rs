//! Laws that hold at rest: faults have stopped, enough time has passed, and nothing is to do.

use jiff::Timestamp;
use riscv_runner_core::{
    ids::{JobId, RunnerId, WorkerName},
    job::JobPhase,
};

use super::{Law, Violation};

/// What is left when a world should have come to rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestState {
    /// Jobs that are not over on GitHub.
    pub unserved: Vec<JobId>,
    /// Jobs that are over on GitHub, and what the store holds instead.
    pub unnoticed: Vec<(JobId, Option<JobPhase>)>,
    /// Jobs that a runner began more often than GitHub asked for.
    pub served_again: Vec<(JobId, u32)>,
    /// Pods.
    pub pods: Vec<WorkerName>,
    /// Secrets.
    pub secrets: Vec<WorkerName>,
    /// Registrations.
    pub registrations: Vec<RunnerId>,
    /// Live workers.
    pub workers: Vec<WorkerName>,
}

impl RestState {
    /// Whether the world is at rest.
    #[must_use]
    pub fn is_rest(&self) -> bool {
        *self == Self::default()
    }
}

/// What of the laws at rest is broken.
#[must_use]
pub fn at_rest(state: &RestState, at: Timestamp) -> Vec<Violation> {
    let jobs = state.unserved.iter().map(|job| (Law::EveryJobServed, format!("job {job} is not over")));
    let unnoticed = state.unnoticed.iter().map(|(job, phase)| {
        let held = phase.map_or("nothing", JobPhase::as_str);
        (Law::EveryJobServed, format!("job {job} is over on GitHub, the store holds {held}"))
    });
    let again = state
        .served_again
        .iter()
        .map(|(job, times)| (Law::ServedOnce, format!("job {job} was begun {times} times")));
    let pods = state.pods.iter().map(|name| (Law::NoPodLeft, format!("pod {name} is left")));
    let secrets = state.secrets.iter().map(|name| (Law::NoSecretLeft, format!("secret {name} is left")));
    let registrations =
        state.registrations.iter().map(|id| (Law::NoRegistrationLeft, format!("runner {id} is left")));
    let workers = state.workers.iter().map(|name| (Law::NoWorkerLeft, format!("worker {name} is live")));
    jobs.chain(unnoticed)
        .chain(again)
        .chain(pods)
        .chain(secrets)
        .chain(registrations)
        .chain(workers)
        .map(|(law, detail)| Violation::new(law, at, detail))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::assigned;

    fn broken(left: &RestState) -> Vec<Law> {
        assert!(!left.is_rest());
        at_rest(left, Timestamp::UNIX_EPOCH).into_iter().map(|violation| violation.law).collect()
    }

    #[test]
    fn everything_that_is_left_breaks_its_law() {
        let rest = RestState::default;
        let names = || vec![WorkerName::new("one").unwrap()];
        let job: JobId = assigned(1);
        assert!(rest().is_rest() && at_rest(&rest(), Timestamp::UNIX_EPOCH).is_empty());
        assert_eq!(broken(&RestState { unserved: vec![job], ..rest() }), [Law::EveryJobServed]);
        let unnoticed = vec![(job, None), (job, Some(JobPhase::Running))];
        assert_eq!(broken(&RestState { unnoticed, ..rest() }), [Law::EveryJobServed; 2]);
        assert_eq!(broken(&RestState { served_again: vec![(job, 2)], ..rest() }), [Law::ServedOnce]);
        assert_eq!(broken(&RestState { pods: names(), ..rest() }), [Law::NoPodLeft]);
        assert_eq!(broken(&RestState { secrets: names(), ..rest() }), [Law::NoSecretLeft]);
        assert_eq!(broken(&RestState { workers: names(), ..rest() }), [Law::NoWorkerLeft]);
        let registrations = vec![assigned(1)];
        assert_eq!(broken(&RestState { registrations, ..rest() }), [Law::NoRegistrationLeft]);
    }
}
