//! Jobs whose state is doubtful: asked about, and brought up to what GitHub says.

use std::collections::{BTreeMap, BTreeSet};

use futures::{
    future::{BoxFuture, FutureExt},
    stream::{self, StreamExt},
};
use jiff::Timestamp;

use super::{Engine, memory::Remembered, observe};
use crate::{
    ids::{InstallationId, JobId},
    installation::{InstallationKey, Installations},
    job::{JobEvent, Loss},
    policy::Policy,
    polling::{self, Asked, Question, Rounds},
    ports::{
        DoubtfulJob, EngineEvent, JobReport, JobSighting, LeaderProof, PortErrorKind, PortResult, Recovery,
        RunRef,
    },
    spans::{self, Evidence},
};

/// How many are asked at the same time.
const CONCURRENT_QUESTIONS: usize = 4;

impl Engine {
    /// One cycle of asking about doubtful jobs.
    pub(super) fn jobs_cycle(&self, proof: LeaderProof) -> BoxFuture<'_, PortResult<()>> {
        async move {
            let policy = self.policy();
            let now = self.now();
            let before = now.checked_sub(policy.timeouts.jobs_poll).unwrap_or(now);
            let mut jobs = self.next_doubtful(before).await?;
            let installations = self.parts.store.standing().await?.installations;
            for facts in jobs.iter_mut().map(|doubtful| &mut doubtful.job.facts) {
                facts.installation =
                    installations.current(InstallationKey::of(&facts.entity), facts.installation);
            }
            self.give_up_gone(&proof, &jobs, &installations).await;
            let questions = {
                let mut memory = self.memory.lock();
                let Remembered { asked, rounds, runs_heard, .. } = &mut *memory;
                asked.retain(|job, _| rounds.has(*job));
                *runs_heard = rounds.runs();
                polling::questions(&jobs, &memory.asked, &memory.runs_active, now, &policy.timeouts)
            };
            let held: BTreeMap<JobId, &DoubtfulJob> =
                jobs.iter().map(|doubtful| (doubtful.job.facts.id, doubtful)).collect();
            let (held, policy, proof) = (&held, &policy, &proof);
            stream::iter(questions)
                .for_each_concurrent(CONCURRENT_QUESTIONS, |question| async move {
                    self.ask(proof, question, held, policy).await;
                })
                .await;
            Ok(())
        }
        .boxed()
    }

    /// The jobs whose turn it is.
    async fn next_doubtful(&self, before: Timestamp) -> PortResult<Vec<DoubtfulJob>> {
        let mut jobs = Vec::new();
        for phase in Rounds::PHASES {
            let query = self.memory.lock().rounds.query(phase, before);
            let read = self.parts.store.doubtful_jobs(&query).await?;
            self.memory.lock().rounds.turn(phase, &read);
            jobs.extend(read.jobs);
        }
        Ok(jobs)
    }

    /// Gives up jobs of an uninstalled App, about which GitHub can no longer be asked.
    async fn give_up_gone(&self, proof: &LeaderProof, jobs: &[DoubtfulJob], known: &Installations) {
        let told: BTreeSet<_> = jobs.iter().map(|doubtful| doubtful.job.facts.installation).collect();
        let is_gone = |id: &InstallationId| observe::health(self, known, *id).gone_since.is_some();
        let gone: BTreeSet<_> = told.into_iter().filter(is_gone).collect();
        for doubtful in jobs.iter().filter(|doubtful| gone.contains(&doubtful.job.facts.installation)) {
            if let Some(event) = polling::without_installation(doubtful)
                && let Err(error) = self.join(proof, doubtful, event).await
            {
                tracing::warn!(
                    error = error.chain(),
                    "a job of a removed installation could not be given up"
                );
            }
        }
    }

    async fn ask(
        &self,
        proof: &LeaderProof,
        question: Question,
        held: &BTreeMap<JobId, &DoubtfulJob>,
        policy: &Policy,
    ) {
        let answered = match &question {
            Question::Run(run, jobs) => self.ask_run(proof, run, jobs, held, policy).await,
            Question::Job(job) => {
                let doubtful = held.get(&job.job).copied();
                match (self.parts.forge.job(job).await, doubtful) {
                    (Ok(sighting), Some(doubtful)) => {
                        self.learn_sighting(proof, doubtful, &sighting, policy).await
                    }
                    (Ok(_), None) => Ok(()),
                    (Err(error), _) => Err(error),
                }
            }
        };
        let now = self.now();
        let jobs = match &question {
            Question::Run(_, jobs) => jobs.as_slice(),
            Question::Job(job) => std::slice::from_ref(&job.job),
        };
        self.note_asked(jobs, held, now);
        if let Err(error) = answered {
            tracing::warn!(
                ?question,
                error = error.chain(),
                "jobs could not be looked up; trying again later"
            );
        }
    }

    fn note_asked(&self, jobs: &[JobId], held: &BTreeMap<JobId, &DoubtfulJob>, now: Timestamp) {
        let mut memory = self.memory.lock();
        for (job, doubtful) in jobs.iter().filter_map(|job| Some((job, held.get(job)?))) {
            let row = doubtful.updated_at;
            let times = memory.asked.get(job).filter(|asked| asked.row == row).map_or(0, |asked| asked.times);
            memory.asked.insert(*job, Asked { at: now, times: times.saturating_add(1), row });
        }
    }

    async fn ask_run(
        &self,
        proof: &LeaderProof,
        run: &RunRef,
        jobs: &[JobId],
        held: &BTreeMap<JobId, &DoubtfulJob>,
        policy: &Policy,
    ) -> PortResult<()> {
        let reports = match self.parts.forge.run_jobs(run).await {
            Ok(reports) => reports,
            Err(error) if error.kind() == PortErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let by_job: BTreeMap<JobId, &JobReport> = reports.iter().map(|report| (report.job, report)).collect();
        for doubtful in jobs.iter().filter_map(|job| held.get(job).copied()) {
            match by_job.get(&doubtful.job.facts.id) {
                Some(report) => self.learn(proof, doubtful, report, policy).await?,
                // The run lists its latest attempt alone; only the job's own page says that it is gone.
                None => self.ask_job(proof, doubtful, policy).await?,
            }
        }
        Ok(())
    }

    async fn ask_job(&self, proof: &LeaderProof, doubtful: &DoubtfulJob, policy: &Policy) -> PortResult<()> {
        let facts = &doubtful.job.facts;
        let job = crate::ports::JobRef {
            installation: facts.installation,
            app: facts.entity.kind,
            repo: facts.repo.clone(),
            job: facts.id,
        };
        let sighting = self.parts.forge.job(&job).await?;
        self.learn_sighting(proof, doubtful, &sighting, policy).await
    }

    async fn learn_sighting(
        &self,
        proof: &LeaderProof,
        doubtful: &DoubtfulJob,
        sighting: &JobSighting,
        policy: &Policy,
    ) -> PortResult<()> {
        let attempt = doubtful.job.state.attempt;
        let event = match sighting {
            JobSighting::Found(report) => return self.learn(proof, doubtful, report, policy).await,
            JobSighting::JobNotFound => Some(JobEvent::Lost { attempt, loss: Loss::JobNotFound }),
            JobSighting::InstallationNotFound => polling::without_installation(doubtful),
        };
        match event {
            Some(event) => self.join(proof, doubtful, event).await,
            None => Ok(()),
        }
    }

    async fn learn(
        &self,
        proof: &LeaderProof,
        doubtful: &DoubtfulJob,
        report: &JobReport,
        policy: &Policy,
    ) -> PortResult<()> {
        let now = self.now();
        let asks_on = {
            let memory = self.memory.lock();
            polling::still_asked(doubtful, report, &memory.runs_active, now, &policy.timeouts)
        };
        let conclusion = if asks_on {
            let facts = &doubtful.job.facts;
            let run = RunRef {
                installation: facts.installation,
                app: facts.entity.kind,
                repo: facts.repo.clone(),
                run: report.run,
            };
            self.parts.forge.run_conclusion(&run).await?
        } else {
            None
        };
        match polling::event_of(doubtful, report, conclusion.as_deref(), now, &policy.timeouts) {
            Some(event) => self.join(proof, doubtful, event).await,
            None => Ok(()),
        }
    }

    async fn join(&self, proof: &LeaderProof, doubtful: &DoubtfulJob, event: JobEvent) -> PortResult<()> {
        let job = doubtful.job.facts.id;
        let write = self.parts.store.join_job(proof, job, &event).await?;
        tracing::info!(%job, ?event, ?write, "GitHub had newer information about a job");
        self.trace(|| {
            let (facts, before) = (&doubtful.job.facts, Some(&doubtful.job.state));
            spans::of_job(Evidence { facts, before, event: &event, write, at: self.now() })
        });
        if let Some(waited) = write.wait_ended(&doubtful.job.facts, &event) {
            self.parts.observer.observe(EngineEvent::JobStarted { waited });
        }
        if write.wakes_scheduler() {
            self.parts.observer.observe(EngineEvent::Recovered { kind: recovery(&event) });
            self.parts.wakes.schedule.wake();
        }
        Ok(())
    }
}

const fn recovery(event: &JobEvent) -> Recovery {
    match event {
        JobEvent::Queued | JobEvent::InProgress(_) | JobEvent::ConfirmedRunning(_) => {
            Recovery::MissedInProgress
        }
        JobEvent::Completed { .. } => Recovery::MissedCompleted,
        JobEvent::Requeued { .. } => Recovery::RequeuedJob,
        JobEvent::Revived { .. } => Recovery::RevivedJob,
        JobEvent::Lost { .. } => Recovery::LostJob,
    }
}
