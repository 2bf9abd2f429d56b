//! Free slots: what the boards offer, less what is taken, for pools that may share boards.
//!
//! Pods that are not bound yet could land on any board of their pool; `flow.rs` finds out whether
//! they leave one free.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;

pub use super::flow::Slot;
use super::{
    flow::{Flow, PoolIx},
    hold::{DrainedBoard, MOST_NAMED},
    side_by_side::side_by_side,
};
use crate::{
    controls::Note,
    ids::{NodeName, PoolName, WorkerName},
    pod::{Node, Pod},
    policy::Policy,
    quarantine::Admission,
    snapshot::Snapshot,
};

/// What one pool has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolSlots {
    /// Slots of boards that take workers.
    pub total: u32,
    /// Slots taken of them: bound pods, unbound pods, and reservations without a pod.
    pub active: u32,
    /// Boards set aside, and when the first of them is tried again.
    pub quarantined: Option<(u32, Timestamp)>,
    /// Boards that would take workers, did operators not drain them.
    pub drained: u32,
    /// The first of these by name; shared, because every key that waits for the pool is told of them.
    pub drained_boards: Arc<Vec<DrainedBoard>>,
}

impl PoolSlots {
    fn add_drained(&mut self, board: &NodeName, note: &Note) {
        self.drained += 1;
        if self.drained_boards.len() < MOST_NAMED {
            let (board, note) = (board.clone(), note.clone());
            Arc::make_mut(&mut self.drained_boards).push(DrainedBoard { board, note });
        }
    }
}

/// The free slots of all pools.
#[derive(Debug, Clone)]
pub struct Capacity {
    pools: Vec<PoolName>,
    flow: Flow,
    slots: Vec<PoolSlots>,
    avoid: Vec<NodeName>,
}

impl Capacity {
    /// Counts the slots; `None` while nodes or pods cannot be observed.
    #[must_use]
    pub fn of(snapshot: &Snapshot, policy: &Policy) -> Option<Self> {
        let nodes = snapshot.nodes.present()?;
        let pods = snapshot.pods.present()?;
        let pools: Vec<_> = policy.pools.keys().cloned().collect();
        let mut capacity = Self {
            slots: vec![PoolSlots::default(); pools.len()],
            flow: Flow::new(pools.len()),
            pools,
            avoid: Vec::new(),
        };
        let mut bound: HashMap<&NodeName, u32> = HashMap::with_capacity(nodes.len());
        for node in pods.values().filter(|pod| pod.holds_slot()).filter_map(|pod| pod.node.as_ref()) {
            *bound.entry(node).or_default() += 1;
        }
        let mut selection = Selection::of(policy);
        for node in nodes.values() {
            if let Some(class) = selection.class_of(node, &mut capacity.flow) {
                let taken = bound.get(&node.name).copied().unwrap_or(0);
                capacity.add_node(snapshot, node, class, taken);
            }
        }
        capacity.take_unbound(snapshot, pods);
        Some(capacity)
    }

    fn add_node(&mut self, snapshot: &Snapshot, node: &Node, class: usize, taken: u32) {
        let admission =
            snapshot.quarantines.get(&node.name).map_or(Admission::Open, |q| q.admission(snapshot.now));
        let note = snapshot.controls.drained_nodes.get(&node.name);
        let drained = note.is_some();
        if let Admission::Closed(until) = admission {
            self.set_aside(class, until);
        }
        let offered = match admission {
            _ if drained || !node.accepts_pods() => 0,
            Admission::Closed(_) => 0,
            Admission::Canary => node.slots.min(1),
            Admission::Open => node.slots,
        };
        // Kubernetes keeps pods off nodes that it knows to be unfit; what only we know, it must be told,
        // of an unfit node too: it may be fit again before the pod is placed.
        let set_aside = match admission {
            Admission::Open => false,
            Admission::Closed(_) => true,
            Admission::Canary => taken >= offered && offered < node.slots,
        };
        if drained || set_aside {
            self.avoid.push(node.name.clone());
        }
        let withheld = note.filter(|_| node.accepts_pods());
        for ix in &self.flow.class(class).pools {
            if let Some(note) = withheld {
                self.slots[*ix].add_drained(&node.name, note);
            }
            self.slots[*ix].total += offered;
            self.slots[*ix].active += taken.min(offered);
        }
        self.flow.add(class, offered.saturating_sub(taken));
    }

