//! `rrctl controls`: what operators hold back, and who ordered what.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    controls::{ControlTarget, WrittenOrder},
    entity::Entity,
    ids::{EntityId, Login},
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
    let names = names(&store.known_accounts().await?);
    printer.data(listing.output.format, &rows, || {
        if rows.is_empty() {
            return printer.line(if listing.audit {
                "no orders have been given"
            } else {
                "nothing is held back"
            });
        }
        let now = TokioPlatform.now();
        printer.table(&COLUMNS, rows.iter().map(|row| cells(row, &names, now)))
    })
}

const COLUMNS: [Column; 5] = [
    Column::always("order"),
    Column::always("target"),
    Column::rank(2, "by"),
    Column::rank(1, "when"),
    Column::detail("reason"),
];

fn cells(row: &WrittenOrder, names: &Names, now: Timestamp) -> Vec<Value> {
    vec![
        words(row).as_str().into(),
        target(&row.target, names).into(),
        row.actor.as_str().into(),
        format!("{} ago", short(age(now, row.since))).as_str().into(),
        row.reason.as_str().into(),
    ]
}

/// The logins of accounts.
pub(super) type Names = BTreeMap<EntityId, Login>;

/// The logins of these accounts.
pub(super) fn names(known: &[Entity]) -> Names {
    known.iter().map(|entity| (entity.id, entity.login.clone())).collect()
}

/// What an order applies to; an account with its login, as it was probably named.
pub(super) fn target(target: &ControlTarget, names: &Names) -> String {
    match target {
        ControlTarget::Entity(id) => match names.get(id) {
            Some(login) => format!("entity {login} ({id})"),
            None => target.to_string(),
        },
        ControlTarget::Everything
        | ControlTarget::Repository(_)
        | ControlTarget::Pool(_)
        | ControlTarget::Board(_)
        | ControlTarget::Worker(_) => target.to_string(),
    }
}

/// The verb with what it carries: `limit to 5`, `revoke by force`.
pub(super) fn words(row: &WrittenOrder) -> String {
    let verb = row.verb.as_str().replace('_', " ");
    match (row.max_workers, row.force) {
        (Some(cap), _) => format!("{verb} to {cap}"),
        (None, Some(true)) => format!("{verb} by force"),
        (None, Some(false) | None) => verb,
    }
}
