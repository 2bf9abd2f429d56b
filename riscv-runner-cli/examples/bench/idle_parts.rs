//! A GitHub that takes its time for ever and a cluster of boards that can be switched on: what a cycle
//! of the scheduler needs beside the store, without their cost.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    failure::Diagnostics,
    ids::{InstallationId, NodeName, PodUid, RunnerId, WorkerName},
    pod::Node,
    ports::{
        ActiveRun, BoardSlots, Cluster, CreatedPod, Deletion, Forge, Grace, HookDelivery, JitConfig, JobRef,
        JobReport, JobSighting, LeaderProof, MintError, MintRequest, Minted, NodeMap, PodMap, PodRequest,
        PortError, PortErrorKind, PortResult, RepoRef, RunRef, SecretObject,
    },
    runner::Runner,
    scope::ScopeRef,
    snapshot::InstallationHealth,
};

/// The label that the pool of the measurement selects.
pub(crate) const BOARD: (&str, &str) = ("riseproject.dev/board", "board");

fn out_of_scope<T>(operation: &'static str) -> PortResult<T> {
    Err(PortError::new(PortErrorKind::Transient, operation, "this measurement has no outside"))
}

/// GitHub, that never answers a request to mint.
pub(crate) struct SlowForge;

#[async_trait]
impl Forge for SlowForge {
    async fn mint(&self, _: &LeaderProof, _: &MintRequest) -> Result<Minted, MintError> {
        std::future::pending().await
    }

    async fn runners(&self, _: &ScopeRef) -> PortResult<Vec<Runner>> {
        Ok(Vec::new())
    }

    async fn delete_runner(&self, _: &LeaderProof, _: &ScopeRef, _: RunnerId) -> PortResult<Deletion> {
        Ok(Deletion::Gone)
    }

    async fn job(&self, _: &JobRef) -> PortResult<JobSighting> {
        out_of_scope("read a job")
    }

    async fn run_jobs(&self, _: &RunRef) -> PortResult<Vec<JobReport>> {
        out_of_scope("list the jobs of a run")
    }

    async fn run_conclusion(&self, _: &RunRef) -> PortResult<Option<String>> {
        out_of_scope("read a run")
    }

    async fn active_runs(&self, _: &RepoRef) -> PortResult<Vec<ActiveRun>> {
        Ok(Vec::new())
    }

    async fn hook_deliveries(&self, _: EntityKind, _: Timestamp) -> PortResult<Vec<HookDelivery>> {
        Ok(Vec::new())
    }

    async fn redeliver(&self, _: &LeaderProof, _: EntityKind, _: i64) -> PortResult<()> {
        Ok(())
    }

    fn returned(&self, _: InstallationId, _: Timestamp) {}

    fn health(&self, _: InstallationId) -> InstallationHealth {
        InstallationHealth::default()
    }
}

/// A cluster with as many boards as are switched on, and no pods.
#[derive(Default)]
pub(crate) struct Boards(pub(crate) AtomicU32);

#[async_trait]
impl Cluster for Boards {
    async fn nodes(&self) -> PortResult<NodeMap> {
        let labels = BTreeMap::from([(BOARD.0.to_owned(), BOARD.1.to_owned())]);
        let node = |n| {
            let name = NodeName::new(format!("board-{n:03}")).ok()?;
            let labels = labels.clone();
            let node = Node { name, labels, ready: true, cordoned: false, unreachable_since: None, slots: 1 };
            Some((node.name.clone(), node))
        };
        Ok((0..self.0.load(Ordering::Relaxed)).filter_map(node).collect())
    }

    async fn pods(&self) -> PortResult<PodMap> {
        Ok(PodMap::new())
    }

    async fn secrets(&self) -> PortResult<Vec<SecretObject>> {
        Ok(Vec::new())
    }

    async fn create(&self, _: &LeaderProof, _: &PodRequest, _: &JitConfig) -> PortResult<CreatedPod> {
        out_of_scope("create a pod")
    }

    async fn kill(&self, _: &LeaderProof, _: &WorkerName, _: &PodUid) -> PortResult<()> {
        out_of_scope("kill a pod")
    }

    async fn delete(&self, _: &LeaderProof, _: &WorkerName, _: &PodUid, _: Grace) -> PortResult<()> {
        out_of_scope("delete a pod")
    }

    async fn delete_secret(&self, _: &LeaderProof, _: &WorkerName) -> PortResult<()> {
        out_of_scope("delete a secret")
    }

    async fn diagnose(&self, _: &WorkerName) -> Diagnostics {
        Diagnostics::default()
    }
}

#[async_trait]
impl BoardSlots for Boards {
    async fn advertise(&self, _: &LeaderProof, _: &NodeName, _: u32) -> PortResult<()> {
        out_of_scope("advertise a board")
    }
}
