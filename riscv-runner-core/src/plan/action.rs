//! The steps that a plan can ask for. Each carries the state it was planned from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    backoff::Backoff,
    controls::Revocation,
    failure::FailureReason,
    ids::{ImageRef, JobId, NodeName, PodUid, PoolName, RunnerId, WorkerName},
    labels::LabelSet,
    pod::{Pod, PodIdentity},
    quarantine::Quarantine,
    scope::{PoolKey, ScopeRef},
    worker::WorkerStatus,
};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Reserve a row, register the runner, create the secret and the pod.
    Provision(Provision),
    /// The pod was bound to a node: write that to the row.
    NoteBound {
        /// The worker.
        worker: WorkerName,
        /// The status it was planned from.
        from: WorkerStatus,
        /// The node that it was bound to.
        node: NodeName,
    },
    /// The pod is running: mark the worker as running.
    MarkRunning {
        /// The worker.
        worker: WorkerName,
        /// The status it was planned from.
        from: WorkerStatus,
        /// The node that it runs on, if known.
        node: Option<NodeName>,
        /// When its pod started to run.
        at: Timestamp,
    },
    /// The worker completed.
    MarkCompleted {
        /// The worker.
        worker: WorkerName,
        /// The status it was planned from.
        from: WorkerStatus,
        /// When it ended.
        at: Timestamp,
        /// Its key, if a job ran: its back-off ends. Without a job GitHub may have refused the runner.
        served: Option<PoolKey>,
        /// Its board, whose quarantine ends if a job ran.
        node: Option<NodeName>,
    },
    /// The registration was seen earlier and is confirmed gone: the worker is spent.
    MarkGone {
        /// The worker.
        worker: WorkerName,
        /// The status it was planned from.
        from: WorkerStatus,
    },
    /// End a worker: deregister, diagnose, mark failed, end the pod, in this order.
    End(EndWorker),
    /// Write the row of a pod that has none.
    Adopt {
        /// The worker whose pod it is.
        worker: WorkerName,
        /// The uid of the pod.
        uid: PodUid,
        /// What the pod says about its worker.
        identity: PodIdentity,
        /// The node it is bound to.
        node: Option<NodeName>,
        /// When the pod was created.
        created_at: Timestamp,
    },
    /// End a pod that nothing needs, after its registration is deleted.
    KillPod {
        /// The worker whose pod it is.
        worker: WorkerName,
        /// How it is ended.
        pod: PodEnd,
        /// Its registration, if one is known; a refusal to delete it stops the step.
        registration: Option<Registration>,
    },
    /// Delete an ended pod and its secret.
    DeletePod {
        /// The worker whose pod it is.
        worker: WorkerName,
        /// The uid of the pod.
        uid: PodUid,
    },
    /// Delete a secret that nothing needs.
    DeleteSecret {
        /// The worker whose secret it is.
        worker: WorkerName,
    },
    /// Delete a registration that nothing needs.
    Deregister {
        /// The runner's name.
        worker: WorkerName,
        /// The registration.
        registration: Registration,
    },
    /// Register runners again for an image that was set aside as outdated.
    LiftRefusal {
        /// The worker whose runner GitHub accepted.
        worker: WorkerName,
        /// Its image.
        image: ImageRef,
    },
}

/// A worker to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    /// Its name.
    pub name: WorkerName,
    /// Where its runner is registered.
    pub scope: ScopeRef,
    /// The labels its runner carries.
    pub labels: LabelSet,
    /// The pool whose boards it may use.
    pub pool: PoolName,
    /// Its image.
    pub image: ImageRef,
    /// The job that asked for it; GitHub may give it another of the same key.
    pub job: Option<JobId>,
    /// The most live workers that its account may have.
    pub entity_cap: Option<u32>,
    /// The most live workers that its pool may have.
    pub pool_cap: Option<u32>,
    /// How many idle runners its key should have beyond the demand.
    pub warm: u32,
    /// Nodes that its pod must not use.
    pub avoid: Vec<NodeName>,
    /// The back-off of its key if it cannot be created.
    pub on_failure: Backoff,
}

