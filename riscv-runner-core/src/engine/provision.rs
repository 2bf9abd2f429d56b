//! Provisioning: reserve, mint, create, confirm. Each step's failure undoes what came before it and
//! leaves the job as demand; an answer that was lost is not a failure.

use std::sync::Arc;

use futures::future::{Either, FutureExt, select};
use jiff::Timestamp;
use tokio::sync::SemaphorePermit;

use super::{Engine, cycle::caught};
use crate::{
    failure::{Diagnostics, FailureInfo, FailureReason},
    plan::{
        Provision,
        mint_failure::{self, MintFailure},
        names::{Chance, worker_name},
    },
    ports::{
        Deletion, EngineEvent, LeaderProof, MintError, MintRequest, Minted, PanicPlace, PodRequest,
        PortErrorKind, PortResult, ProvisionStep, Reservation, Reserved, WorkerChange, chain,
    },
    spans::{Making, Trouble},
    worker::WorkerStatus,
};

/// How many names are tried when one is taken.
const NAME_TRIES: usize = 5;

impl Engine {
    /// Reserves all at once, and begins to make what was reserved.
    pub(super) async fn reserve_and_begin(
        &self,
        proof: &LeaderProof,
        provisions: Vec<Arc<Provision>>,
    ) -> PortResult<()> {
        let at = self.now();
        let reservations: Vec<_> = provisions.iter().map(|provision| reservation(provision, at)).collect();
        let answers = self.parts.store.reserve(proof, &reservations).await?;
        let mut reserved = Making::default();
        self.took(&mut reserved, ProvisionStep::Reserve, at);
        for (provision, answer) in provisions.into_iter().zip(answers) {
            match answer {
                Reserved::Yes => self.begin(provision, reserved.clone()),
                Reserved::NameTaken => self.begin_renamed(provision),
                Reserved::EntityAtCap | Reserved::PoolAtCap | Reserved::DemandMet => {
                    tracing::info!(worker = %provision.name, ?answer, "not reserved: another reservation came first");
                }
            }
        }
        Ok(())
    }

    fn begin(&self, provision: Arc<Provision>, reserved: Making) {
        let Some(engine) = self.this.upgrade() else { return };
        self.tasks.begin(
            async move {
                let making = engine.make(&provision, reserved);
                caught(&*engine.parts.observer, PanicPlace::Provisioning, making).await;
            }
            .boxed(),
        );
    }

    fn begin_renamed(&self, provision: Arc<Provision>) {
        let Some(engine) = self.this.upgrade() else { return };
        self.tasks.begin(
            async move {
                let making = async {
                    if let Some((renamed, reserved)) = engine.reserve_other_name(&provision).await {
                        engine.make(&renamed, reserved).await;
                    }
                };
                caught(&*engine.parts.observer, PanicPlace::Provisioning, making).await;
            }
            .boxed(),
        );
    }

    /// Makes a reserved worker. A taken name is replaced, a few times.
    async fn make(&self, provision: &Provision, mut so_far: Making) {
        let mut in_flight = self.memory.making(&provision.name);
        let Some(_permit) = self.permit().await else { return self.hand_back(provision).await };
        let mut current = provision.clone();
        // A long queue may have passed since it was planned.
        let heeded = current.heed(&self.memory.lock().controls);
        if let Err(hold) = heeded {
            return self.give_up(provision, FailureReason::Drained, hold.to_string(), false).await;
        }
        for _ in 0..NAME_TRIES {
            let minted = self.mint(&current, &mut so_far).await;
            let taken = matches!(minted, Some(Err(NameIsTaken)));
            if let Some(Ok(minted)) = minted {
                self.create(&current, minted, &mut so_far).await;
            }
            self.trace(|| so_far.spans(&current));
            if !taken {
                return;
            }
            let Some((renamed, reserved)) = self.reserve_other_name(&current).await else { return };
            in_flight = self.memory.making(&renamed.name);
            (current, so_far) = (renamed, reserved);
        }
        drop(in_flight);
    }

