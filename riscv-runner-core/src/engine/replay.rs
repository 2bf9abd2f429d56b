//! Puts stored deliveries through intake again: each is decided anew, by today's policy, and joined into the
//! jobs as any delivery is. Doing so twice changes nothing.

use jiff::Timestamp;

use crate::{
    admission::{self, IntakePolicy},
    delivery::{Delivery, DeliveryRecord, Outcome},
    ids::EventId,
    ports::{DeliveryStore, EventStore, LoggedDelivery, LoggedEvent, PortResult},
};

/// How many rows share a commit.
const BATCH: u32 = 128;

/// What a replay needs.
#[derive(Clone, Copy)]
pub struct Replay<'a> {
    /// The log that is read.
    pub log: &'a dyn EventStore,
    /// Where the deliveries go: usually the same store.
    pub into: &'a dyn DeliveryStore,
    /// Converts a row back into its delivery, or says why it cannot; the sender's adapter knows how.
    pub again: &'a (dyn Fn(&LoggedDelivery) -> Result<Delivery, String> + Sync),
    /// What decides about them.
    pub by: IntakePolicy<'a>,
}

/// The result of replaying one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It was decided and joined into its job, if it has one; with the same outcome as if it had just
    /// arrived.
    Decided(Outcome),
    /// It was left out, for this reason.
    Skipped(String),
    /// The store refused it, for this reason.
    Refused(String),
}

/// A row and its result.
pub type Done = (LoggedEvent, Replayed);

impl Replay<'_> {
    /// Replays these rows; one that is not there is `None`.
    ///
    /// # Errors
    /// When the store cannot be read or written; rows before may have been replayed.
    pub async fn rows(&self, ids: &[EventId]) -> PortResult<Vec<Option<Done>>> {
        let mut done = Vec::with_capacity(ids.len());
        for id in ids {
            done.push(match self.log.event(*id).await? {
                Some(row) => self.batch(vec![row]).await?.pop(),
                None => None,
            });
        }
        Ok(done)
    }

    /// Replays every delivery received at or after `since`, in the order of the log, and reports each batch
    /// once it is committed.
    ///
    /// # Errors
    /// When the store cannot be read or written; batches that were reported are replayed.
    pub async fn all(&self, since: Timestamp, mut tell: impl FnMut(Vec<Done>)) -> PortResult<()> {
        let mut after = None;
        loop {
            let rows = self.log.deliveries_after(after, since, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.event.id);
            tell(self.batch(rows).await?);
        }
    }

    async fn batch(&self, rows: Vec<LoggedDelivery>) -> PortResult<Vec<Done>> {
        let mut done: Vec<(LoggedEvent, Option<Replayed>)> = Vec::with_capacity(rows.len());
        let mut records: Vec<DeliveryRecord> = Vec::new();
        for row in rows {
            let skipped = match self.record(&row) {
                Ok(record) => {
                    records.push(record);
                    None
                }
                Err(why) => Some(Replayed::Skipped(why)),
            };
            done.push((row.event, skipped));
        }
        let mut results =
            if records.is_empty() { Vec::new() } else { self.into.record_deliveries(&records).await? }
                .into_iter()
                .zip(&records);
        let done = done.into_iter().map(|(event, skipped)| {
            let replayed = skipped.or_else(|| {
                let (result, record) = results.next()?;
                Some(match result {
                    Ok(recorded) => Replayed::Decided(record.effect.outcome(recorded.job)),
                    Err(error) => Replayed::Refused(error.chain()),
                })
            });
            let unanswered = || Replayed::Refused("the store did not answer for it".to_owned());
            (event, replayed.unwrap_or_else(unanswered))
        });
        Ok(done.collect())
    }

    fn record(&self, row: &LoggedDelivery) -> Result<DeliveryRecord, String> {
        if row.event.outcome == Outcome::ProxiedToStaging.as_str() {
            return Err("staging has it".to_owned());
        }
        let delivery = (self.again)(row)?;
        if admission::is_staging(self.by.policy, &delivery) {
            return Err("it belongs to staging".to_owned());
        }
        Ok(admission::decide(delivery, &self.by))
    }
}
