//! Reading the log of deliveries.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::LogSource,
    entity::Entity,
    ids::{EntityId, EventId, InstallationId, JobId, Login, RepoName},
    ports::{EventQuery, EventStore, EventsOf, LoggedDelivery, LoggedEvent, Page, PortResult},
};
use serde_json::Value;

use super::{LogRow, MemoryStore};

#[async_trait]
impl EventStore for MemoryStore {
    async fn events(&self, query: &EventQuery, page: Page) -> PortResult<Vec<LoggedEvent>> {
        let mut found = self.wanted(query);
        found.sort_by_key(|event| std::cmp::Reverse((event.received_at, event.id)));
        Ok(page.cut(found))
    }

    async fn count_events(&self, query: &EventQuery) -> PortResult<u64> {
        Ok(self.wanted(query).len() as u64)
    }

    async fn event(&self, id: EventId) -> PortResult<Option<LoggedDelivery>> {
        Ok(self.read(|rows| rows.log.iter().filter_map(logged).find(|row| row.event.id == id)))
    }

    async fn installation_history(
        &self,
        entity: Option<EntityId>,
        installation: Option<InstallationId>,
        until: Timestamp,
    ) -> PortResult<Vec<LoggedDelivery>> {
        let wanted = |row: &LoggedDelivery| {
            let event = &row.event;
            let of_entity = entity.is_some() && event.entity_id == entity;
            let of_installation = installation.is_some() && event.installation_id == installation;
            (of_entity || of_installation) && event.received_at <= until && is_history(event)
        };
        let mut found: Vec<_> = self.read(|rows| rows.log.iter().filter_map(logged).filter(wanted).collect());
        found.sort_by_key(|row| (row.event.received_at, row.event.id));
        Ok(found)
    }

    async fn entity_of_installation(&self, installation: InstallationId) -> PortResult<Option<Entity>> {
        Ok(self.read(|rows| {
            let of_it = rows.log.iter().filter(|row| row.entry.installation == Some(installation));
            let named =
                of_it.filter_map(|row| Some((row.entry.received_at, row.id, row.entry.entity.clone()?)));
            named.max_by_key(|(at, id, _)| (*at, *id)).map(|(.., entity)| entity)
        }))
    }

    async fn entities_named(&self, login: &Login) -> PortResult<Vec<EntityId>> {
        let same = |name: &str| name.eq_ignore_ascii_case(login.as_str());
        let mut rows: Vec<_> = self.read(|rows| rows.log.iter().filter_map(logged).collect());
        rows.sort_by_key(|row| std::cmp::Reverse((row.event.received_at, row.event.id)));
        let (mut seen, mut now, mut once) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for row in rows {
            let (Some(id), Some(name)) = (row.event.entity_id, &row.event.entity_name) else { continue };
            let is_newest = seen.insert(id);
            if is_newest && same(name.as_str()) {
                now.insert(id);
            }
            let payload: Value = serde_json::from_str(row.payload.get()).unwrap_or_default();
            let before = payload["changes"]["login"]["from"].as_str();
            if is_history(&row.event) && (same(name.as_str()) || before.is_some_and(same)) {
                once.insert(id);
            }
        }
        once.retain(|id| !now.contains(id));
        Ok(now.into_iter().chain(once).collect())
    }

    async fn deliveries_after(
        &self,
        after: Option<EventId>,
        since: Timestamp,
        limit: u32,
    ) -> PortResult<Vec<LoggedDelivery>> {
        let wanted = |row: &LoggedDelivery| {
            let event = &row.event;
            event.source == LogSource::Webhook
                && after.is_none_or(|after| after < event.id)
                && since <= event.received_at
        };
        Ok(self.read(|rows| rows.log.iter().filter_map(logged).filter(wanted).take(limit as usize).collect()))
    }
}

impl MemoryStore {
    fn wanted(&self, query: &EventQuery) -> Vec<LoggedEvent> {
        let wanted = |event: &LoggedEvent| {
            let theirs = match query.of {
                EventsOf::Everybody => true,
                EventsOf::Entity(id) => event.entity_id == Some(id),
                EventsOf::Installation(id) => event.installation_id == Some(id),
                EventsOf::Job(id) => event.job_id == Some(id),
            };
            theirs
                && query.start <= event.received_at
                && event.received_at < query.end
                && query.wants_event(&event.event)
                && query.outcome.as_deref().is_none_or(|outcome| outcome == event.outcome)
        };
        self.read(|rows| rows.log.iter().filter_map(logged).map(|row| row.event).filter(wanted).collect())
    }
}

fn is_history(event: &LoggedEvent) -> bool {
    event.source == LogSource::Scheduler || event.event.starts_with("installation")
}

fn logged(row: &LogRow) -> Option<LoggedDelivery> {
    let entry = &row.entry;
    let of_job = entry.event.starts_with("workflow_job");
    let payload: Value =
        if of_job { serde_json::from_str(entry.payload.get()).unwrap_or_default() } else { Value::Null };
    let event = LoggedEvent {
        id: EventId::new(i64::try_from(row.id).ok()?).ok()?,
        source: entry.source,
        event: entry.event.clone(),
        outcome: row.outcome.as_str().to_owned(),
        installation_id: entry.installation,
        app_id: entry.app,
        entity_type: entry.entity.as_ref().map(|entity| entity.kind),
        entity_id: entry.entity.as_ref().map(|entity| entity.id),
        entity_name: entry.entity.as_ref().map(|entity| entity.login.clone()),
        job_id: payload["workflow_job"]["id"].as_i64().and_then(|id| JobId::new(id).ok()),
        repo_full_name: payload["repository"]["full_name"].as_str().and_then(|name| RepoName::new(name).ok()),
        delivery_guid: entry.guid.clone(),
        received_at: entry.received_at,
    };
    Some(LoggedDelivery { event, payload: entry.payload.clone() })
}
