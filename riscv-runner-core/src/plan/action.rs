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
    /// Reserve a row, mint a registration, create secret and pod.
    Provision(Provision),
    /// The pod was bound to a node: note it.
    NoteBound {
        /// The worker.
        worker: WorkerName,
        /// The status it was planned from.
        from: WorkerStatus,
        /// The node that it was bound to.
        node: NodeName,
    },
    /// The pod runs: so does the worker.
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
    /// The worker did its work.
    MarkCompleted {
        /// The worker.
        worker: WorkerName,
        /// The status it was planned from.
        from: WorkerStatus,
        /// When it ended.
        at: Timestamp,
        /// Its key, if a job ran: it is served again, and its back-off ends. A runner that ended without one
        /// may have been refused by GitHub.
        served: Option<PoolKey>,
        /// Its board, that is rehabilitated if a job ran.
        node: Option<NodeName>,
    },
    /// The registration, once seen, is confirmed gone: the worker is spent.
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
        /// The pod.
        worker: WorkerName,
        /// The uid of the pod.
        uid: PodUid,
        /// What it says of itself.
        identity: PodIdentity,
        /// The node it is bound to.
        node: Option<NodeName>,
        /// When the pod was created.
        created_at: Timestamp,
    },
    /// End a pod that nothing needs, after its registration is deleted.
    KillPod {
        /// The pod.
        worker: WorkerName,
        /// How it is ended.
        pod: PodEnd,
        /// Its registration, if one is known; a refusal to delete it stops the step.
        registration: Option<Registration>,
    },
    /// Delete an ended pod and its secret.
    DeletePod {
        /// The pod.
        worker: WorkerName,
        /// The uid of the pod.
        uid: PodUid,
    },
    /// Delete a secret that nothing needs.
    DeleteSecret {
        /// The secret.
        worker: WorkerName,
    },
    /// Delete a registration that nothing needs.
    Deregister {
        /// Its name.
        worker: WorkerName,
        /// The registration.
        registration: Registration,
    },
    /// Mint again for an image that was set aside as too old.
    LiftRefusal {
        /// The worker whose runner GitHub accepted.
        worker: WorkerName,
        /// Its image.
        image: ImageRef,
    },
}

/// A worker to be made.
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
    /// The most live workers of its account.
    pub entity_cap: Option<u32>,
    /// The most live workers of its pool.
    pub pool_cap: Option<u32>,
    /// Idle runners wished for in its key beyond the demand.
    pub warm: u32,
    /// Nodes that its pod must not use.
    pub avoid: Vec<NodeName>,
    /// The back-off of its key if it cannot be made.
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
    /// Where it is registered.
    pub scope: ScopeRef,
    /// The id of the runner in that scope.
    pub runner: RunnerId,
}

/// What becomes of a worker's pod when the worker ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "pod", rename_all = "snake_case")]
pub enum PodEnd {
    /// It has ended, or is not there.
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
    /// What becomes of its pod.
    pub pod: PodEnd,
    /// The back-off of its key from now on.
    pub backoff: Option<Backoff>,
    /// What is held against its board from now on.
    pub quarantine: Option<(NodeName, Quarantine)>,
    /// Its image, if GitHub refuses the image's runner.
    pub refused_image: Option<ImageRef>,
    /// The operator's wish, if it is ended because of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
}

impl EndWorker {
    /// Whether something that may be running is ended, so that GitHub must agree first.
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
    /// The worker that it is about.
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

    /// The worker to be made, if it makes one.
    #[must_use]
    pub fn as_provision(&self) -> Option<&Provision> {
        if let Self::Provision(provision) = self { Some(provision) } else { None }
    }

    /// The worker to be ended, if it ends one.
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
