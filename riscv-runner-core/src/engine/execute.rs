//! Executing the reconciling steps. One that fails does not stop the others; the next cycle is the retry.

use futures::stream::{self, StreamExt};

use super::Engine;
use crate::{
    controls::Revocation,
    failure::{Diagnostics, FailureInfo, FailureReason},
    ids::{ImageRef, WorkerName},
    plan::{Action, EndWorker, Plan, PodEnd, Step, action::Registration},
    ports::{
        Cas, Deletion, EngineEvent, Grace, LeaderProof, PortErrorKind, PortResult, Recovery, WorkerChange,
    },
    worker::{Worker, WorkerStatus},
};

/// How many steps run at the same time: they wait for the store, the cluster or GitHub, not for us.
const CONCURRENT_STEPS: usize = 8;

impl Engine {
    /// Executes the plan's steps, a few at a time. Steps about one worker keep their order.
    pub(super) async fn execute(&self, plan: Plan) {
        let mut groups: Vec<Vec<Step>> = Vec::new();
        let mut places: std::collections::BTreeMap<WorkerName, usize> = std::collections::BTreeMap::new();
        for step in plan.steps {
            let place = *places.entry(step.action.worker().clone()).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[place].push(step);
        }
        stream::iter(groups)
            .for_each_concurrent(CONCURRENT_STEPS, |group| async move {
                for step in group {
                    self.step(step).await;
                }
            })
            .await;
    }

    async fn step(&self, step: Step) {
        let Some(proof) = self.proof() else { return };
        let worker = step.action.worker().clone();
        let name = step.action.name();
        match self.act(&proof, step.action).await {
            Ok(()) => {}
            Err(error) if error.kind() == PortErrorKind::NotLeader => self.depose(),
            Err(error) => {
                tracing::warn!(%worker, action = name, error = error.chain(), "a step failed; the next cycle tries again");
            }
        }
    }

    async fn act(&self, proof: &LeaderProof, action: Action) -> PortResult<()> {
        let parts = &self.parts;
        match action {
            // Only the schedule loop provisions, through its reservations.
            Action::Provision(_) => Ok(()),
            Action::NoteBound { worker, from, node } => {
                let _ =
                    parts.store.change_worker(proof, &worker, from, &WorkerChange::Bound { node }).await?;
                Ok(())
            }
            Action::MarkRunning { worker, from, node, at } => {
                let _ = parts
                    .store
                    .change_worker(proof, &worker, from, &WorkerChange::Running { node, at })
                    .await?;
                Ok(())
            }
            Action::MarkCompleted { worker, from, at, served, node } => {
                if parts.store.change_worker(proof, &worker, from, &WorkerChange::Completed { at }).await?
                    == Cas::Done
                {
                    parts.wakes.schedule.wake();
                    if let Some(key) = served {
                        parts.store.clear_backoff(proof, &key).await?;
                    }
                    if let Some(node) = node {
                        parts.store.set_quarantine(proof, &node, None).await?;
                    }
                    self.trace_end(&worker).await;
                }
                Ok(())
            }
            Action::MarkGone { worker, from } => {
                let change = WorkerChange::RegistrationGone { at: self.now() };
                let _ = parts.store.change_worker(proof, &worker, from, &change).await?;
                parts.wakes.schedule.wake();
                Ok(())
            }
            Action::End(end) => self.end(proof, end).await,
            Action::Adopt { worker, uid, identity, node, created_at } => {
                let row = Worker {
                    name: worker,
                    scope: identity.scope,
                    labels: identity.labels,
                    pool: identity.pool,
                    image: identity.image,
                    status: WorkerStatus::Pending,
                    node,
                    pod_uid: Some(uid),
                    runner: None,
                    created_at,
                    running_at: None,
                    completed_at: None,
                    online_at: None,
                    gone_at: None,
                    failure: None,
                    job: None,
                };
                if parts.store.adopt_worker(proof, &row).await? == Cas::Done {
                    parts.observer.observe(EngineEvent::Recovered { kind: Recovery::AdoptedPod });
                }
                Ok(())
            }
            Action::KillPod { worker, pod, registration } => {
                if self.may_end(proof, &worker, registration.as_ref()).await? {
                    self.end_pod(proof, &worker, &pod).await?;
                    parts.observer.observe(EngineEvent::Recovered { kind: Recovery::LeftOverPod });
                }
                Ok(())
            }
            Action::DeletePod { worker, uid } => {
                parts.cluster.delete(proof, &worker, &uid, Grace::Default).await
            }
            Action::DeleteSecret { worker } => parts.cluster.delete_secret(proof, &worker).await,
            Action::LiftRefusal { image, .. } => {
                tracing::info!(%image, "GitHub accepts the runner in this image; runners are registered for it again");
                parts.store.refuse_image(proof, &image, None).await?;
                parts.wakes.schedule.wake();
                Ok(())
            }
            Action::Deregister { worker, registration } => {
                if self.may_end(proof, &worker, Some(&registration)).await? {
                    parts.observer.observe(EngineEvent::Recovered { kind: Recovery::LeftOverRegistration });
                }
                Ok(())
            }
        }
    }

