//! Slots of boards that several pools may share, and how to find one that is free.
//!
//! Boards that the same pools select form a class. What is counted in one class of its pool may be
//! counted in another as well, so a slot is free for a pool if what is placed can be arranged to leave
//! one: a small flow problem, solved exactly by augmenting paths.

use std::collections::{BTreeMap, VecDeque};

/// A pool's place in the order of names.
pub(super) type PoolIx = usize;

/// Boards that the same pools select.
#[derive(Debug, Clone)]
pub(super) struct Class {
    /// The pools, in order.
    pub(super) pools: Vec<PoolIx>,
    /// Slots that nothing takes.
    pub(super) free: u32,
    /// Slots that are counted here and could be counted in another class of the pool.
    placed: BTreeMap<PoolIx, u32>,
}

/// A free slot that was found and is not taken yet; good until another one is taken.
#[derive(Debug)]
#[must_use]
pub struct Slot {
    /// The class that has it and the pool that is counted there from now on; that pool leaves the class
    /// of the next hop to the next pool. The last pool is the one for which the slot was looked for.
    hops: Vec<(usize, PoolIx)>,
}

/// The slots of all classes.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    classes: Vec<Class>,
    /// Pools for which no slot was found. Slots are only ever taken, so none will be found later.
    full: Vec<bool>,
}

impl Flow {
    pub(super) fn new(pools: usize) -> Self {
        Self { classes: Vec::new(), full: vec![false; pools] }
    }

    pub(super) fn class(&self, at: usize) -> &Class {
        &self.classes[at]
    }

    /// The class of the boards that these pools select.
    pub(super) fn class_of(&mut self, pools: Vec<PoolIx>) -> usize {
        let known = self.classes.iter().position(|class| class.pools == pools);
        known.unwrap_or_else(|| {
            self.classes.push(Class { pools, free: 0, placed: BTreeMap::new() });
            self.classes.len() - 1
        })
    }

    /// Adds free slots; all of them before the first is looked for.
    pub(super) fn add(&mut self, class: usize, free: u32) {
        self.classes[class].free += free;
    }

    /// Looks for a free slot of the pool.
    pub(super) fn find(&mut self, pool: PoolIx) -> Option<Slot> {
        if self.full[pool] {
            return None;
        }
        let direct = self.classes.iter().position(|class| class.free > 0 && class.pools.contains(&pool));
        let slot = direct.map(|class| Slot { hops: vec![(class, pool)] }).or_else(|| self.rearranged(pool));
        self.full[pool] = slot.is_none();
        slot
    }

    /// The shortest path from the pool to a class with a free slot, along which others are counted
    /// elsewhere.
    fn rearranged(&self, pool: PoolIx) -> Option<Slot> {
        let mut came_from: Vec<Option<(PoolIx, Option<usize>)>> = vec![None; self.classes.len()];
        let mut seen = vec![false; self.full.len()];
        seen[pool] = true;
        let mut queue = VecDeque::from([(pool, None)]);
        while let Some((at, via)) = queue.pop_front() {
            for (n, class) in self.classes.iter().enumerate() {
                if came_from[n].is_some() || !class.pools.contains(&at) {
                    continue;
                }
                came_from[n] = Some((at, via));
                if class.free > 0 {
                    return Some(Slot { hops: way_back(&came_from, n) });
                }
                for (other, count) in &class.placed {
                    if *count > 0 && !std::mem::replace(&mut seen[*other], true) {
                        queue.push_back((*other, Some(n)));
                    }
                }
            }
        }
        None
    }

    /// Takes the slot.
    pub(super) fn take(&mut self, slot: &Slot) {
        self.take_many(slot, 1);
    }

    fn take_many(&mut self, slot: &Slot, count: u32) {
        if let Some((end, _)) = slot.hops.first() {
            self.classes[*end].free -= count;
        }
        let left = slot.hops.iter().skip(1).map(|(class, _)| Some(*class)).chain([None]);
        for ((to, pool), from) in slot.hops.iter().zip(left) {
            *self.classes[*to].placed.entry(*pool).or_default() += count;
            if let Some(placed) = from.and_then(|from| self.classes[from].placed.get_mut(pool)) {
                *placed -= count;
            }
        }
    }

    /// Takes as many slots of the pool as there are, up to a number of them; how many were taken.
    pub(super) fn take_up_to(&mut self, pool: PoolIx, wanted: u32) -> u32 {
        let mut taken = 0;
        while taken < wanted {
            let Some(slot) = self.find(pool) else { break };
            let count = self.width(&slot).min(wanted - taken);
            self.take_many(&slot, count);
            taken += count;
        }
        taken
    }

    /// How many slots can be taken in the same way.
    fn width(&self, slot: &Slot) -> u32 {
        let free = slot.hops.first().map_or(0, |(end, _)| self.classes[*end].free);
        let moves = slot.hops.windows(2);
        let movable = |pair: &[(usize, PoolIx)]| {
            let [(_, pool), (from, _)] = pair else { return 0 };
            self.classes[*from].placed.get(pool).copied().unwrap_or(0)
        };
        moves.map(movable).fold(free, u32::min)
    }
}

fn way_back(came_from: &[Option<(PoolIx, Option<usize>)>], end: usize) -> Vec<(usize, PoolIx)> {
    let mut hops = Vec::new();
    let mut at = Some(end);
    while let Some(class) = at {
        let Some((pool, via)) = came_from[class] else { break };
        hops.push((class, pool));
        at = via;
    }
    hops
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(classes: &[(&[PoolIx], u32)], pools: usize) -> Flow {
        let mut flow = Flow::new(pools);
        for (pools, free) in classes {
            let class = flow.class_of(pools.to_vec());
            flow.add(class, *free);
        }
        flow
    }

    #[test]
    fn what_is_placed_moves_to_make_room() {
        // 0 may use both classes and takes from the first; 1 has only the first.
        let mut flow = flow(&[(&[0, 1], 1), (&[0], 1)], 2);
        assert_eq!(flow.take_up_to(0, 1), 1);
        assert_eq!(flow.take_up_to(1, 5), 1);
        assert_eq!(flow.take_up_to(0, 5), 0);
    }

    #[test]
    fn room_is_made_over_several_classes_at_once() {
        let mut flow = flow(&[(&[0, 1], 3), (&[0, 2], 3), (&[2], 2)], 3);
        assert_eq!(flow.take_up_to(0, 3), 3);
        assert_eq!(flow.take_up_to(2, 3), 3);
        assert_eq!(flow.take_up_to(1, 9), 2, "of the three of 0 two find room where 2 makes it");
        assert_eq!(flow.classes.iter().map(|class| class.free).sum::<u32>(), 0);
    }

    #[test]
    fn many_at_once_are_as_many_as_one_by_one() {
        for a in 0..4 {
            for b in 0..4 {
                let start = flow(&[(&[0, 1], 3), (&[1, 2], 2), (&[0, 2], 1)], 3);
                let (mut at_once, mut singly) = (start.clone(), start);
                let one_by_one =
                    |flow: &mut Flow, pool, n| (0..n).map(|_| flow.take_up_to(pool, 1)).sum::<u32>();
                for (pool, n) in [(0, a), (1, b), (2, 9), (0, 9), (1, 9)] {
                    assert_eq!(at_once.take_up_to(pool, n), one_by_one(&mut singly, pool, n));
                }
            }
        }
    }
}
