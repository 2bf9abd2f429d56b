//! Free slots: what the boards offer, less what is taken, for pools that may share boards.
//!
//! Nodes that the same pools select form a class. Pods that are not bound yet could land on any class
//! of their pool, so a slot is free for a pool if the waiting pods can be arranged to leave one: a
//! small flow problem, solved exactly by augmenting paths.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use crate::{
    ids::{NodeName, PoolName},
    policy::Policy,
    quarantine::Admission,
    snapshot::Snapshot,
};

type PoolIx = usize;

#[derive(Debug, Clone, Default)]
struct Class {
    free: u32,
    /// Slots of unbound pods that are counted here, by pool.
    placed: BTreeMap<PoolIx, u32>,
}

/// What one pool has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolSlots {
    /// Slots of boards that take workers.
    pub total: u32,
    /// Slots taken of them: bound pods, unbound pods, and reservations without a pod.
    pub active: u32,
    /// Boards set aside, and when the first of them is tried again.
    pub quarantined: Option<(u32, Timestamp)>,
}

/// The free slots of all pools.
#[derive(Debug, Clone)]
pub struct Capacity {
    pools: Vec<PoolName>,
    classes: BTreeMap<BTreeSet<PoolIx>, Class>,
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
            pools,
            classes: BTreeMap::new(),
            avoid: Vec::new(),
        };
        let mut bound: BTreeMap<&NodeName, u32> = BTreeMap::new();
        for node in pods.values().filter(|pod| pod.holds_slot()).filter_map(|pod| pod.node.as_ref()) {
            *bound.entry(node).or_default() += 1;
        }
        for node in nodes.values() {
            let selected: BTreeSet<PoolIx> = policy
                .pools
                .values()
                .enumerate()
                .filter(|(_, p)| node.matches(&p.node_selector))
                .map(|(ix, _)| ix)
                .collect();
            if selected.is_empty() {
                continue;
            }
            let taken = bound.get(&node.name).copied().unwrap_or(0);
            let admission =
                snapshot.quarantines.get(&node.name).map_or(Admission::Open, |q| q.admission(snapshot.now));
            let drained = snapshot.controls.drained_nodes.contains_key(&node.name);
            if let Admission::Closed(until) = admission {
                capacity.set_aside(&selected, until);
            }
            let offered = match admission {
                _ if drained || !node.accepts_pods() => 0,
                Admission::Closed(_) => 0,
                Admission::Canary => node.slots.min(1),
                Admission::Open => node.slots,
            };
            // Kubernetes keeps pods off nodes that it knows to be unfit; what only we know, it must be told.
            if node.accepts_pods() && (drained || taken >= offered && offered < node.slots) {
                capacity.avoid.push(node.name.clone());
            }
            capacity.add_board(selected, offered, taken);
        }
        capacity.take_unbound(snapshot);
        Some(capacity)
    }

    fn set_aside(&mut self, selected: &BTreeSet<PoolIx>, until: Timestamp) {
        for ix in selected {
            let entry = self.slots[*ix].quarantined.get_or_insert((0, until));
            entry.0 += 1;
            entry.1 = entry.1.min(until);
        }
    }

    fn add_board(&mut self, selected: BTreeSet<PoolIx>, offered: u32, taken: u32) {
        for ix in &selected {
            self.slots[*ix].total += offered;
            self.slots[*ix].active += taken.min(offered);
        }
        self.classes.entry(selected).or_default().free += offered.saturating_sub(taken);
    }

    fn take_unbound(&mut self, snapshot: &Snapshot) {
        let pods = snapshot.pods.present();
        let unbound = pods.into_iter().flatten().filter(|(_, pod)| pod.holds_slot() && pod.node.is_none());
        let pool_of = |name| snapshot.workers.get(name).map(|worker| &worker.pool);
        let waiting = unbound.filter_map(|(name, pod)| pod.pool.as_ref().or_else(|| pool_of(name)));
        let reserved = snapshot
            .workers
            .values()
            .filter(|worker| !worker.status.is_terminal() && snapshot.pod(&worker.name).is_absent())
            .map(|worker| &worker.pool);
        for pool in waiting.chain(reserved) {
            if let Ok(ix) = self.pools.binary_search(pool) {
                // Without a free slot the pod waits in the cluster; it takes nothing that is not there.
                let _ = self.place(ix);
            }
        }
    }

    /// Takes a slot of the pool; whether there was one.
    pub fn take(&mut self, pool: &PoolName) -> bool {
        self.pools.binary_search(pool).is_ok_and(|ix| self.place(ix))
    }

    /// What the pool has; `None` for a pool that the configuration does not have.
    #[must_use]
    pub fn slots(&self, pool: &PoolName) -> Option<&PoolSlots> {
        self.pools.binary_search(pool).ok().map(|ix| &self.slots[ix])
    }

    /// The free slots of every pool, each as if it alone took them.
    #[must_use]
    pub fn free(&self) -> BTreeMap<PoolName, u32> {
        let free = |ix: PoolIx| {
            let mut trial = self.clone();
            let mut n = 0;
            while trial.place(ix) {
                n += 1;
            }
            n
        };
        self.pools.iter().enumerate().map(|(ix, pool)| (pool.clone(), free(ix))).collect()
    }

    /// Nodes that new pods must be kept off although Kubernetes would use them.
    #[must_use]
    pub fn avoid(&self) -> &[NodeName] {
        &self.avoid
    }

    /// Finds the shortest path from the pool to a class with a free slot, along which pods that are
    /// not bound yet are counted elsewhere.
    fn place(&mut self, pool: PoolIx) -> bool {
        let classes: Vec<BTreeSet<PoolIx>> = self.classes.keys().cloned().collect();
        let mut came_from: Vec<Option<(PoolIx, Option<usize>)>> = vec![None; classes.len()];
        let mut queue = VecDeque::from([(pool, None)]);
        let mut seen = BTreeSet::from([pool]);
        let mut end = None;
        'search: while let Some((at, via)) = queue.pop_front() {
            for (n, class) in classes.iter().enumerate() {
                if !class.contains(&at) || came_from[n].is_some() {
                    continue;
                }
                came_from[n] = Some((at, via));
                let state = &self.classes[class];
                if state.free > 0 {
                    end = Some(n);
                    break 'search;
                }
                for (other, count) in &state.placed {
                    if *count > 0 && seen.insert(*other) {
                        queue.push_back((*other, Some(n)));
                    }
                }
            }
        }
        let Some(end) = end else { return false };
        if let Some(state) = self.classes.get_mut(&classes[end]) {
            state.free -= 1;
        }
        let mut step = Some(end);
        while let Some(n) = step {
            let Some((mover, via)) = came_from[n] else { break };
            self.shift(&classes[n], mover, true);
            if let Some(old) = via {
                self.shift(&classes[old], mover, false);
            }
            step = via;
        }
        self.slots[pool].active += 1;
        true
    }

    fn shift(&mut self, class: &BTreeSet<PoolIx>, pool: PoolIx, add: bool) {
        if let Some(state) = self.classes.get_mut(class) {
            let count = state.placed.entry(pool).or_default();
            *count = if add { *count + 1 } else { count.saturating_sub(1) };
        }
    }
}
