//! The keys' queues of unmet jobs, merged in the order of the sharing policy.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use jiff::Timestamp;

use super::{Draft, Hold, match_demand::met};
use crate::{
    ids::{EntityId, JobId},
    policy::Sharing,
    scope::PoolKey,
    snapshot::{Demand, DemandByKey},
};

/// The next job to be judged.
pub(super) struct Turn<'a> {
    pub(super) key: &'a PoolKey,
    pub(super) demand: &'a Demand,
    /// Its place among the waiting jobs of the key.
    pub(super) next: usize,
    line: usize,
}

/// The first unmet job of a key, by age.
type Head<'a> = (Timestamp, JobId, &'a PoolKey, usize);

/// Keys that wait together: those of one account, or all of them.
struct Line<'a> {
    account: Option<EntityId>,
    heads: BinaryHeap<Reverse<Head<'a>>>,
}

/// The queues of all keys. Keys of one account share a line, so that one more worker of the account
/// changes one place in the order, however many keys it has.
pub(super) struct Queues<'a> {
    lines: Vec<Line<'a>>,
    /// The lines by what their account has, and by the age of their first job.
    order: BinaryHeap<Reverse<(u32, Timestamp, JobId, usize)>>,
    demand: &'a DemandByKey,
}

impl<'a> Queues<'a> {
    /// The queues, without the oldest jobs of each key for which workers are on their way.
    pub(super) fn of(draft: &mut Draft<'a>) -> Self {
        let demand = &draft.snapshot.demand;
        let fair = draft.policy.limits.sharing == Sharing::Fair;
        let mut queues = Self { lines: Vec::new(), order: BinaryHeap::new(), demand };
        let mut line_of = HashMap::new();
        for (key, wanted) in demand {
            let met = met(draft, key, wanted).saturating_sub(wanted.skipped) as usize;
            let counted = wanted.counted();
            let met = met.min(counted.len());
            draft.held.push(key, Hold::DemandMet, &counted[..met]);
            draft.held.push(key, Hold::DemandMet, &wanted.waiting[counted.len()..]);
            let account = fair.then(|| key.scope.entity());
            let line = *line_of.entry(account).or_insert_with(|| {
                queues.lines.push(Line { account, heads: BinaryHeap::new() });
                queues.lines.len() - 1
            });
            queues.enter(line, key, wanted, met);
        }
        for line in 0..queues.lines.len() {
            queues.queue_up(draft, line);
        }
        queues
    }

    fn enter(&mut self, line: usize, key: &'a PoolKey, demand: &Demand, next: usize) {
        if let Some(job) = demand.counted().get(next) {
            self.lines[line].heads.push(Reverse((job.created_at, job.id, key, next)));
        }
    }

    fn queue_up(&mut self, draft: &Draft<'_>, line: usize) {
        let Line { account, heads } = &self.lines[line];
        if let Some(Reverse((at, id, _, _))) = heads.peek() {
            let share = account.map_or(0, |account| draft.live_of(account));
            self.order.push(Reverse((share, *at, *id, line)));
        }
    }

    /// The next job; [`Self::advance`] must follow before the next one.
    pub(super) fn next(&mut self) -> Option<Turn<'a>> {
        let Reverse((_, _, _, line)) = self.order.pop()?;
        let Reverse((_, _, key, next)) = self.lines[line].heads.pop()?;
        Some(Turn { key, demand: self.demand.get(key)?, next, line })
    }

    /// Goes on behind the `judged` jobs of the turn.
    pub(super) fn advance(&mut self, draft: &Draft<'_>, turn: &Turn<'a>, judged: usize) {
        self.enter(turn.line, turn.key, turn.demand, turn.next + judged.max(1));
        self.queue_up(draft, turn.line);
    }
}
