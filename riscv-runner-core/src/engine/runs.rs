//! The third net for lost webhooks: runs of recently active repositories are listed periodically, and jobs
//! that GitHub reports as queued become demand.

use std::collections::BTreeMap;

use super::{Engine, observe};
use crate::{
    admission::{IntakePolicy, is_followed, is_served},
    ids::{JobId, Login, RunId},
    installation::InstallationKey,
    job::{Job, JobEvent, JobFacts},
    labels::LabelSet,
    policy::Policy,
    polling::{self, RunsLeft},
    ports::{
        ActiveRun, EngineEvent, JobReport, KnownRepo, LeaderProof, PortResult, Recovery, RepoRef, RunRef,
    },
    routing::{self, Query},
    spans::{self, Evidence},
};

impl Engine {
    /// Lists the runs of the repositories that are due. One that fails does not stop the others.
    pub(super) async fn list_runs(&self, proof: &LeaderProof) -> PortResult<()> {
        let policy = self.policy();
        let now = self.now();
        let mut repos = self.parts.store.known_repos(polling::repos_since(now)).await?;
        let standing = self.parts.store.standing().await?;
        let (controls, installations) = (standing.controls, standing.installations);
        let by = IntakePolicy { policy: &policy, controls: &controls };
        repos.retain(|repo| is_served(&by, &repo.entity, &repo.repo));
        for repo in &mut repos {
            repo.installation = installations.current(InstallationKey::of(&repo.entity), repo.installation);
        }
        let listed = {
            let mut memory = self.memory.lock();
            polling::forget_runs(&mut memory.runs_looked, now);
            polling::forget_active(&mut memory.runs_active, now, &policy.timeouts);
            polling::forget_listed(&mut memory.runs_listed, &repos);
            memory.runs_listed.clone()
        };
        let mut left = RunsLeft::default();
        for repo in polling::repos_due(&repos, &listed, &installations, now, &policy.timeouts) {
            if observe::health(self, &installations, repo.installation).gone_since.is_some() {
                continue;
            }
            if left.is_spent() {
                break;
            }
            match self.list_runs_of(proof, repo, &by, &mut left).await {
                Ok(false) => {}
                Ok(true) => {
                    self.memory.lock().runs_listed.insert(repo.repo_id, (now, repo.installation));
                }
                Err(error) => {
                    tracing::warn!(repo = %repo.repo_id, error = error.chain(), "runs could not be listed");
                }
            }
        }
        Ok(())
    }

    /// Whether every run that nobody here has heard of was looked into, as far as `left` allows.
    async fn list_runs_of(
        &self,
        proof: &LeaderProof,
        repo: &KnownRepo,
        by: &IntakePolicy<'_>,
        left: &mut RunsLeft,
    ) -> PortResult<bool> {
        let address =
            RepoRef { installation: repo.installation, app: repo.entity.kind, repo: repo.repo.clone() };
        let active = self.parts.forge.active_runs(&address).await?;
        let (due, all) = {
            let (now, mut memory) = (self.now(), self.memory.lock());
            memory.runs_active.extend(active.iter().map(|found| (found.run, now)));
            let heard = &memory.runs_heard;
            let followed =
                |found: &&ActiveRun| is_followed(by, found.sender.as_ref(), heard.contains(&found.run));
            let runs: Vec<RunId> = active.iter().filter(followed).map(|found| found.run).collect();
            left.take(&runs, &memory.runs_looked, heard, repo.installation, now)
        };
        let senders: BTreeMap<RunId, Option<Login>> =
            active.into_iter().map(|found| (found.run, found.sender)).collect();
        for run in due {
            let address = RunRef {
                installation: repo.installation,
                app: repo.entity.kind,
                repo: repo.repo.clone(),
                run,
            };
            let reports = self.parts.forge.run_jobs(&address).await?;
            let ids: Vec<JobId> = reports.iter().map(|report| report.job).collect();
            let rows = self.parts.store.jobs_with_ids(&ids).await?;
            let rows: BTreeMap<JobId, Job> = rows.into_iter().map(|job| (job.facts.id, job)).collect();
            let sender = senders.get(&run).and_then(Option::as_ref);
            for report in &reports {
                let row = rows.get(&report.job);
                if is_followed(by, sender, row.is_some()) {
                    self.learn_listed(proof, repo, run, report, row, by.policy).await?;
                }
            }
            self.memory.lock().runs_looked.insert(run, (self.now(), repo.installation));
        }
        Ok(all)
    }

    async fn learn_listed(
        &self,
        proof: &LeaderProof,
        repo: &KnownRepo,
        run: RunId,
        report: &JobReport,
        row: Option<&Job>,
        policy: &Policy,
    ) -> PortResult<()> {
        let Some(event) = polling::event_of_listed(report, row) else { return Ok(()) };
        let Ok(labels) = LabelSet::new(&report.details.labels) else { return Ok(()) };
        let query = Query { labels: &labels, entity: &repo.entity, repo: &repo.repo };
        let Some(placement) = routing::route(policy, &query) else { return Ok(()) };
        let facts = JobFacts {
            id: report.job,
            run: Some(run),
            entity: repo.entity.clone(),
            installation: repo.installation,
            repo_id: repo.repo_id,
            repo: repo.repo.clone(),
            private: repo.private,
            labels,
            name: report.details.name.clone(),
            html_url: report.details.html_url.clone(),
            created_at: report.details.created_at,
        };
        let write = self.parts.store.join_listed_job(proof, &facts, &placement, &event).await?;
        self.trace(|| {
            let before = row.map(|job| &job.state);
            spans::of_job(Evidence { facts: &facts, before, event: &event, write, at: self.now() })
        });
        if let Some(waited) = write.wait_ended(&facts, &event) {
            self.parts.observer.observe(EngineEvent::JobStarted { waited });
        }
        if write.wakes_scheduler() {
            let revived = matches!(event, JobEvent::Revived { .. });
            let kind = if revived { Recovery::RevivedJob } else { Recovery::UnheardJob };
            tracing::info!(job = %report.job, ?event, "a listing of runs had newer information about a job");
            self.parts.observer.observe(EngineEvent::Recovered { kind });
            self.parts.wakes.schedule.wake();
        }
        Ok(())
    }
}
