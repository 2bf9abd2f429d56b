//! Deliveries into the tables: one batch is one transaction.

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, JobWrite, LogEntry, LogSource, Outcome, Recorded},
    ids::DeliveryGuid,
    ports::{DeliveryStore, PortResult},
};

use super::{LogRow, MemoryStore, rows::Rows};

#[async_trait]
impl DeliveryStore for MemoryStore {
    async fn record_deliveries(&self, batch: &[DeliveryRecord]) -> PortResult<Vec<PortResult<Recorded>>> {
        let now = self.platform.now();
        let (results, heard) = self.write(|rows| {
            let results: Vec<_> = batch.iter().map(|record| record_one(rows, record, now)).collect();
            let mut heard = false;
            for news in batch.iter().filter_map(|record| record.installation) {
                if rows.standing.installations.learn(&news) {
                    rows.installations_learned.insert(news.key, now);
                    heard = true;
                }
            }
            (results, heard)
        });
        self.changed.store(true, std::sync::atomic::Ordering::Relaxed);
        if heard || results.iter().any(|done| done.job.is_some_and(JobWrite::wakes_scheduler)) {
            self.wake();
        }
        Ok(results.into_iter().map(Ok).collect())
    }

    async fn known_deliveries(&self, guids: &[DeliveryGuid]) -> PortResult<Vec<DeliveryGuid>> {
        Ok(self.read(|rows| guids.iter().filter(|guid| rows.guids.contains(*guid)).cloned().collect()))
    }

    async fn last_delivery_at(&self) -> PortResult<Option<Timestamp>> {
        Ok(self.read(|rows| {
            let webhooks = rows.log.iter().filter(|row| row.entry.source == LogSource::Webhook);
            webhooks.map(|row| row.entry.received_at).max()
        }))
    }
}

fn record_one(rows: &mut Rows, record: &DeliveryRecord, now: Timestamp) -> Recorded {
    let job = match &record.effect {
        Effect::Nothing(_) => None,
        Effect::Join { facts, event, if_absent } => Some(rows.join(facts, event, if_absent, now)),
    };
    if let Some(guid) = &record.log.guid
        && !rows.guids.insert(guid.clone())
    {
        return Recorded { outcome: Outcome::DuplicateDelivery, job };
    }
    let outcome = record.effect.outcome(job);
    let id = rows.log.len() as u64 + 1;
    let entry = LogEntry { payload: record.kept_payload(outcome).into_owned(), ..record.log.clone() };
    rows.log.push(LogRow { id, entry, outcome });
    Recorded { outcome, job }
}
