//! Fair sharing: free slots are dealt out to the accounts before any of their jobs is read, for reading the
//! oldest would show those of one account alone.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use jiff::Timestamp;

use super::{
    Draft,
    heads::{Room, Shares, Unmet},
};
use crate::ids::{EntityId, PoolName};

/// What an account waits for in a pool, and what it has been dealt.
struct Wanted {
    front: Option<Timestamp>,
    wanted: u32,
    dealt: u32,
}

/// The accounts that slots are dealt out to.
struct Table<'a> {
    slots: BTreeMap<PoolName, u32>,
    accounts: BTreeMap<EntityId, Account<'a>>,
}

struct Account<'a> {
    /// How many more workers it may have.
    left: u32,
    wants: BTreeMap<&'a PoolName, Wanted>,
}

impl<'a> Table<'a> {
    fn new(draft: &Draft<'_>, unmet: &'a [Unmet<'a>], slots: BTreeMap<PoolName, u32>) -> Self {
        let mut room = Room::new(draft);
        let mut accounts: BTreeMap<_, Account<'a>> = BTreeMap::new();
        for of in unmet.iter().filter(|of| !of.may_be_paused(draft.snapshot)) {
            let left = room.of(of);
            let account =
                accounts.entry(of.entity()).or_insert_with(|| Account { left, wants: BTreeMap::new() });
            account.left = account.left.min(left);
            for (pool, pending) in &of.demand.pending_by_pool {
                let first = || Wanted { front: of.demand.oldest, wanted: 0, dealt: 0 };
                let wanted = account.wants.entry(pool).or_insert_with(first);
                let useful = (*pending).min(of.unmet).min(of.within_rules(draft, pool));
                wanted.wanted = wanted.wanted.saturating_add(useful);
            }
        }
        Self { slots, accounts }
    }

    /// The pool of the account's oldest job that could be served, and the job's age.
    fn next_of(&self, entity: EntityId) -> Option<(Option<Timestamp>, &'a PoolName)> {
        let account = self.accounts.get(&entity).filter(|account| account.left > 0)?;
        let open = account.wants.iter().filter(|(pool, wanted)| {
            wanted.dealt < wanted.wanted && self.slots.get(**pool).is_some_and(|free| *free > 0)
        });
        open.map(|(pool, wanted)| (wanted.front, *pool)).min()
    }

    fn deal(&mut self, entity: EntityId, pool: &PoolName) {
        let Some(account) = self.accounts.get_mut(&entity) else { return };
        if let (Some(wanted), Some(free)) = (account.wants.get_mut(pool), self.slots.get_mut(pool)) {
            wanted.dealt += 1;
            *free -= 1;
            account.left -= 1;
        }
    }
}

/// Deals the slots out, one by one to the account that has least, each time for the pool of its oldest job.
pub(super) fn deal_slots(draft: &Draft<'_>, unmet: &[Unmet<'_>], slots: BTreeMap<PoolName, u32>) -> Shares {
    let all = slots.clone();
    let mut table = Table::new(draft, unmet, slots);
    let in_turn = |table: &Table<'_>, share: u32, entity: EntityId| {
        let (front, _) = table.next_of(entity)?;
        Some(Reverse((share, front, entity)))
    };
    let entities = table.accounts.keys().copied();
    let mut order: BinaryHeap<_> =
        entities.filter_map(|entity| in_turn(&table, draft.live_of(entity), entity)).collect();
    while let Some(Reverse((share, _, entity))) = order.pop() {
        let Some((_, pool)) = table.next_of(entity) else { continue };
        table.deal(entity, pool);
        order.extend(in_turn(&table, share + 1, entity));
    }
    let mut shares = Shares::new();
    for (entity, account) in table.accounts {
        let dealt = account.wants.into_iter().map(|(pool, wanted)| (pool, wanted.dealt));
        shares.extend(dealt.map(|(pool, dealt)| ((Some(entity), pool.clone()), dealt)));
    }
    for of in unmet.iter().filter(|of| of.may_be_paused(draft.snapshot)) {
        for (pool, slots) in of.pools().filter_map(|pool| all.get_key_value(pool)) {
            shares.entry((Some(of.entity()), pool.clone())).or_insert(*slots);
        }
    }
    shares
}