    fn set_aside(&mut self, class: usize, until: Timestamp) {
        for ix in &self.flow.class(class).pools {
            let entry = self.slots[*ix].quarantined.get_or_insert((0, until));
            entry.0 += 1;
            entry.1 = entry.1.min(until);
        }
    }

    fn take_unbound(&mut self, snapshot: &Snapshot, pods: &BTreeMap<WorkerName, Pod>) {
        let unbound = pods.iter().filter(|(_, pod)| pod.holds_slot() && pod.node.is_none());
        let pool_of = |name| snapshot.workers.get(name).map(|worker| &worker.pool);
        let waiting = unbound.filter_map(|(name, pod)| pod.pool.as_ref().or_else(|| pool_of(name)));
        let reserved = side_by_side(&snapshot.workers, pods)
            .filter(|(worker, pod)| pod.is_none() && !worker.status.is_terminal())
            .map(|(worker, _)| &worker.pool);
        for pool in waiting.chain(reserved) {
            // Without a free slot the pod waits in the cluster; it takes nothing that is not there.
            let _ = self.take_up_to(pool, 1);
        }
    }

    /// Looks for a free slot of the pool.
    pub fn find(&mut self, pool: &PoolName) -> Option<Slot> {
        self.pools.binary_search(pool).ok().and_then(|ix| self.flow.find(ix))
    }

    /// Takes a slot of the pool that [`Self::find`] found.
    pub fn take(&mut self, pool: &PoolName, slot: &Slot) {
        self.flow.take(slot);
        if let Ok(ix) = self.pools.binary_search(pool) {
            self.slots[ix].active += 1;
        }
    }

    /// Takes as many slots of the pool as there are, up to `wanted`; how many were taken.
    pub fn take_up_to(&mut self, pool: &PoolName, wanted: u32) -> u32 {
        let Ok(ix) = self.pools.binary_search(pool) else { return 0 };
        let taken = self.flow.take_up_to(ix, wanted);
        self.slots[ix].active += taken;
        taken
    }

    /// What the pool has; `None` for a pool that the configuration does not have.
    #[must_use]
    pub fn slots(&self, pool: &PoolName) -> Option<&PoolSlots> {
        self.pools.binary_search(pool).ok().map(|ix| &self.slots[ix])
    }

    /// The free slots of every pool, each as if it alone took them.
    #[must_use]
    pub fn free(&self) -> BTreeMap<PoolName, u32> {
        let free = |ix: PoolIx| self.flow.clone().take_up_to(ix, u32::MAX);
        self.pools.iter().enumerate().map(|(ix, pool)| (pool.clone(), free(ix))).collect()
    }

    /// Nodes that new pods must be kept off although Kubernetes would use them.
    #[must_use]
    pub fn avoid(&self) -> &[NodeName] {
        &self.avoid
    }
}

/// Which pools select a node. Only the labels that some pool selects by are looked at, and nodes that
/// agree in them are asked about once.
struct Selection<'a> {
    policy: &'a Policy,
    selected_by: Vec<&'a str>,
    /// The class of the nodes with these values of those labels; `None` if no pool selects them.
    known: HashMap<Vec<Option<&'a str>>, Option<usize>>,
}

impl<'a> Selection<'a> {
    fn of(policy: &'a Policy) -> Self {
        let labels: BTreeSet<&str> =
            policy.pools.values().flat_map(|pool| pool.node_selector.keys()).map(String::as_str).collect();
        Self { policy, selected_by: labels.into_iter().collect(), known: HashMap::new() }
    }

    fn class_of(&mut self, node: &'a Node, flow: &mut Flow) -> Option<usize> {
        let values: Vec<_> =
            self.selected_by.iter().map(|label| node.labels.get(*label).map(String::as_str)).collect();
        *self.known.entry(values).or_insert_with(|| {
            let pools = self.policy.pools.values().enumerate();
            let pools: Vec<PoolIx> =
                pools.filter(|(_, pool)| node.matches(&pool.node_selector)).map(|(ix, _)| ix).collect();
            (!pools.is_empty()).then(|| flow.class_of(pools))
        })
    }
}
