//! `rrctl controls`: what operators hold back, and who ordered what.

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    controls::WrittenOrder,
    ports::{ControlStore, Platform, SchedulingStore},
};

use crate::{
    args::ControlsListing,
    config::{self, Need, Sources},
    failure::Failure,
    moment::short,
    platform::TokioPlatform,
    printer::{Column, Printer, Value},
    wire,
};

/// Runs `rrctl controls`.
pub(crate) async fn run(
    listing: ControlsListing,
    sources: &Sources,
    printer: &Printer,
) -> Result<(), Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let rows: Vec<WrittenOrder> = if listing.audit {
        let audit = store.control_audit(listing.last).await?;
        audit.iter().map(|row| WrittenOrder::of(&row.order, &row.note)).collect()
    } else {
        let controls = store.standing().await?.controls;
        controls.in_force().iter().map(|one| WrittenOrder::of(&one.order, &one.note)).collect()
    };
    printer.data(listing.output.format, &rows, || {
        if rows.is_empty() {
            return printer.line(if listing.audit {
                "no order was ever given"
            } else {
                "nothing is held back"
            });
        }
        let now = TokioPlatform.now();
        printer.table(&COLUMNS, rows.iter().map(|row| cells(row, now)))
    })
}

const COLUMNS: [Column; 5] = [
    Column::always("order"),
    Column::always("target"),
    Column::rank(2, "by"),
    Column::rank(1, "when"),
    Column::detail("reason"),
];

fn cells(row: &WrittenOrder, now: Timestamp) -> Vec<Value> {
    vec![
        words(row).as_str().into(),
        row.target.to_string().as_str().into(),
        row.actor.as_str().into(),
        format!("{} ago", short(age(now, row.since))).as_str().into(),
        row.reason.as_str().into(),
    ]
}

/// The verb with what it carries: `limit to 5`, `revoke by force`.
fn words(row: &WrittenOrder) -> String {
    let verb = row.verb.as_str().replace('_', " ");
    match (row.max_workers, row.force) {
        (Some(cap), _) => format!("{verb} to {cap}"),
        (None, Some(true)) => format!("{verb} by force"),
        (None, Some(false) | None) => verb,
    }
}