    /// Deletes the registration; whether the runner may be ended. GitHub's refusal means that a job
    /// runs, whatever else we believe.
    async fn may_end(
        &self,
        proof: &LeaderProof,
        worker: &WorkerName,
        registration: Option<&Registration>,
    ) -> PortResult<bool> {
        let Some(Registration { scope, runner }) = registration else { return Ok(true) };
        match self.parts.forge.delete_runner(proof, scope, *runner).await? {
            Deletion::Deleted | Deletion::Gone => Ok(true),
            Deletion::Busy => {
                tracing::info!(%worker, "GitHub refuses to delete the registration: the runner is busy");
                Ok(false)
            }
        }
    }

    /// Asks GitHub before a worker is ended. An operator who forces it does not wait for a yes.
    async fn may_end_for(&self, proof: &LeaderProof, end: &EndWorker) -> PortResult<bool> {
        let answer = self.may_end(proof, &end.worker, end.registration.as_ref()).await;
        match answer {
            Ok(agreed) => Ok(agreed || end.is_forced()),
            Err(error) if !end.is_forced() || error.kind() == PortErrorKind::NotLeader => Err(error),
            Err(error) => {
                tracing::warn!(worker = %end.worker, error = error.chain(), "the registration of a worker revoked by force was not deleted; the clean-up will delete it");
                Ok(true)
            }
        }
    }

    async fn end(&self, proof: &LeaderProof, end: EndWorker) -> PortResult<()> {
        if end.is_destructive() && !self.may_end_for(proof, &end).await? {
            return Ok(());
        }
        let diagnostics = match (&end.pod, end.reason) {
            (PodEnd::Nothing, FailureReason::PodMissing) => Diagnostics::default(),
            (PodEnd::Nothing | PodEnd::Kill { .. } | PodEnd::ForceDelete { .. }, _) => {
                self.parts.cluster.diagnose(&end.worker).await
            }
        };
        let change = WorkerChange::Failed {
            at: end.at,
            reason: end.reason,
            info: Box::new(info(&end, diagnostics)),
            backoff: end.backoff,
            quarantine: end.quarantine.clone(),
        };
        if end.is_forced() {
            // A row that has ended while its job runs protects its pod: if the pod cannot be ended now, the
            // order must stay in force.
            self.end_pod(proof, &end.worker, &end.pod).await?;
        }
        if self.parts.store.change_worker(proof, &end.worker, end.from, &change).await? == Cas::Stale {
            return Ok(());
        }
        self.parts.observer.observe(EngineEvent::WorkerFailed { reason: end.reason });
        self.parts.wakes.schedule.wake();
        self.parts.wakes.jobs.wake();
        let done = self.clear_up(proof, &end).await;
        self.trace_end(&end.worker).await;
        done
    }

    /// What an ended worker leaves behind.
    async fn clear_up(&self, proof: &LeaderProof, end: &EndWorker) -> PortResult<()> {
        if let Some(image) = &end.refused_image {
            self.refuse(proof, image).await?;
        }
        if !end.is_destructive() {
            // Nothing runs, so this is tidiness: what is left is found by the clean-up.
            self.may_end(proof, &end.worker, end.registration.as_ref()).await?;
        }
        if end.is_forced() { Ok(()) } else { self.end_pod(proof, &end.worker, &end.pod).await }
    }

    async fn end_pod(&self, proof: &LeaderProof, worker: &WorkerName, pod: &PodEnd) -> PortResult<()> {
        match pod {
            PodEnd::Kill { uid } => self.parts.cluster.kill(proof, worker, uid).await,
            PodEnd::ForceDelete { uid } => self.parts.cluster.delete(proof, worker, uid, Grace::Zero).await,
            PodEnd::Nothing => self.parts.cluster.delete_secret(proof, worker).await,
        }
    }

    async fn refuse(&self, proof: &LeaderProof, image: &ImageRef) -> PortResult<()> {
        tracing::error!(%image, "GitHub refuses the runner in this image as outdated; only one worker at a time still tries it; replace the image");
        self.parts.store.refuse_image(proof, image, Some(self.now())).await
    }

    /// A change of a row that nothing depends on: a failure is logged and repaired by a later cycle.
    pub(super) async fn change(&self, worker: &WorkerName, from: WorkerStatus, change: &WorkerChange) {
        let Some(proof) = self.proof() else { return };
        match self.parts.store.change_worker(&proof, worker, from, change).await {
            Ok(Cas::Done | Cas::Stale) => {}
            Err(error) if error.kind() == PortErrorKind::NotLeader => self.depose(),
            Err(error) => tracing::warn!(%worker, error = error.chain(), "a worker's row was not changed"),
        }
    }
}

fn info(end: &EndWorker, diagnostics: Diagnostics) -> FailureInfo {
    match &end.revocation {
        Some(Revocation { note, .. }) => {
            let note = format!("revoked by {} at {}: {}", note.actor, note.since, note.reason);
            FailureInfo::noted(end.reason, note, diagnostics)
        }
        None => FailureInfo::pod(end.reason, diagnostics),
    }
}
