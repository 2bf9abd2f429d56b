//! The `Forge` port on the simulated GitHub, as one process sees it: every answer takes time, and what
//! an answer showed about an installation is remembered by the process alone.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    backoff::{add, doubling},
    entity::EntityKind,
    ids::{InstallationId, JobId, RunnerId, RunnerName},
    ports::{
        ActiveRun, Deletion, Forge, HookDelivery, JobDetails, JobRef, JobReport, JobSighting, LeaderProof,
        MintError, MintRequest, Minted, PortError, PortErrorKind, PortResult, RepoRef, ReportedState, RunRef,
    },
    runner::Runner,
    scope::ScopeRef,
    snapshot::InstallationHealth,
};
use secrecy::SecretString;

use super::{GithubState, Standing, limits::pages};
use crate::{
    chance::Stream,
    clock::{SimClock, lock},
    truth::{SharedTruth, Truth},
};

/// The first wait after a refused authentication, and the longest.
const AUTH_RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));

/// GitHub as one process sees it.
pub struct SimForge {
    truth: SharedTruth,
    clock: SimClock,
    latency: (Duration, Duration),
    luck: Mutex<Stream>,
    health: Mutex<BTreeMap<InstallationId, Remembered>>,
}

#[derive(Debug, Default)]
struct Remembered {
    shown: InstallationHealth,
    auth_failures: u32,
    refused_at: Option<Timestamp>,
}

/// Why GitHub did not act for an installation.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Gone,
    Suspended,
    Limited(Timestamp),
}

impl SimForge {
    pub(crate) const fn new(
        truth: SharedTruth,
        clock: SimClock,
        latency: (Duration, Duration),
        luck: Stream,
    ) -> Self {
        Self { truth, clock, latency, luck: Mutex::new(luck), health: Mutex::new(BTreeMap::new()) }
    }

    async fn transit(&self) {
        let wait = lock(&self.luck).between(self.latency.0, self.latency.1) / 2;
        self.clock.sleep(wait).await;
    }

    /// One request for an installation: there, an effect in no time, and back.
    async fn ask<R>(
        &self,
        installation: InstallationId,
        act: impl FnOnce(&mut Truth) -> R + Send,
    ) -> Result<R, Refusal>
    where
        R: Send,
    {
        self.transit().await;
        let result = self.truth.with(|truth| {
            let now = truth.now();
            check(truth, installation)?;
            truth.github.limits.request(installation, now).map_err(Refusal::Limited)?;
            Ok(act(truth))
        });
        self.transit().await;
        self.remember(installation, result.as_ref().err());
        result
    }

    fn remember(&self, installation: InstallationId, refusal: Option<&Refusal>) {
        let now = self.clock.now();
        let mut health = lock(&self.health);
        let known = health.entry(installation).or_default();
        match refusal {
            None => *known = Remembered::default(),
            Some(Refusal::Limited(until)) => known.shown.rate_limited_until = Some(*until),
            Some(refusal @ (Refusal::Gone | Refusal::Suspended)) => {
                if let Refusal::Gone = refusal {
                    known.shown.gone_since.get_or_insert(now);
                }
                known.auth_failures = known.auth_failures.saturating_add(1);
                known.refused_at = Some(now);
                known.shown.auth_failing_since.get_or_insert(now);
                let wait = doubling(AUTH_RETRY.0, AUTH_RETRY.1, known.auth_failures);
                known.shown.auth_retry_at = Some(add(now, wait));
            }
        }
    }
}

fn check(truth: &Truth, installation: InstallationId) -> Result<(), Refusal> {
    match truth.account_of(installation).map(|account| account.standing) {
        Some(Standing::Active) => Ok(()),
        Some(Standing::Suspended) => Err(Refusal::Suspended),
        Some(Standing::Gone) | None => Err(Refusal::Gone),
    }
}

fn error(operation: &'static str, refusal: Refusal) -> PortError {
    let (kind, detail) = match refusal {
        Refusal::Gone => (PortErrorKind::Denied, "the installation is gone"),
        Refusal::Suspended => (PortErrorKind::Denied, "the installation is suspended"),
        Refusal::Limited(until) => {
            (PortErrorKind::RateLimited { until }, "the installation's budget is used up")
        }
    };
    PortError::new(kind, operation, detail)
}

fn missing(operation: &'static str, what: impl std::fmt::Display) -> PortError {
    PortError::new(PortErrorKind::NotFound, operation, format!("GitHub does not know {what}"))
}

