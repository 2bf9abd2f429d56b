//! What the engine needs of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

use super::{BoardSlots, LeaderProof, PortResult};
use crate::{
    failure::Diagnostics,
    ids::{ImageRef, NodeName, PodUid, PoolName, WorkerName},
    labels::LabelSet,
    pod::{Node, Pod},
    scope::ScopeRef,
};

/// What a runner needs to start. Never logged, never in a pod spec.
pub type JitConfig = SecretString;

/// The machines, by name.
pub type NodeMap = BTreeMap<NodeName, Node>;

/// Our pods, by name.
pub type PodMap = BTreeMap<WorkerName, Pod>;

/// A pod to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRequest {
    /// Its name, and its secret's.
    pub name: WorkerName,
    /// The pool whose template and selector it uses.
    pub pool: PoolName,
    /// The runner's image.
    pub image: ImageRef,
    /// Where its runner is registered; stored on the pod, so that it can be adopted.
    pub scope: ScopeRef,
    /// The labels its runner carries; stored on the pod.
    pub labels: LabelSet,
    /// Nodes that it must not use.
    pub avoid: BTreeSet<NodeName>,
}

/// A pod that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedPod {
    /// The uid of the pod.
    pub uid: PodUid,
}

/// How long a deleted pod may take to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// As long as its template says.
    Default,
    /// Not at all: no kubelet will act.
    Zero,
}

/// One of our secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretObject {
    /// Its name, which is its worker's.
    pub name: WorkerName,
    /// When it was created.
    pub created_at: Timestamp,
}

/// The cluster, as the engine needs it.
#[async_trait]
pub trait Cluster: BoardSlots {
    /// The machines that carry our extended resource.
    ///
    /// # Errors
    /// When the cluster cannot be observed; a stale view is an error too.
    async fn nodes(&self) -> PortResult<NodeMap>;

    /// Our pods, ended ones included until they are deleted.
    ///
    /// # Errors
    /// When the cluster cannot be observed.
    async fn pods(&self) -> PortResult<PodMap>;

    /// Our secrets.
    ///
    /// # Errors
    /// When the cluster cannot be observed.
    async fn secrets(&self) -> PortResult<Vec<SecretObject>>;

    /// Creates the secret with the JIT configuration and then the pod that refers to it. A pod of
    /// ours with this name that is there already is success.
    ///
    /// # Errors
    /// When the pod could not be created for certain, or nothing is known about it (`Transient`).
    async fn create(
        &self,
        proof: &LeaderProof,
        request: &PodRequest,
        jit: &JitConfig,
    ) -> PortResult<CreatedPod>;

    /// Lets the kubelet end the pod, keeping its logs and events. Success when it is gone or ended.
    ///
    /// # Errors
    /// `Conflict` when a pod of this name has another uid.
    async fn kill(&self, proof: &LeaderProof, name: &WorkerName, uid: &PodUid) -> PortResult<()>;

    /// Deletes the pod and its secret. Success when it is gone.
    ///
    /// # Errors
    /// `Conflict` when a pod of this name has another uid.
    async fn delete(
        &self,
        proof: &LeaderProof,
        name: &WorkerName,
        uid: &PodUid,
        grace: Grace,
    ) -> PortResult<()>;

    /// Deletes the secret. Success when it is gone.
    ///
    /// # Errors
    /// When the cluster does not say that it is gone.
    async fn delete_secret(&self, proof: &LeaderProof, name: &WorkerName) -> PortResult<()>;

    /// Collects what is available about a pod: states, logs, events. What is not available is named in
    /// `collect_error`; this never fails.
    async fn diagnose(&self, name: &WorkerName) -> Diagnostics;
}
