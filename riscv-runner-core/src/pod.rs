//! Pods and nodes as the domain sees them: what a cycle may know, not what Kubernetes stores.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{ImageRef, NodeName, PodUid, PoolName, WorkerName},
    labels::LabelSet,
    scope::ScopeRef,
};

/// The label that names the kind of board, on nodes and on our pods.
pub const BOARD_LABEL: &str = "riseproject.dev/board";

/// A pod's phase, with what is known in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum PodPhase {
    /// Not all containers have started.
    Pending {
        /// Why not, in Kubernetes' words (`Unschedulable`, `ImagePullBackOff`, …).
        reason: Option<String>,
    },
    /// The runner's container has started.
    Running {
        /// When the runner container started.
        since: Timestamp,
    },
    /// Every container ended with success.
    Succeeded {
        /// When the pod ended.
        at: Timestamp,
    },
    /// A container ended with failure, or the pod was ended.
    Failed {
        /// When the pod ended.
        at: Timestamp,
        /// The runner container's exit code.
        exit_code: Option<i32>,
        /// The pod's reason, e.g. `DeadlineExceeded` or `Evicted`.
        reason: Option<String>,
    },
    /// The kubelet does not answer.
    Unknown,
}

impl PodPhase {
    /// When the pod ended, if it has.
    #[must_use]
    pub const fn ended_at(&self) -> Option<Timestamp> {
        match self {
            Self::Succeeded { at } | Self::Failed { at, .. } => Some(*at),
            Self::Pending { .. } | Self::Running { .. } | Self::Unknown => None,
        }
    }
}

/// One of our pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its name, which is its worker's.
    pub name: WorkerName,
    /// The uid of the pod.
    pub uid: PodUid,
    /// Its phase.
    #[serde(flatten)]
    pub phase: PodPhase,
    /// The node that it is bound to.
    pub node: Option<NodeName>,
    /// The pool named by its labels.
    pub pool: Option<PoolName>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Whether it has been deleted and the kubelet is still ending it.
    pub deleting: bool,
    /// Whether we asked the kubelet to end it.
    pub killed: bool,
    /// What its annotations say about its worker, when they suffice to adopt it.
    pub identity: Option<PodIdentity>,
}

impl Pod {
    /// Whether it still holds the slot of the node that it is bound to.
    #[must_use]
    pub const fn holds_slot(&self) -> bool {
        self.phase.ended_at().is_none()
    }
}

/// What a pod records about its worker: enough to write the worker's row again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodIdentity {
    /// Where its runner is registered.
    pub scope: ScopeRef,
    /// The labels its runner carries.
    pub labels: LabelSet,
    /// The pool whose boards it uses.
    pub pool: PoolName,
    /// Its image.
    pub image: ImageRef,
}

/// A machine of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// Its labels, which pools select by.
    pub labels: BTreeMap<String, String>,
    /// Whether its condition `Ready` is `True`.
    pub ready: bool,
    /// Whether it is marked unschedulable.
    pub cordoned: bool,
    /// Since when it has been tainted `node.kubernetes.io/unreachable`.
    pub unreachable_since: Option<Timestamp>,
    /// Allocatable `riseproject.com/runner`.
    pub slots: u32,
}

impl Node {
    /// Whether new pods may go there, as far as the cluster is concerned.
    #[must_use]
    pub const fn accepts_pods(&self) -> bool {
        self.ready && !self.cordoned && self.unreachable_since.is_none()
    }

    /// Whether it carries every label of the selector.
    #[must_use]
    pub fn matches(&self, selector: &BTreeMap<String, String>) -> bool {
        selector.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}
