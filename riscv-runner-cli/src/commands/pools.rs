//! `rrctl pools`: the pools, their boards and slots, and who waits for them.

use std::collections::BTreeMap;

use riscv_runner_core::{ids::PoolName, ports::ReportStore};
use riscv_runner_http::views::{PoolView, PoolsView, SlotState};

use crate::{
    args::Reading,
    config::{self, Need, Sources},
    failure::Failure,
    moment,
    printer::{Column, Printer, Tone, Value},
    wire,
};

/// What is said where boards are unknown.
pub(super) const UNOBSERVED: &str = "the cluster cannot be observed: boards and slots are unknown";

/// Runs `rrctl pools`.
pub(crate) async fn run(reading: &Reading, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let pools = match reading.remote.connect_as_anybody(sources)? {
        Some(server) => server.get(&["pools.json"], &[]).await?,
        None => of_store(sources).await?,
    };
    printer.data(reading.output.format, &pools, || {
        printer.raw(&table(&pools.pools, printer))?;
        if pools.pools.values().any(|pool| pool.boards.is_none()) {
            printer.warning(UNOBSERVED);
        }
        Ok(())
    })
}

async fn of_store(sources: &Sources) -> Result<PoolsView, Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let usage = store.usage().await?;
    let picture = moment::look(&config).await?;
    let snapshot = &picture.snapshot;
    Ok(PoolsView::of(&usage, &config.policy, &snapshot.controls, Some(&picture), snapshot.now))
}

/// The pools as a table.
pub(crate) fn table(pools: &BTreeMap<PoolName, PoolView>, printer: &Printer) -> String {
    let header = [
        Column::always("pool"),
        Column::rank(3, "boards"),
        Column::rank(2, "slots"),
        Column::rank(4, "active"),
        Column::always("free"),
        Column::rank(5, "workers"),
        Column::always("waiting"),
        Column::rank(1, "cap"),
        Column::detail("drained"),
    ];
    let rows = pools.iter().map(|(name, pool)| {
        let free = match pool.slots_that_are(SlotState::Free) {
            Some(0) => Value::toned(&0, Tone::Waiting),
            free => Value::or_dash(free),
        };
        vec![
            name.as_str().into(),
            Value::or_dash(pool.boards),
            Value::or_dash(pool.usable_slots()),
            Value::or_dash(pool.slots_that_are(SlotState::Active)),
            free,
            Value::number(&(pool.totals.workers_pending + pool.totals.workers_running)),
            Value::number(&pool.totals.jobs_pending),
            Value::or_dash(pool.max_workers),
            Value::or_dash(pool.drained.as_ref().map(|note| &note.reason)),
        ]
    });
    printer.render(&header, rows)
}
