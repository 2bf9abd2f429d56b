//! `rrctl deliveries list`: the newest rows of our log, or GitHub's own log beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    ids::DeliveryGuid,
    ports::{
        DeliveryStore, EventQuery, EventStore, EventsOf, Forge, HookDelivery, LoggedEvent, Page, Platform,
    },
};
use riscv_runner_github::Unobserved;
use serde::Serialize;

use crate::{
    args::deliveries::List,
    commands::trace::{COLUMNS, row, seconds},
    config::{self, Need, Sources},
    failure::Failure,
    platform::TokioPlatform,
    printer::{Column, Printer, Tone, Value},
    wire,
};

/// What GitHub keeps longer is of no use: it can be delivered again for three days.
const LOOK_BACK: Duration = Duration::from_secs(24 * 3600);

/// Our rows, newest first.
pub(super) async fn of_store(list: &List, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let of = list.installation.map_or(EventsOf::Everybody, EventsOf::Installation);
    let query = EventQuery {
        start: list.since.map_or(Timestamp::UNIX_EPOCH, |since| since.at(TokioPlatform.now())),
        event: list.event.clone(),
        outcome: list.outcome.clone(),
        ..EventQuery::all(of)
    };
    let rows: Vec<LoggedEvent> = store.events(&query, Page { page: 0, per_page: list.limit }).await?;
    printer.data(list.output.format, &rows, || {
        let columns: Vec<_> = COLUMNS.into_iter().chain([Column::detail("guid")]).collect();
        printer.table(
            &columns,
            rows.iter().map(|event| {
                let mut cells = row(event);
                cells.push(Value::or_dash(event.delivery_guid.as_ref()));
                cells
            }),
        )
    })
}

/// A delivery, as GitHub's log has it.
#[derive(Debug, Serialize)]
struct Sent {
    delivery_guid: DeliveryGuid,
    event: String,
    app: EntityKind,
    /// The last attempt.
    delivered_at: Timestamp,
    attempts: usize,
    /// Whether any attempt was answered with success.
    delivered: bool,
    /// Whether our log has it.
    recorded: bool,
}

/// GitHub's deliveries, newest first, and whether we have them.
pub(super) async fn of_github(list: &List, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let forge = wire::forge(&config, Arc::new(Unobserved))?;
    let now = TokioPlatform.now();
    let by_default = now.checked_sub(LOOK_BACK).unwrap_or(now);
    let since = list.since.map_or(by_default, |since| since.at(now));
    let mut sent = Vec::new();
    for app in config.github.apps.iter().map(|app| app.kind) {
        let attempts = forge.hook_deliveries(app, since).await?;
        sent.extend(by_guid(app, attempts));
    }
    sent.retain(|one| list.event.as_deref().is_none_or(|wanted| name_of(wanted) == one.event));
    let guids: Vec<_> = sent.iter().map(|one| one.delivery_guid.clone()).collect();
    let known: BTreeSet<_> = store.known_deliveries(&guids).await?.into_iter().collect();
    for one in &mut sent {
        one.recorded = known.contains(&one.delivery_guid);
    }
    sent.sort_by(|a, b| {
        b.delivered_at.cmp(&a.delivered_at).then_with(|| a.delivery_guid.cmp(&b.delivery_guid))
    });
    let lacking = sent.iter().filter(|one| !one.recorded).count();
    let total = sent.len();
    // What we lack is what this is for: it is never cut off.
    let mut room = list.limit as usize;
    sent.retain(|one| {
        !one.recorded || {
            let fits = room > 0;
            room = room.saturating_sub(1);
            fits
        }
    });
    printer.data(list.output.format, &sent, || {
        let header = [
            Column::always("guid"),
            Column::rank(4, "last attempt (utc)"),
            Column::always("event"),
            Column::rank(1, "app"),
            Column::rank(2, "attempts"),
            Column::rank(3, "answer"),
            Column::always("our log"),
        ];
        printer.table(&header, sent.iter().map(cells))?;
        printer.note(&format!("{lacking} of {total} deliveries are missing here"));
        if lacking > 0 {
            printer.hint(Some("the server requests them again by itself within minutes; `rrctl deliveries redeliver GUID..` does so at once"));
        }
        Ok(())
    })
}

/// GitHub's log names the event without its action.
fn name_of(event: &str) -> &str {
    event.split_once('.').map_or(event, |(name, _)| name)
}

fn by_guid(app: EntityKind, attempts: Vec<HookDelivery>) -> impl Iterator<Item = Sent> {
    let mut sent: BTreeMap<DeliveryGuid, Sent> = BTreeMap::new();
    for attempt in attempts {
        let delivered = attempt.delivered();
        let one = sent.entry(attempt.guid.clone()).or_insert_with(|| Sent {
            delivery_guid: attempt.guid,
            event: attempt.event,
            app,
            delivered_at: attempt.delivered_at,
            attempts: 0,
            delivered: false,
            recorded: false,
        });
        one.attempts += 1;
        one.delivered |= delivered;
        one.delivered_at = one.delivered_at.max(attempt.delivered_at);
    }
    sent.into_values()
}

fn cells(one: &Sent) -> Vec<Value> {
    vec![
        one.delivery_guid.as_str().into(),
        seconds(one.delivered_at).into(),
        one.event.as_str().into(),
        one.app.as_str().into(),
        Value::number(&one.attempts),
        if one.delivered { "ok".into() } else { Value::toned("failed", Tone::Waiting) },
        if one.recorded { "yes".into() } else { Value::toned("missing", Tone::Bad) },
    ]
}
