//! The cluster as it really is: machines, pods, secrets, a scheduler and kubelets.

mod bench;
mod kubelet;
mod machines;
mod port;
mod scheduler;
mod slots;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use riscv_runner_core::{
    enrolment::enrolled_slots,
    failure::PodEvent,
    ids::{ImageRef, NodeName, PoolName, RunnerId, WorkerName},
    pod::{Node, Pod},
    ports::{JitConfig, PodRequest},
};

pub use bench::Bench;
pub use kubelet::PodEnd;
pub use port::SimCluster;

/// What the cluster holds.
#[derive(Debug, Default)]
pub(crate) struct Boards {
    pub(crate) nodes: BTreeMap<NodeName, Machine>,
    pub(crate) pods: BTreeMap<WorkerName, SimPod>,
    pub(crate) secrets: BTreeMap<WorkerName, Secret>,
    /// Which nodes each pool selects.
    pub(crate) selectors: BTreeMap<PoolName, BTreeMap<String, String>>,
    /// Images whose runner GitHub refuses as too old.
    pub(crate) refused_images: BTreeSet<ImageRef>,
    /// Names that pods of somebody else have.
    pub(crate) foreign: BTreeSet<WorkerName>,
    /// Workers that an operator wants gone though a job runs on them.
    pub(crate) condemned: BTreeSet<WorkerName>,
    /// Pods that found a node since the laws last looked.
    pub(crate) placed: Vec<(WorkerName, NodeName)>,
    names: BTreeMap<u64, WorkerName>,
    last_number: u64,
}

/// A secret.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    /// When it was created.
    pub(crate) created_at: Timestamp,
    /// The JIT configuration that it holds now.
    pub(crate) jit: JitConfig,
}

/// A machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// As the API shows it.
    pub(crate) node: Node,
    /// Whether its kubelet and containers run.
    pub(crate) alive: bool,
}

/// A pod.
#[derive(Debug, Clone)]
pub(crate) struct SimPod {
    /// Its number among all pods ever.
    pub(crate) number: u64,
    /// As the API shows it.
    pub(crate) pod: Pod,
    /// What it was made from.
    pub(crate) request: PodRequest,
    /// The registration that its runner was started for, read from the secret at that time.
    pub(crate) runner: Option<RunnerId>,
    /// What the cluster recorded about it, oldest first.
    pub(crate) events: Vec<PodEvent>,
}

impl Boards {
    /// The pod of this number, if it still exists.
    pub(crate) fn numbered(&mut self, number: u64) -> Option<&mut SimPod> {
        let name = self.names.get(&number)?;
        self.pods.get_mut(name).filter(|pod| pod.number == number)
    }

    /// Forgets a pod.
    pub(crate) fn remove(&mut self, number: u64) -> Option<SimPod> {
        let name = self.names.remove(&number)?;
        self.pods.remove(&name)
    }

    /// Pods that hold a slot of a node.
    pub(crate) fn holders<'a>(&'a self, node: &'a NodeName) -> impl Iterator<Item = &'a SimPod> {
        self.pods.values().filter(move |pod| pod.pod.node.as_ref() == Some(node) && pod.pod.holds_slot())
    }

    /// Whether the machine of a pod runs.
    pub(crate) fn is_alive(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|machine| machine.alive)
    }

    /// Nodes that a pool selects.
    pub(crate) fn nodes_of<'a>(&'a self, pool: &PoolName) -> impl Iterator<Item = &'a Machine> {
        let selector = self.selectors.get(pool);
        self.nodes.values().filter(move |machine| selector.is_some_and(|wanted| machine.node.matches(wanted)))
    }

    /// Slots of a node, whether or not its kubelet knows of those that it was enrolled with.
    pub(crate) fn slots_of(node: &Node) -> u32 {
        node.slots.max(enrolled_slots(node).unwrap_or_default())
    }

    fn number(&mut self, name: &WorkerName) -> u64 {
        self.last_number += 1;
        self.names.insert(self.last_number, name.clone());
        self.last_number
    }
}