fn report(truth: &Truth, id: JobId) -> Option<JobReport> {
    let job = truth.github.jobs.get(&id)?;
    let state = match &job.state {
        GithubState::Queued => ReportedState::Queued,
        GithubState::InProgress { start, .. } => ReportedState::InProgress(start.clone()),
        GithubState::Completed { end, start } => {
            ReportedState::Completed { end: end.clone(), start: start.clone() }
        }
    };
    let facts = truth.facts_of(id)?;
    let details = JobDetails {
        labels: facts.labels.originals(),
        name: facts.name,
        html_url: facts.html_url,
        created_at: facts.created_at,
    };
    Some(JobReport { job: id, run: job.run, state, details })
}

#[async_trait]
impl Forge for SimForge {
    async fn mint(&self, proof: &LeaderProof, request: &MintRequest) -> Result<Minted, MintError> {
        proof.guard(self.clock.now(), "register a runner").map_err(|_| MintError::NotLeader)?;
        self.transit().await;
        let installation = request.scope.installation;
        let made = self.truth.with(|truth| {
            let now = truth.now();
            check(truth, installation)?;
            truth.github.limits.mint(installation, now).map_err(Refusal::Limited)?;
            let name = RunnerName::from(&request.name);
            Ok(truth.register(request.scope.scope(), name, request.labels.clone()))
        });
        self.transit().await;
        self.remember(installation, made.as_ref().err());
        match made {
            Ok(Some(runner)) => {
                Ok(Minted { runner, jit: SecretString::from(format!("{JIT_PREFIX}{runner}")) })
            }
            Ok(None) => Err(MintError::NameTaken),
            Err(Refusal::Gone) => Err(MintError::InstallationGone),
            Err(Refusal::Limited(until)) => Err(MintError::RateLimited { until }),
            Err(refusal @ Refusal::Suspended) => {
                Err(MintError::AuthFailed(error("ask for a token", refusal)))
            }
        }
    }

    async fn runners(&self, scope: &ScopeRef) -> PortResult<Vec<Runner>> {
        let list = |truth: &mut Truth| {
            let listed = truth.listing(scope.scope());
            truth.github.limits.further(scope.installation, pages(listed.len()) - 1);
            listed
        };
        let listed = self.ask(scope.installation, list).await;
        listed.map_err(|refusal| error("list runners", refusal))
    }

    async fn delete_runner(
        &self,
        proof: &LeaderProof,
        scope: &ScopeRef,
        runner: RunnerId,
    ) -> PortResult<Deletion> {
        proof.guard(self.clock.now(), "delete a runner")?;
        let deleted = self.ask(scope.installation, |truth| truth.deregister(scope.scope(), runner)).await;
        deleted.map_err(|refusal| error("delete a runner", refusal))
    }

    async fn job(&self, job: &JobRef) -> PortResult<JobSighting> {
        match self.ask(job.installation, |truth| report(truth, job.job)).await {
            Ok(Some(report)) => Ok(JobSighting::Found(report)),
            Ok(None) => Ok(JobSighting::JobNotFound),
            Err(Refusal::Gone) => Ok(JobSighting::InstallationNotFound),
            Err(refusal @ (Refusal::Suspended | Refusal::Limited(_))) => Err(error("look up a job", refusal)),
        }
    }

    async fn run_jobs(&self, run: &RunRef) -> PortResult<Vec<JobReport>> {
        let found = self.ask(run.installation, |truth| {
            let jobs = truth.github.runs.get(&run.run)?;
            Some(jobs.iter().filter_map(|id| report(truth, *id)).collect())
        });
        let found = found.await.map_err(|refusal| error("list the jobs of a run", refusal))?;
        found.ok_or_else(|| missing("list the jobs of a run", run.run))
    }

    async fn run_conclusion(&self, run: &RunRef) -> PortResult<Option<String>> {
        let found = self.ask(run.installation, |truth| truth.conclusion_of(run.run)).await;
        let found = found.map_err(|refusal| error("look up a run", refusal))?;
        found.ok_or_else(|| missing("look up a run", run.run))
    }

    async fn active_runs(&self, repo: &RepoRef) -> PortResult<Vec<ActiveRun>> {
        // Queued runs and those in progress are listed apart.
        let list = |truth: &mut Truth| {
            let found: Vec<_> = truth
                .active_runs(&repo.repo)
                .into_iter()
                .map(|(run, sender)| ActiveRun { run, sender: Some(sender) })
                .collect();
            truth.github.limits.further(repo.installation, pages(found.len()));
            found
        };
        let found = self.ask(repo.installation, list).await;
        found.map_err(|refusal| error("list runs", refusal))
    }

