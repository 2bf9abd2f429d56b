//! What became of a world, for people and for comparison.

use std::{collections::BTreeMap, time::Duration};

use riscv_runner_core::{backoff::age, failure::FailureReason, job::JobPhase};
use serde::Serialize;

use super::World;
use crate::{
    faults::FaultKind,
    github::GithubState,
    laws::{RestState, Violation},
    store::failures_by_reason,
};

/// What became of a world.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Its seed.
    pub seed: u64,
    /// Jobs that arrived.
    pub jobs: usize,
    /// Jobs that are over on GitHub, by conclusion.
    pub conclusions: BTreeMap<String, usize>,
    /// How long half of the jobs waited at most for their runner.
    pub wait_p50: Duration,
    /// How long 95 % of the jobs waited at most.
    pub wait_p95: Duration,
    /// Workers that were made.
    pub workers: usize,
    /// Workers that failed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Requests that GitHub counted.
    pub github_requests: u64,
    /// How many of them asked for a registration.
    pub registrations: u64,
    /// Processes that were started.
    pub processes: u64,
    /// How many times a task was polled.
    pub steps: u64,
    /// How long the world has existed, in virtual time.
    pub lasted: Duration,
    /// The hash of the trace.
    pub trace_hash: u64,
    /// Broken laws.
    pub violations: Vec<Violation>,
}

impl World {
    /// What has become of the world so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let workers = self.store.all_workers();
        let failures = failures_by_reason(&workers);
        let named = |(reason, n): (FailureReason, u64)| (reason.as_str().to_owned(), n);
        self.truth.with(|truth| {
            let mut waits = Vec::new();
            let mut conclusions = BTreeMap::new();
            for job in truth.github.jobs.values() {
                let start = match &job.state {
                    GithubState::Queued => None,
                    GithubState::InProgress { start, .. } => Some(start),
                    GithubState::Completed { end, start } => {
                        let conclusion = end.conclusion.clone().unwrap_or_default();
                        *conclusions.entry(conclusion).or_default() += 1;
                        start.as_ref()
                    }
                };
                waits.extend(start.map(|start| age(start.at, job.created_at)));
            }
            waits.sort_unstable();
            Summary {
                seed: self.config.seed,
                jobs: truth.github.jobs.len(),
                conclusions,
                wait_p50: percentile(&waits, 50),
                wait_p95: percentile(&waits, 95),
                workers: workers.len(),
                failures: failures.into_iter().map(named).collect(),
                faults: self.faults.counts(),
                github_requests: truth.github.limits.requests,
                registrations: truth.github.limits.mints,
                processes: self.processes,
                steps: self.steps,
                lasted: self.clock.elapsed(),
                trace_hash: truth.trace.hash(),
                violations: truth.violations.clone(),
            }
        })
    }

    /// How long it took to notice the end of each job of which the news was lost; those that nobody has
    /// noticed so far are left out.
    #[must_use]
    pub fn unheard_ends(&self) -> Vec<Duration> {
        let lost = self.truth.with(|truth| truth.github.lost_ends.clone());
        let rows = self.store.all_jobs().into_iter().filter(|row| lost.contains(&row.job.facts.id));
        rows.filter(|row| row.job.state.phase == JobPhase::Completed)
            .filter_map(|row| Some(age(row.updated_at, row.job.state.end.as_ref()?.at)))
            .collect()
    }

    /// What is left to do or to clean up.
    #[must_use]
    pub fn rest_state(&self) -> RestState {
        let jobs = self.store.all_jobs();
        let held: BTreeMap<_, _> = jobs.iter().map(|row| (row.job.facts.id, row.job.state.phase)).collect();
        let live = self.store.all_workers().into_iter().map(|row| row.worker);
        let workers = live.filter(|worker| !worker.status.is_terminal()).map(|worker| worker.name).collect();
        self.truth.with(|truth| {
            let mut rest = RestState { workers, ..RestState::default() };
            for job in truth.github.jobs.values() {
                let phase = held.get(&job.id).copied();
                if !matches!(job.state, GithubState::Completed { .. }) {
                    rest.unserved.push(job.id);
                } else if phase != Some(JobPhase::Completed) {
                    rest.unnoticed.push((job.id, phase));
                }
                if job.starts > 1 + job.put_back {
                    rest.served_again.push((job.id, job.starts));
                }
            }
            rest.pods = truth.boards.pods.keys().cloned().collect();
            rest.secrets = truth.boards.secrets.keys().cloned().collect();
            rest.registrations = truth.github.runners.keys().copied().collect();
            rest
        })
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let waits: Vec<_> = (1..=20).map(Duration::from_secs).collect();
        assert_eq!(percentile(&waits, 50), Duration::from_secs(10));
        assert_eq!(percentile(&waits, 95), Duration::from_secs(19));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
