//! The engine: independent loops that observe, plan, audit and execute. No policy lives here.
//!
//! [`Engine::run`] is one future for a whole replica. Dropping it at any await point is a crash: the next one
//! finds and repairs what it leaves behind.

mod boards;
mod cycle;
mod deliveries;
mod execute;
pub mod intake;
mod jobs;
mod leadership;
mod memory;
pub mod notices;
mod observe;
pub mod outbox;
mod provision;
mod registrations;
pub mod replay;
mod retention;
mod runs;
mod schedule;
mod tasks;
mod told;
mod traced;
pub mod wake;
mod workers;

use std::{
    future::Future,
    sync::{Arc, Weak},
};

use futures::future::{Either, FutureExt, join_all, select};
use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};

pub use self::leadership::Leading;
use self::{memory::Memory, tasks::Tasks, wake::Wake};
use crate::{
    ids::ReplicaName,
    policy::{Policy, Timeouts},
    ports::{Cluster, Forge, LeaderProof, LoopName, Observer, Platform, PortResult, Store},
    snapshot::Snapshot,
};

/// What wakes each loop, beside its tick.
#[derive(Debug, Clone, Default)]
pub struct Wakes {
    /// New demand, or supply that ended.
    pub schedule: Wake,
    /// The cluster changed.
    pub workers: Wake,
    /// Registrations should be polled.
    pub runners: Wake,
    /// Jobs should be polled.
    pub jobs: Wake,
    /// Deliveries may have been lost.
    pub deliveries: Wake,
    /// Rows may have expired.
    pub retention: Wake,
}

/// What an engine is made of.
#[derive(Clone)]
pub struct EngineParts {
    /// The store of demand and supply.
    pub store: Arc<dyn Store>,
    /// GitHub.
    pub forge: Arc<dyn Forge>,
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// Clock and randomness.
    pub platform: Arc<dyn Platform>,
    /// Receives engine events for metrics.
    pub observer: Arc<dyn Observer>,
    /// The policy in force.
    pub policy: watch::Receiver<Arc<Policy>>,
    /// This process, as the lease names it.
    pub replica: ReplicaName,
    /// What wakes the loops.
    pub wakes: Wakes,
}

/// One part in this many of a shutdown is reserved for releasing the lease: whoever stops a process counts to
/// the end.
const SHUTDOWN_PARTS: u32 = 5;

/// How long work in flight may take to finish.
fn finishing(timeouts: &Timeouts) -> std::time::Duration {
    timeouts.shutdown - timeouts.shutdown / SHUTDOWN_PARTS
}

/// The engine of one replica.
pub struct Engine {
    parts: EngineParts,
    memory: Memory,
    leading: watch::Sender<Option<Leading>>,
    stopping: watch::Sender<bool>,
    /// Nothing new is made, not even of what was reserved.
    shutting_down: watch::Sender<bool>,
    provisioning: Semaphore,
    tasks: Tasks,
    /// Itself, for work that outlives the cycle that began it.
    this: Weak<Self>,
}

impl Engine {
    /// Puts the parts together; nothing happens before [`Engine::run`].
    #[must_use]
    pub fn new(parts: EngineParts) -> Arc<Self> {
        let permits = parts.policy.borrow().limits.provision_concurrency.max(1);
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            parts,
            memory: Memory::default(),
            leading: watch::Sender::new(None),
            stopping: watch::Sender::new(false),
            shutting_down: watch::Sender::new(false),
            provisioning: Semaphore::new(permits),
            tasks: Tasks::default(),
        })
    }

    /// Whether this replica leads, and since when.
    #[must_use]
    pub fn leading(&self) -> watch::Receiver<Option<Leading>> {
        self.leading.subscribe()
    }

    /// Runs every loop until `shutdown` completes; then finishes what is in flight, undoes what has not
    /// begun, for as long as the policy allows, and releases the lease.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()> + Send) {
        let loops = join_all([
            self.repeat(
                LoopName::Schedule,
                &self.parts.wakes.schedule,
                |p| p.timeouts.tick,
                Self::schedule_cycle,
            )
            .boxed(),
            self.repeat(
                LoopName::Workers,
                &self.parts.wakes.workers,
                |p| p.timeouts.tick,
                Self::workers_cycle,
            )
            .boxed(),
            self.repeat(
                LoopName::Runners,
                &self.parts.wakes.runners,
                |p| p.timeouts.runners_poll,
                Self::runners_cycle,
            )
            .boxed(),
            self.repeat(LoopName::Jobs, &self.parts.wakes.jobs, |p| p.timeouts.jobs_poll, Self::jobs_cycle)
                .boxed(),
            self.repeat(
                LoopName::Deliveries,
                &self.parts.wakes.deliveries,
                |p| p.timeouts.deliveries_sweep,
                Self::deliveries_cycle,
            )
            .boxed(),
            self.repeat(
                LoopName::Retention,
                &self.parts.wakes.retention,
                |p| p.timeouts.retention,
                Self::retention_cycle,
            )
            .boxed(),
        ]);
        let work = async {
            futures::join!(loops, self.tasks.drive(self.stopping.subscribe()));
        };
        let work = select(self.leadership().boxed(), work.boxed());
        let ending = async {
            shutdown.await;
            self.shutting_down.send_replace(true);
            self.stopping.send_replace(true);
            self.parts.platform.sleep(finishing(&self.policy().timeouts)).await;
        };
        match select(work, ending.boxed()).await {
            Either::Left(_) => tracing::info!("every loop has ended"),
            Either::Right(_) => tracing::warn!("work in flight was abandoned; the next leader recovers it"),
        }
        self.resign().await;
    }

    /// What one cycle of the scheduler sees, with every waiting job: for `rrctl snapshot`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn snapshot(&self) -> PortResult<Snapshot> {
        observe::everything(self, u32::MAX).await
    }

    /// The same with at most `most` waiting jobs of each key, the oldest; how many there are is counted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn overview(&self, most: u32) -> PortResult<Snapshot> {
        observe::everything(self, most).await
    }

    /// One cycle of the scheduler, followed until the work that it began has ended: for `schedule --once`.
    ///
    /// # Errors
    /// When another replica holds the lease, or the store cannot be read.
    pub async fn schedule_once(&self) -> PortResult<()> {
        self.acquire().await?;
        let proof = self.proof().ok_or_else(cycle::not_leading)?;
        let cycle = self.schedule_cycle(proof);
        let once = async {
            let result = cycle.await;
            self.stopping.send_replace(true);
            result
        };
        let (result, ()) = futures::join!(once, self.tasks.drive(self.stopping.subscribe()));
        self.resign().await;
        result
    }

    fn now(&self) -> Timestamp {
        self.parts.platform.now()
    }

    fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.parts.policy.borrow())
    }

    /// The proof of leadership, while it holds.
    fn proof(&self) -> Option<LeaderProof> {
        let now = self.now();
        self.leading.borrow().as_ref().map(|leading| leading.proof.clone()).filter(|proof| proof.holds(now))
    }
}