impl Provision {
    /// The key in which it counts as supply.
    #[must_use]
    pub fn key(&self) -> PoolKey {
        PoolKey { scope: self.scope.scope(), labels: self.labels.clone() }
    }
}

/// A registration on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The scope that it is registered in.
    pub scope: ScopeRef,
    /// The id of the runner in that scope.
    pub runner: RunnerId,
}

/// What happens to a worker's pod when the worker ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "pod", rename_all = "snake_case")]
pub enum PodEnd {
    /// Nothing: it has ended, or does not exist.
    Nothing,
    /// The kubelet ends it. First the registration is deleted; a refusal stops the remedy.
    Kill {
        /// The uid of the pod.
        uid: PodUid,
    },
    /// No kubelet will act: it is deleted with no grace. First the registration is deleted; a
    /// refusal stops the remedy.
    ForceDelete {
        /// The uid of the pod.
        uid: PodUid,
    },
}

impl PodEnd {
    /// How a live pod is ended: only a kubelet can end it gently, and only a bound pod has one.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let uid = pod.uid.clone();
        if pod.node.is_some() { Self::Kill { uid } } else { Self::ForceDelete { uid } }
    }
}

/// A worker to be ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndWorker {
    /// The worker.
    pub worker: WorkerName,
    /// The status it was planned from.
    pub from: WorkerStatus,
    /// Why it failed.
    pub reason: FailureReason,
    /// When the worker failed.
    pub at: Timestamp,
    /// Its registration, if one is known.
    pub registration: Option<Registration>,
    /// What happens to its pod.
    pub pod: PodEnd,
    /// The back-off of its key from now on.
    pub backoff: Option<Backoff>,
    /// The quarantine of its board from now on.
    pub quarantine: Option<(NodeName, Quarantine)>,
    /// Its image, if GitHub refuses the image's runner.
    pub refused_image: Option<ImageRef>,
    /// The operator's order, if it is ended because of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
}

impl EndWorker {
    /// Whether it ends something that may be running, so that GitHub must agree first.
    #[must_use]
    pub const fn is_destructive(&self) -> bool {
        match self.pod {
            PodEnd::Nothing => false,
            PodEnd::Kill { .. } | PodEnd::ForceDelete { .. } => true,
        }
    }

    /// Whether it is ended whatever GitHub says: the operator answers for the loss of its job.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.revocation.as_ref().is_some_and(|revocation| revocation.force)
    }
}

impl Action {
    /// The worker that it concerns.
    #[must_use]
    pub const fn worker(&self) -> &WorkerName {
        match self {
            Self::Provision(provision) => &provision.name,
            Self::End(end) => &end.worker,
            Self::NoteBound { worker, .. }
            | Self::MarkRunning { worker, .. }
            | Self::MarkCompleted { worker, .. }
            | Self::MarkGone { worker, .. }
            | Self::Adopt { worker, .. }
            | Self::KillPod { worker, .. }
            | Self::DeletePod { worker, .. }
            | Self::DeleteSecret { worker }
            | Self::Deregister { worker, .. }
            | Self::LiftRefusal { worker, .. } => worker,
        }
    }

    /// The worker to be created, if the action creates one.
    #[must_use]
    pub fn as_provision(&self) -> Option<&Provision> {
        if let Self::Provision(provision) = self { Some(provision) } else { None }
    }

    /// The worker to be ended, if the action ends one.
    #[must_use]
    pub fn as_end(&self) -> Option<&EndWorker> {
        if let Self::End(end) = self { Some(end) } else { None }
    }

    /// The action's name in logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Provision(_) => "provision",
            Self::NoteBound { .. } => "note_bound",
            Self::MarkRunning { .. } => "mark_running",
            Self::MarkCompleted { .. } => "mark_completed",
            Self::MarkGone { .. } => "mark_gone",
            Self::End(_) => "end",
            Self::Adopt { .. } => "adopt",
            Self::KillPod { .. } => "kill_pod",
            Self::DeletePod { .. } => "delete_pod",
            Self::DeleteSecret { .. } => "delete_secret",
            Self::Deregister { .. } => "deregister",
            Self::LiftRefusal { .. } => "lift_refusal",
        }
    }
}
