//! `rrctl pools`: the pools, their boards and slots, and who waits for them.

use riscv_runner_core::{ids::PoolName, plan::capacity::Capacity};
use serde::Serialize;

use crate::{
    args::Output,
    config::Sources,
    failure::Failure,
    moment::{self, Moment},
    printer::{Printer, Tone, Value},
};

/// One pool.
#[derive(Debug, Serialize)]
pub(crate) struct Pool {
    pub(crate) pool: PoolName,
    pub(crate) boards: Option<usize>,
    pub(crate) slots: Option<u32>,
    pub(crate) active: Option<u32>,
    pub(crate) free: Option<u32>,
    pub(crate) workers: usize,
    pub(crate) waiting: u32,
    pub(crate) max_workers: Option<u32>,
    pub(crate) drained: Option<String>,
}

/// Runs `rrctl pools`.
pub(crate) async fn run(output: Output, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let moment = moment::look(sources).await?;
    let pools = pools(&moment);
    printer.data(output.format, &pools, || {
        printer.raw(&table(&pools, printer));
        if moment.snapshot.nodes.is_unknown() {
            printer.warning("the cluster cannot be observed: nobody knows its slots");
        }
    })
}

/// The pools as a table.
pub(crate) fn table(pools: &[Pool], printer: &Printer) -> String {
    let header = ["pool", "boards", "slots", "active", "free", "workers", "waiting", "cap", "drained"];
    let rows = pools.iter().map(|pool| {
        let free = match pool.free {
            Some(0) => Value::toned(&0, Tone::Waiting),
            free => Value::or_dash(free),
        };
        vec![
            pool.pool.as_str().into(),
            Value::or_dash(pool.boards),
            Value::or_dash(pool.slots),
            Value::or_dash(pool.active),
            free,
            Value::number(&pool.workers),
            Value::number(&pool.waiting),
            Value::or_dash(pool.max_workers),
            Value::or_dash(pool.drained.as_ref()),
        ]
    });
    printer.render(&header, rows)
}

/// Every pool of the configuration.
pub(crate) fn pools(moment: &Moment) -> Vec<Pool> {
    let Moment { snapshot, policy, .. } = moment;
    let capacity = Capacity::of(snapshot, policy);
    let free = capacity.as_ref().map(Capacity::free);
    let pool = |(name, wish): (&PoolName, &riscv_runner_core::policy::PoolPolicy)| {
        let slots = capacity.as_ref().and_then(|capacity| capacity.slots(name));
        let boards = snapshot.nodes.present();
        let waits = snapshot.demand.values().filter_map(|demand| demand.pending_by_pool.get(name));
        Pool {
            pool: name.clone(),
            boards: boards
                .map(|nodes| nodes.values().filter(|node| node.matches(&wish.node_selector)).count()),
            slots: slots.map(|slots| slots.total),
            active: slots.map(|slots| slots.active),
            free: free.as_ref().and_then(|free| free.get(name).copied()),
            workers: snapshot.live_workers_in(name),
            waiting: waits.sum(),
            max_workers: wish.max_workers,
            drained: snapshot.controls.drained_pools.get(name).map(|note| note.reason.clone()),
        }
    };
    policy.pools.iter().map(pool).collect()
}
