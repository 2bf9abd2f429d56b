//! Reading the event log: by account, by installation, by job, in order for a replay. Every read goes by
//! an index, and in its order: a sort is what the connections avoid.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use riscv_runner_core::{
    delivery::LogSource,
    entity::{Entity, EntityKind},
    ids::{AppId, DeliveryGuid, EntityId, EventId, InstallationId, JobId, Login, RepoName},
    ports::{EventQuery, EventStore, EventsOf, LoggedDelivery, LoggedEvent, Page, PortResult},
};
use serde_json::value::RawValue;
use sqlx::{FromRow, Row};

use crate::{
    db::Db,
    error::port_error,
    rows::{BadRow, readable},
    statement::Statement,
    store::PgStore,
};

/// The columns of a row without its payload; job and repository are taken out of it.
macro_rules! event_columns {
    () => {
        "e.id, e.source, e.event, e.outcome, e.installation_id, e.app_id, e.entity_type::text, e.entity_id, \
         e.entity_name, e.delivery_guid, e.received_at, \
         CASE WHEN e.event LIKE 'workflow_job%' THEN e.payload #>> '{workflow_job,id}' END AS job_id, \
         CASE WHEN e.event LIKE 'workflow_job%' THEN e.payload #>> '{repository,full_name}' END AS repo_full_name"
    };
}

/// Window, event and outcome, as `$1` to `$4`.
macro_rules! wanted {
    () => {
        "e.received_at >= $1 AND e.received_at < $2 \
         AND ($3::text IS NULL OR e.event = $3 OR starts_with(e.event, $3 || '.')) \
         AND ($4::text IS NULL OR e.outcome = $4)"
    };
}

/// Events about installations; the condition of two partial indexes.
macro_rules! history {
    () => {
        "(source = 'scheduler' OR event LIKE 'installation%')"
    };
}

macro_rules! selecting {
    ($of:literal) => {
        (
            concat!(
                "SELECT ",
                event_columns!(),
                " FROM installation_events e WHERE ",
                $of,
                wanted!(),
                " ORDER BY e.received_at DESC, e.id DESC LIMIT $5 OFFSET $6"
            ),
            concat!("SELECT count(*) FROM installation_events e WHERE ", $of, wanted!()),
        )
    };
}

/// A page of rows, and how many there are: parameter seven or five is whose.
pub(crate) const OF_EVERYBODY: (&str, &str) = selecting!("");
pub(crate) const OF_ENTITY: (&str, &str) =
    (selecting!("e.entity_id = $7 AND ").0, selecting!("e.entity_id = $5 AND ").1);
pub(crate) const OF_INSTALLATION: (&str, &str) =
    (selecting!("e.installation_id = $7 AND ").0, selecting!("e.installation_id = $5 AND ").1);
pub(crate) const OF_JOB: (&str, &str) = (
    selecting!("e.event LIKE 'workflow_job%' AND e.payload #>> '{workflow_job,id}' = $7::bigint::text AND ")
        .0,
    selecting!("e.event LIKE 'workflow_job%' AND e.payload #>> '{workflow_job,id}' = $5::bigint::text AND ")
        .1,
);

pub(crate) const HISTORY: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", e.payload::text FROM installation_events e WHERE e.id IN ( \
         SELECT id FROM installation_events WHERE entity_id = $1 AND received_at <= $3 AND ",
    history!(),
    " UNION ALL \
         SELECT id FROM installation_events WHERE installation_id = $2 AND received_at <= $3 AND ",
    history!(),
    ")"
);

pub(crate) const ENTITY_OF_INSTALLATION: &str = "SELECT entity_id, entity_type::text, entity_name FROM installation_events \
     WHERE installation_id = $1 AND entity_id IS NOT NULL AND entity_type IS NOT NULL AND entity_name IS NOT NULL \
     ORDER BY received_at DESC, id DESC LIMIT 1";

/// One look at the index per account, not one per row; and the names that were told of old.
pub(crate) const ENTITIES_NAMED: &str = concat!(
    "WITH RECURSIVE accounts AS ( \
         (SELECT entity_id FROM installation_events WHERE entity_id IS NOT NULL ORDER BY entity_id LIMIT 1) \
         UNION ALL \
         SELECT (SELECT e.entity_id FROM installation_events e WHERE e.entity_id > a.entity_id \
                 ORDER BY e.entity_id LIMIT 1) \
         FROM accounts a WHERE a.entity_id IS NOT NULL \
     ), now_named AS ( \
         SELECT a.entity_id, (SELECT e.entity_name FROM installation_events e \
             WHERE e.entity_id = a.entity_id AND e.entity_name IS NOT NULL \
             ORDER BY e.received_at DESC LIMIT 1) AS name \
         FROM accounts a WHERE a.entity_id IS NOT NULL \
     ), found AS ( \
         SELECT entity_id, 0 AS rank FROM now_named WHERE lower(name) = lower($1) \
         UNION ALL \
         SELECT entity_id, 1 FROM installation_events \
         WHERE entity_id IS NOT NULL AND ",
    history!(),
    " AND (lower(entity_name) = lower($1) OR lower(payload #>> '{changes,login,from}') = lower($1)) \
     ) SELECT entity_id FROM found GROUP BY entity_id ORDER BY min(rank), entity_id"
);