    async fn hook_deliveries(&self, app: EntityKind, since: Timestamp) -> PortResult<Vec<HookDelivery>> {
        self.transit().await;
        self.truth.with(|truth| {
            let attempts = truth.github.attempts.iter().enumerate().rev();
            let recent = attempts.take_while(|(_, attempt)| attempt.at >= since);
            let ours = recent.filter(|(_, attempt)| attempt.app == app);
            let listed: Vec<_> = ours
                .map(|(number, attempt)| HookDelivery {
                    id: i64::try_from(number).unwrap_or(i64::MAX),
                    guid: attempt.guid.clone(),
                    delivered_at: attempt.at,
                    status: attempt.status,
                    redelivery: attempt.redelivery,
                    event: attempt.event.clone(),
                })
                .collect();
            truth.github.limits.of_app(pages(listed.len()));
            Ok(listed)
        })
    }

    async fn redeliver(&self, proof: &LeaderProof, _: EntityKind, delivery: i64) -> PortResult<()> {
        proof.guard(self.clock.now(), "redeliver")?;
        self.transit().await;
        let known = usize::try_from(delivery).is_ok_and(|n| {
            self.truth.with(|truth| {
                truth.github.limits.of_app(1);
                truth.repeat(n)
            })
        });
        if known { Ok(()) } else { Err(missing("redeliver", format!("delivery {delivery}"))) }
    }

    fn returned(&self, installation: InstallationId, returned_at: Timestamp) {
        let mut health = lock(&self.health);
        if let Some(known) = health.get_mut(&installation)
            && known.refused_at.is_some_and(|refused| refused <= returned_at)
        {
            known.refused_at = None;
            known.auth_failures = 0;
            known.shown.auth_failing_since = None;
            known.shown.auth_retry_at = None;
            known.shown.gone_since = None;
        }
    }

    fn health(&self, installation: InstallationId) -> InstallationHealth {
        lock(&self.health).get(&installation).map(|known| known.shown.clone()).unwrap_or_default()
    }
}

/// What a simulated JIT configuration begins with; the registration's id follows.
pub(crate) const JIT_PREFIX: &str = "jit-of-runner-";

#[cfg(test)]
mod tests {
    use riscv_runner_core::job::{JobPhase, Loss};

    use super::*;
    use crate::{
        faults::FaultProfile,
        world::{AccountSpec, Arrival, World, WorldConfig},
    };

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn jobs_of_an_app_uninstalled_without_a_word_end_with_their_workers_and_not_before() {
        let mut config = WorldConfig::demo(3, 6, 3);
        config.accounts = vec![AccountSpec { kind: EntityKind::Organization, repositories: 1 }];
        config.arrival = Arrival::Burst;
        config.work = (HOUR * 2 / 3, HOUR);
        config.profile = FaultProfile::default();
        let mut world = World::new(config);
        let phases = |world: &World, phase| {
            world.store().all_jobs().iter().filter(|row| row.job.state.phase == phase).count()
        };
        assert!(world.run_until(HOUR / 6, |world| phases(world, JobPhase::Running) == 3));
        let waited = phases(&world, JobPhase::Pending);
        // Nobody is told, and GitHub has nothing more to say.
        world.forge().truth.with(|truth| truth.github.accounts.clear());

        let (began, mut early) = (world.clock().elapsed(), Vec::new());
        let over = world.run_until(3 * HOUR, |world| {
            let workers = world.store().all_workers();
            let live = workers.iter().filter(|row| !row.worker.status.is_terminal());
            let lost =
                live.filter(|row| row.worker.job.as_ref().is_some_and(|job| job.phase == JobPhase::Failed));
            early.extend(lost.map(|row| row.worker.name.clone()));
            phases(world, JobPhase::Failed) == 3 + waited
        });
        assert_eq!(early, [], "a job is lost while its worker lives");
        assert!(over, "{:?}", world.store().all_jobs());
        assert!(world.clock().elapsed() > began + HOUR / 2, "workers are left to finish");
        for row in world.store().all_jobs() {
            assert_eq!(row.job.state.loss, Some(Loss::InstallationNotFound));
        }
        let workers = world.store().all_workers();
        assert!(workers.iter().all(|row| row.worker.status.is_terminal()), "{workers:?}");
    }
}
