//! Deliveries, each with its effect on a job.

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, IfAbsent, JobWrite, LogEntry, LogSource, Outcome, Recorded},
    ids::{DeliveryGuid, JobId},
    job::{Job, JobEvent, JobFacts, JobState, Step},
    ports::{DeliveryStore, JobRow, PortResult},
};

use super::{OwnStore, Tables};

#[async_trait]
impl DeliveryStore for OwnStore {
    async fn record_deliveries(&self, batch: &[DeliveryRecord]) -> PortResult<Vec<PortResult<Recorded>>> {
        Ok(self.write(|tables, now| batch.iter().map(|record| Ok(tables.record(record, now))).collect()))
    }

    async fn known_deliveries(&self, guids: &[DeliveryGuid]) -> PortResult<Vec<DeliveryGuid>> {
        Ok(self.read(|tables| guids.iter().filter(|guid| tables.has_logged(guid)).cloned().collect()))
    }

    async fn last_delivery_at(&self) -> PortResult<Option<Timestamp>> {
        Ok(self.read(|tables| {
            let webhooks = tables.log.values().filter(|(entry, _)| entry.source == LogSource::Webhook);
            webhooks.map(|(entry, _)| entry.received_at).max()
        }))
    }
}

impl Tables {
    fn record(&mut self, record: &DeliveryRecord, now: Timestamp) -> Recorded {
        if let Some(news) = record.installation.filter(|news| self.standing.installations.learn(news)) {
            self.heard.insert(news.key, now);
        }
        let job = match &record.effect {
            Effect::Nothing(_) => None,
            Effect::Join { facts, event, if_absent } => Some(self.join(facts, event, if_absent, now)),
        };
        if record.log.guid.as_ref().is_some_and(|guid| self.has_logged(guid)) {
            return Recorded { outcome: Outcome::DuplicateDelivery, job };
        }
        let outcome = record.effect.outcome(job);
        let entry = LogEntry { payload: record.kept_payload(outcome).into_owned(), ..record.log.clone() };
        let number = self.log.last_key_value().map_or(1, |(last, _)| last + 1);
        self.log.insert(number, (entry, outcome));
        Recorded { outcome, job }
    }

    fn has_logged(&self, guid: &DeliveryGuid) -> bool {
        self.log.values().any(|(entry, _)| entry.guid.as_ref() == Some(guid))
    }

    /// Joins an event into a job's row, or inserts the row: the core's ladder says what follows.
    pub(super) fn join(
        &mut self,
        facts: &JobFacts,
        event: &JobEvent,
        if_absent: &IfAbsent,
        now: Timestamp,
    ) -> JobWrite {
        if self.jobs.contains_key(&facts.id) {
            return self.join_known(facts.id, event, now);
        }
        let IfAbsent::Insert(placement) = if_absent else { return JobWrite::NoRow };
        let Some(state) = JobState::from_event(event) else { return JobWrite::NoRow };
        let phase = state.phase;
        let job = Job { facts: facts.clone(), placement: placement.clone(), state };
        self.jobs.insert(facts.id, JobRow { job, stored_at: now, updated_at: now });
        JobWrite::Inserted(phase)
    }

    /// Joins an event into a row that should be there.
    pub(super) fn join_known(&mut self, id: JobId, event: &JobEvent, now: Timestamp) -> JobWrite {
        let Some(row) = self.jobs.get_mut(&id) else { return JobWrite::NoRow };
        let Step::Move(state) = row.job.state.on(event) else { return JobWrite::Unchanged };
        let from = row.job.state.phase;
        (row.job.state, row.updated_at) = (state, now);
        JobWrite::Moved { from, to: row.job.state.phase }
    }
}