pub(crate) const DELIVERIES_AFTER: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", e.payload::text FROM installation_events e \
     WHERE e.id > $1 AND e.source = 'webhook' AND e.received_at >= $2 ORDER BY e.id LIMIT $3"
);

/// A row of the log.
#[derive(FromRow)]
struct EventRecord {
    id: i64,
    source: String,
    event: String,
    outcome: String,
    installation_id: Option<i64>,
    app_id: Option<i64>,
    entity_type: Option<String>,
    entity_id: Option<i64>,
    entity_name: Option<String>,
    delivery_guid: Option<String>,
    received_at: SqlTimestamp,
    job_id: Option<String>,
    repo_full_name: Option<String>,
}

impl EventRecord {
    fn read(self) -> Result<LoggedEvent, BadRow> {
        let id = self.id;
        self.parse().map_err(|problem| BadRow::new(format!("installation_events row {id}"), problem))
    }

    /// What identifies the row must be understood; what it speaks of may be anything, and is left out
    /// then.
    fn parse(self) -> Result<LoggedEvent, Box<dyn std::error::Error>> {
        Ok(LoggedEvent {
            id: EventId::new(self.id)?,
            source: LogSource::parse(&self.source).ok_or("an unknown source")?,
            event: self.event,
            outcome: self.outcome,
            installation_id: self.installation_id.and_then(|id| InstallationId::new(id).ok()),
            app_id: self.app_id.and_then(|id| AppId::new(id).ok()),
            entity_type: self.entity_type.and_then(|kind| EntityKind::parse(&kind)),
            entity_id: self.entity_id.and_then(|id| EntityId::new(id).ok()),
            entity_name: self.entity_name.and_then(|name| Login::new(name).ok()),
            job_id: self.job_id.and_then(|id| id.parse::<JobId>().ok()),
            repo_full_name: self.repo_full_name.and_then(|name| RepoName::new(name).ok()),
            delivery_guid: self.delivery_guid.and_then(|guid| DeliveryGuid::new(guid).ok()),
            received_at: self.received_at.to_jiff(),
        })
    }
}

#[derive(FromRow)]
struct DeliveryRow {
    #[sqlx(flatten)]
    event: EventRecord,
    payload: Option<String>,
}

impl DeliveryRow {
    fn read(self) -> Result<LoggedDelivery, BadRow> {
        let event = self.event.read()?;
        let payload = match self.payload {
            Some(text) => RawValue::from_string(text)
                .map_err(|error| BadRow::new(format!("installation_events row {}", event.id), error))?,
            None => RawValue::NULL.to_owned(),
        };
        Ok(LoggedDelivery { event, payload })
    }
}

fn window(db: &Db, sql: &'static str, query: &EventQuery) -> Statement {
    db.query(sql)
        .bind(query.start.to_sqlx())
        .bind(query.end.to_sqlx())
        .bind(query.event.clone())
        .bind(query.outcome.clone())
}

const fn statements(of: EventsOf) -> ((&'static str, &'static str), Option<i64>) {
    match of {
        EventsOf::Everybody => (OF_EVERYBODY, None),
        EventsOf::Entity(id) => (OF_ENTITY, Some(id.get())),
        EventsOf::Installation(id) => (OF_INSTALLATION, Some(id.get())),
        EventsOf::Job(id) => (OF_JOB, Some(id.get())),
    }
}

/// A page of rows, newest first.
async fn page_of(db: &Db, query: &EventQuery, page: Page) -> PortResult<Vec<LoggedEvent>> {
    const OPERATION: &str = "read the event log";
    let ((sql, _), whose) = statements(query.of);
    let statement = window(db, sql, query)
        .bind(i64::from(page.per_page))
        .bind(i64::from(page.page) * i64::from(page.per_page));
    let statement = if let Some(id) = whose { statement.bind(id) } else { statement };
    let rows = statement.fetch_all(&db.pool).await.map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(EventRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    Ok(readable(records.into_iter().map(EventRecord::read)))
}

/// How many rows there are.
async fn count(db: &Db, query: &EventQuery) -> PortResult<u64> {
    let ((_, sql), whose) = statements(query.of);
    let statement = window(db, sql, query);
    let statement = if let Some(id) = whose { statement.bind(id) } else { statement };
    let n: i64 = statement
        .fetch_one(&db.pool)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|error| port_error("count the event log", error))?;
    Ok(n.unsigned_abs())
}