    /// A place among those that are made at the same time; `None` once the process is to end.
    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        let mut shutting_down = self.shutting_down.subscribe();
        let ending = Box::pin(shutting_down.wait_for(|it_is| *it_is));
        match select(ending, Box::pin(self.provisioning.acquire())).await {
            Either::Left(_) => None,
            Either::Right((permit, _)) => permit.ok(),
        }
    }

    /// Undoes a reservation for which nothing has been made: its job need not wait until the next leader
    /// misses a pod.
    async fn hand_back(&self, provision: &Provision) {
        let message = "the replica that reserved it stopped before anything was created".to_owned();
        self.give_up(provision, FailureReason::ReplicaStopped, message, false).await;
    }

    async fn reserve_other_name(&self, provision: &Provision) -> Option<(Provision, Making)> {
        let proof = self.proof()?;
        let mut chance = Chance::new(self.parts.platform.seed());
        for _ in 0..NAME_TRIES {
            let name = worker_name(&self.policy().name_prefix, &mut chance)?;
            let renamed = Provision { name, ..provision.clone() };
            let at = self.now();
            match self.parts.store.reserve(&proof, &[reservation(&renamed, at)]).await.ok()?.first()? {
                Reserved::Yes => {
                    let mut reserved = Making::default();
                    reserved.took(ProvisionStep::Reserve, at, self.now());
                    return Some((renamed, reserved));
                }
                Reserved::NameTaken => {}
                Reserved::EntityAtCap | Reserved::PoolAtCap | Reserved::DemandMet => return None,
            }
        }
        None
    }

    /// Registers the runner. `None` when the worker was given up.
    async fn mint(&self, provision: &Provision, making: &mut Making) -> Option<Result<Minted, NameIsTaken>> {
        let proof = self.proof()?;
        let begun = self.now();
        let request = MintRequest {
            scope: provision.scope.clone(),
            name: provision.name.clone(),
            labels: provision.labels.clone(),
        };
        let error = match self.parts.forge.mint(&proof, &request).await {
            Ok(minted) => {
                self.took(making, ProvisionStep::Mint, begun);
                return Some(Ok(minted));
            }
            Err(error) => error,
        };
        let consequence = mint_failure::consequence(&error);
        let detail = chain(&error);
        making.failed(
            ProvisionStep::Mint,
            begun,
            self.now(),
            match consequence {
                Some(MintFailure { reason, .. }) => Trouble::Failed(reason, detail.clone()),
                None => Trouble::Undecided(detail.clone()),
            },
        );
        let MintFailure { reason, backs_off } = consequence?;
        self.give_up(provision, reason, detail, backs_off).await;
        matches!(error, MintError::NameTaken).then_some(Err(NameIsTaken))
    }

    async fn create(&self, provision: &Provision, minted: Minted, making: &mut Making) {
        let Some(proof) = self.proof() else { return };
        let begun = self.now();
        let request = PodRequest {
            name: provision.name.clone(),
            pool: provision.pool.clone(),
            image: provision.image.clone(),
            scope: provision.scope.clone(),
            labels: provision.labels.clone(),
            avoid: provision.avoid.iter().cloned().collect(),
        };
        match self.parts.cluster.create(&proof, &request, &minted.jit).await {
            Ok(pod) => {
                self.took(making, ProvisionStep::Create, begun);
                let confirmed_at = self.now();
                let change = WorkerChange::Provisioned { runner: Some(minted.runner), pod: pod.uid };
                self.change(&provision.name, WorkerStatus::Pending, &change).await;
                self.took(making, ProvisionStep::Confirm, confirmed_at);
                tracing::info!(worker = %provision.name, pool = %provision.pool, "provisioned");
            }
            // The pod may be there: the next look at the cluster shows it, or the orphan sweep ends the row.
            Err(error) if matches!(error.kind(), PortErrorKind::Transient | PortErrorKind::NotLeader) => {
                tracing::warn!(worker = %provision.name, error = error.chain(), "it is not known whether the pod was created");
                making.failed(ProvisionStep::Create, begun, self.now(), Trouble::Undecided(error.chain()));
            }
            Err(error) => {
                let detail = error.chain();
                let trouble = Trouble::Failed(FailureReason::PodAllocationFailure, detail.clone());
                making.failed(ProvisionStep::Create, begun, self.now(), trouble);
                match self.parts.forge.delete_runner(&proof, &provision.scope, minted.runner).await {
                    Ok(Deletion::Deleted | Deletion::Gone | Deletion::Busy) => {}
                    Err(error) => tracing::warn!(
                        worker = %provision.name,
                        error = error.chain(),
                        "the registration was not undone; the clean-up deletes it"
                    ),
                }
                self.give_up(provision, FailureReason::PodAllocationFailure, detail, true).await;
            }
        }
    }

    async fn give_up(&self, provision: &Provision, reason: FailureReason, message: String, backs_off: bool) {
        tracing::warn!(worker = %provision.name, %reason, message, "the worker could not be created");
        let info = if reason == FailureReason::PodAllocationFailure {
            FailureInfo::pod(reason, Diagnostics { collect_error: Some(message), ..Diagnostics::default() })
        } else {
            FailureInfo::message(message)
        };
        let change = WorkerChange::Failed {
            at: self.now(),
            reason,
            info: Box::new(info),
            backoff: backs_off.then_some(provision.on_failure),
            quarantine: None,
        };
        self.change(&provision.name, WorkerStatus::Pending, &change).await;
        self.parts.observer.observe(EngineEvent::WorkerFailed { reason });
    }

    fn took(&self, making: &mut Making, step: ProvisionStep, begun: Timestamp) {
        let now = self.now();
        making.took(step, begun, now);
        let took = crate::backoff::age(now, begun);
        self.parts.observer.observe(EngineEvent::Provisioned { step, took });
    }
}

struct NameIsTaken;

fn reservation(provision: &Provision, at: Timestamp) -> Reservation {
    Reservation {
        name: provision.name.clone(),
        scope: provision.scope.clone(),
        labels: provision.labels.clone(),
        pool: provision.pool.clone(),
        image: provision.image.clone(),
        entity_cap: provision.entity_cap,
        pool_cap: provision.pool_cap,
        warm: provision.warm,
        at,
    }
}
