//! `rrctl deliveries replay`: stored deliveries through intake again, by the configuration of today.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    admission::IntakePolicy,
    delivery::LogSource,
    engine::replay::{Done, Replay, Replayed},
    ids::EventId,
    ports::{EventQuery, EventStore, EventsOf, LoggedDelivery, Platform, SchedulingStore},
};
use riscv_runner_github::webhook::{KnownApps, again};
use serde::Serialize;

use crate::{
    args::deliveries::Replay as Wish,
    config::{self, Need, Sources},
    failure::{Failure, count},
    platform::TokioPlatform,
    printer::Printer,
    progress, wire,
};

/// Reasons are shown for this many rows; the others are counted.
const TOLD: usize = 20;

/// The results of the replay.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    /// How many rows were read.
    rows: usize,
    /// How many rows had each outcome.
    outcomes: BTreeMap<&'static str, usize>,
    /// Rows that were left out, with the reason.
    skipped: Vec<Told>,
    /// Rows that were refused, with the reason.
    refused: Vec<Told>,
    /// Numbers for which there is no row.
    missing: Vec<EventId>,
}

#[derive(Debug, Serialize)]
struct Told {
    id: EventId,
    event: String,
    reason: String,
}

/// Runs `rrctl deliveries replay`.
pub(super) async fn run(wish: &Wish, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let apps: KnownApps = config.github.apps.iter().map(|app| (app.app_id, app.kind)).collect();
    if config.github.apps.is_empty() {
        return Err(Failure::failed("no App is configured, so no delivery belongs to one of ours")
            .hint("name them under [[github.apps]]: app_id and kind are enough here"));
    }
    // The scheduler is another process, and is to be told.
    let store = wire::store(&wire::store_config(&config, true)?).await?;
    let controls = store.standing().await?.controls;
    let by = IntakePolicy { policy: &config.policy, controls: &controls };
    let read = |row: &LoggedDelivery| again(row, &apps).map_err(|error| error.to_string());
    let replay = Replay { log: store.as_ref(), into: store.as_ref(), again: &read, by };
    let mut outcome = Outcome::default();
    if wish.all {
        let since = wish.since.map_or(Timestamp::UNIX_EPOCH, |since| since.at(TokioPlatform.now()));
        let query = EventQuery { start: since, ..EventQuery::all(EventsOf::Everybody) };
        let bar = progress::bar("replaying", store.count_events(&query).await?);
        replay
            .all(since, |batch| {
                bar.inc(batch.len() as u64);
                batch.into_iter().for_each(|done| outcome.add(done));
            })
            .await?;
        bar.finish_and_clear();
    } else {
        for (id, done) in wish.ids.iter().zip(replay.rows(&wish.ids).await?) {
            match done {
                Some(done) => outcome.add(done),
                None => outcome.missing.push(*id),
            }
        }
    }
    printer.data(wish.output.format, &outcome, || outcome.show(printer))?;
    if !outcome.missing.is_empty() {
        let ids: Vec<_> = outcome.missing.iter().map(ToString::to_string).collect();
        return Err(Failure::failed(format!("the log has no row {}", ids.join(", ")))
            .hint("`rrctl deliveries list` shows the rows; the others were replayed"));
    }
    if outcome.refused.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("{} refused", count(outcome.refused.len(), "row")))
        .hint("the rows are still in the log; fix the cause and replay them by their numbers"))
}

impl Outcome {
    fn add(&mut self, (event, replayed): Done) {
        self.rows += 1;
        let name = match replayed {
            Replayed::Decided(outcome) => outcome.as_str(),
            Replayed::Skipped(reason) => {
                // What the scheduler wrote was never to be replayed.
                if event.source == LogSource::Webhook {
                    self.skipped.push(Told { id: event.id, event: event.event, reason });
                }
                "skipped"
            }
            Replayed::Refused(reason) => {
                self.refused.push(Told { id: event.id, event: event.event, reason });
                "refused"
            }
        };
        *self.outcomes.entry(name).or_default() += 1;
    }

    fn show(&self, printer: &Printer) -> Result<(), Failure> {
        let n = self.rows;
        printer.line(&format!("{} replayed", count(n, "row")))?;
        for (name, n) in &self.outcomes {
            printer.line(&format!("{n:>8}  {name}"))?;
        }
        for (what, told) in [("left out", &self.skipped), ("refused", &self.refused)] {
            for row in told.iter().take(TOLD) {
                printer.note(&format!("row {} ({}) was {what}: {}", row.id, row.event, row.reason));
            }
            if let Some(more) = told.len().checked_sub(TOLD).filter(|more| *more > 0) {
                printer.note(&format!("{more} more rows were {what}; --format json has them all"));
            }
        }
        Ok(())
    }
}