async fn deliveries(
    db: &Db,
    operation: &'static str,
    statement: Statement,
) -> PortResult<Vec<LoggedDelivery>> {
    let rows = statement.fetch_all(&db.pool).await.map_err(|error| port_error(operation, error))?;
    let records = rows.iter().map(DeliveryRow::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(operation, error))?;
    Ok(readable(records.into_iter().map(DeliveryRow::read)))
}

/// One row with its payload.
async fn event(db: &Db, id: EventId) -> PortResult<Option<LoggedDelivery>> {
    const ONE: &str =
        concat!("SELECT ", event_columns!(), ", e.payload::text FROM installation_events e WHERE e.id = $1");
    let found = deliveries(db, "read an event", db.query(ONE).bind(id.get())).await?;
    Ok(found.into_iter().next())
}

/// What was recorded about an account's installations, or one, oldest first.
async fn history(
    db: &Db,
    entity: Option<EntityId>,
    installation: Option<InstallationId>,
    until: Timestamp,
) -> PortResult<Vec<LoggedDelivery>> {
    let statement =
        db.query(HISTORY).bind(entity.map(i64::from)).bind(installation.map(i64::from)).bind(until.to_sqlx());
    let mut found = deliveries(db, "read the history of installations", statement).await?;
    found.sort_by_key(|row| (row.event.received_at, row.event.id));
    Ok(found)
}

/// The account of an installation.
async fn entity_of_installation(db: &Db, installation: InstallationId) -> PortResult<Option<Entity>> {
    const OPERATION: &str = "look up an installation's account";
    let found = db
        .query(ENTITY_OF_INSTALLATION)
        .bind(installation.get())
        .fetch_optional(&db.pool)
        .await
        .and_then(|row| row.map(|row| <(i64, String, String)>::from_row(&row)).transpose())
        .map_err(|error| port_error(OPERATION, error))?;
    let read = |(id, kind, login): (i64, String, String)| -> Result<Entity, Box<dyn std::error::Error>> {
        let kind = EntityKind::parse(&kind).ok_or("an unknown entity_type")?;
        Ok(Entity { id: EntityId::new(id)?, kind, login: Login::new(login)? })
    };
    let bad = |error| BadRow::new(format!("the account of installation {installation}"), error);
    Ok(readable(found.map(|found| read(found).map_err(bad))).pop())
}

/// Accounts that have or had this login.
async fn entities_named(db: &Db, login: &Login) -> PortResult<Vec<EntityId>> {
    const OPERATION: &str = "look up an account by its name";
    let rows = db
        .query(ENTITIES_NAMED)
        .bind(login.to_string())
        .fetch_all(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let ids = rows.iter().map(|row| row.try_get::<i64, _>(0)).collect::<Result<Vec<_>, _>>();
    let ids = ids.map_err(|error| port_error(OPERATION, error))?;
    Ok(ids.into_iter().filter_map(|id| EntityId::new(id).ok()).collect())
}

/// Deliveries in the order of their numbers.
async fn deliveries_after(
    db: &Db,
    after: Option<EventId>,
    since: Timestamp,
    limit: u32,
) -> PortResult<Vec<LoggedDelivery>> {
    let statement = db
        .query(DELIVERIES_AFTER)
        .bind(after.map_or(0, i64::from))
        .bind(since.to_sqlx())
        .bind(i64::from(limit));
    deliveries(db, "read deliveries", statement).await
}

#[async_trait]
impl EventStore for PgStore {
    async fn events(&self, query: &EventQuery, page: Page) -> PortResult<Vec<LoggedEvent>> {
        page_of(self.db(), query, page).await
    }

    async fn count_events(&self, query: &EventQuery) -> PortResult<u64> {
        count(self.db(), query).await
    }

    async fn event(&self, id: EventId) -> PortResult<Option<LoggedDelivery>> {
        event(self.db(), id).await
    }

    async fn installation_history(
        &self,
        entity: Option<EntityId>,
        installation: Option<InstallationId>,
        until: Timestamp,
    ) -> PortResult<Vec<LoggedDelivery>> {
        history(self.db(), entity, installation, until).await
    }

    async fn entity_of_installation(&self, installation: InstallationId) -> PortResult<Option<Entity>> {
        entity_of_installation(self.db(), installation).await
    }

    async fn entities_named(&self, login: &Login) -> PortResult<Vec<EntityId>> {
        entities_named(self.db(), login).await
    }

    async fn deliveries_after(
        &self,
        after: Option<EventId>,
        since: Timestamp,
        limit: u32,
    ) -> PortResult<Vec<LoggedDelivery>> {
        deliveries_after(self.db(), after, since, limit).await
    }
}
