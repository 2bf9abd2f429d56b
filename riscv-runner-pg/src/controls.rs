//! Orders of operators: the change, its audit row and the wake-up in one transaction.

use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use riscv_runner_core::{
    controls::{ControlTarget, Note, Order, Ordered, Verb},
    entity::{Entity, EntityKind},
    ids::{EntityId, Login},
    policy::Cap,
    ports::{AuditEntry, AuditId, PortResult},
};
use sqlx::{FromRow, PgConnection};

use crate::{
    db::Db,
    demand::count,
    error::port_error,
    rows::{BadRow, readable},
};

const OPERATION: &str = "give an order";

/// Carries out an order. It is not fenced: operators do not lead.
pub(crate) async fn order(db: &Db, order: &Order, note: &Note) -> PortResult<Ordered> {
    let failed = |error| port_error(OPERATION, error);
    let mut transaction = db.begin(OPERATION).await?;
    let changed = match order {
        Order::Hold(_) | Order::Limit { .. } => put(db, &mut transaction, order, note).await,
        Order::Release(_) | Order::ClearLimit { .. } => take_back(db, &mut transaction, order).await,
        Order::Revoke { force, .. } => revoke(db, &mut transaction, order, *force, note).await,
    };
    if changed.map_err(failed)? == 0 {
        transaction.rollback().await.map_err(failed)?;
        return Ok(Ordered::NothingToDo);
    }
    audit(db, &mut transaction, order, note).await.map_err(failed)?;
    db.query("SELECT pg_notify($1, '')")
        .bind(db.schema.orders_channel())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    db.commit(OPERATION, transaction).await?;
    Ok(Ordered::Done)
}

/// How the table of what is in force names an order, and the one that takes it back.
const fn action(verb: Verb) -> &'static str {
    match verb {
        Verb::Pause | Verb::Resume => "pause",
        Verb::Drain | Verb::Undrain => "drain",
        Verb::Limit | Verb::ClearLimit => "limit",
        Verb::Ban | Verb::Unban => "ban",
        Verb::Revoke => "revoke",
    }
}

/// How the table of what is in force names a target: a repository in one spelling, however it was ordered.
fn name(target: &ControlTarget) -> String {
    match target {
        ControlTarget::Repository(repo) => repo.canonical(),
        ControlTarget::Everything
        | ControlTarget::Entity(_)
        | ControlTarget::Pool(_)
        | ControlTarget::Board(_)
        | ControlTarget::Worker(_) => target.name(),
    }
}

fn max_workers(order: &Order) -> Option<i64> {
    order.cap().and_then(Cap::get).map(i64::from)
}

async fn put(db: &Db, connection: &mut PgConnection, order: &Order, note: &Note) -> Result<u64, sqlx::Error> {
    let target = order.target();
    let statement = db.query(
        "INSERT INTO controls (action, target_kind, target_name, max_workers, reason, actor, since) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (action, target_kind, target_name) DO UPDATE \
         SET max_workers = excluded.max_workers, reason = excluded.reason, actor = excluded.actor, \
             since = excluded.since",
    );
    let statement = statement.bind(action(order.verb())).bind(target.kind()).bind(name(&target));
    let statement = statement.bind(max_workers(order)).bind(note.reason.clone()).bind(note.actor.clone());
    Ok(statement.bind(note.since.to_sqlx()).execute(connection).await?.rows_affected())
}

async fn take_back(db: &Db, connection: &mut PgConnection, order: &Order) -> Result<u64, sqlx::Error> {
    let target = order.target();
    let statement =
        db.query("DELETE FROM controls WHERE action = $1 AND target_kind = $2 AND target_name = $3");
    let statement = statement.bind(action(order.verb())).bind(target.kind()).bind(name(&target));
    Ok(statement.execute(connection).await?.rows_affected())
}

async fn revoke(
    db: &Db,
    connection: &mut PgConnection,
    order: &Order,
    force: bool,
    note: &Note,
) -> Result<u64, sqlx::Error> {
    db.query(
        "DELETE FROM revocations r WHERE NOT EXISTS (SELECT FROM workers w \
         WHERE w.pod_name = r.worker AND w.status IN ('pending', 'running'))",
    )
    .execute(&mut *connection)
    .await?;
    let statement = db.query(
        "INSERT INTO revocations (worker, force, reason, actor, since) \
         SELECT pod_name, $2, $3, $4, $5 FROM workers \
         WHERE pod_name = $1 AND status IN ('pending', 'running') \
         ON CONFLICT (worker) DO UPDATE \
         SET force = excluded.force, reason = excluded.reason, actor = excluded.actor, \
             since = excluded.since",
    );
    let statement = statement.bind(order.target().name()).bind(force);
    let statement = statement.bind(note.reason.clone()).bind(note.actor.clone()).bind(note.since.to_sqlx());
    Ok(statement.execute(connection).await?.rows_affected())
}

async fn audit(
    db: &Db,
    connection: &mut PgConnection,
    order: &Order,
    note: &Note,
) -> Result<(), sqlx::Error> {
    let target = order.target();
    let statement = db.query(
        "INSERT INTO control_audit \
             (verb, target_kind, target_name, max_workers, force, reason, actor, ordered_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    );
    let statement = statement.bind(order.verb().as_str()).bind(target.kind()).bind(target.name());
    let statement = statement.bind(max_workers(order)).bind(order.is_forced());
    let statement = statement.bind(note.reason.clone()).bind(note.actor.clone()).bind(note.since.to_sqlx());
    statement.execute(connection).await.map(drop)
}

#[derive(FromRow)]
struct AuditRecord {
    id: i64,
    verb: String,
    target_kind: String,
    target_name: String,
    max_workers: Option<i64>,
    force: bool,
    reason: String,
    actor: String,
    ordered_at: SqlTimestamp,
}

impl AuditRecord {
    fn read(self) -> Result<AuditEntry, BadRow> {
        let id = self.id;
        self.parse().map_err(|problem| BadRow::new(format!("control_audit row {id}"), problem))
    }

    fn parse(self) -> Result<AuditEntry, Box<dyn std::error::Error>> {
        let verb = Verb::parse(&self.verb).ok_or("an unknown verb")?;
        let target = ControlTarget::parse(&self.target_kind, &self.target_name)?;
        let cap = self.max_workers.map_or(Cap::Unlimited, |n| Cap::AtMost(count(n)));
        let since = self.ordered_at.to_jiff();
        Ok(AuditEntry {
            id: AuditId(self.id.unsigned_abs()),
            order: Order::new(verb, target, Some(cap), self.force)?,
            note: Note { reason: self.reason, actor: self.actor, since },
        })
    }
}

/// The last orders, newest first.
pub(crate) async fn last(db: &Db, limit: u32) -> PortResult<Vec<AuditEntry>> {
    const OPERATION: &str = "read the audit of orders";
    let rows = db
        .query(
            "SELECT id, verb, target_kind, target_name, max_workers, force, reason, actor, ordered_at \
             FROM control_audit ORDER BY id DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(AuditRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    Ok(readable(records.into_iter().map(AuditRecord::read)))
}

/// Steps from account to account along the index, so that it costs by accounts and not by rows.
const ACCOUNTS: &str = "WITH RECURSIVE ids AS ( \
         (SELECT min(entity_id) AS id FROM installation_events) \
         UNION ALL \
         SELECT (SELECT min(entity_id) FROM installation_events WHERE entity_id > ids.id) \
         FROM ids WHERE ids.id IS NOT NULL \
     ) \
     SELECT ids.id, newest.entity_name, newest.entity_type \
     FROM ids CROSS JOIN LATERAL ( \
         SELECT entity_name, entity_type::text FROM installation_events e \
         WHERE e.entity_id = ids.id AND entity_name IS NOT NULL AND entity_type IS NOT NULL \
         ORDER BY received_at DESC LIMIT 1 \
     ) newest ORDER BY ids.id";

#[derive(FromRow)]
struct AccountRecord {
    id: i64,
    entity_name: String,
    entity_type: String,
}

impl AccountRecord {
    fn read(self) -> Result<Entity, BadRow> {
        let id = self.id;
        self.parse().map_err(|problem| BadRow::new(format!("account {id} of the event log"), problem))
    }

    fn parse(self) -> Result<Entity, Box<dyn std::error::Error>> {
        Ok(Entity {
            id: EntityId::new(self.id)?,
            kind: EntityKind::parse(&self.entity_type).ok_or("an unknown entity_type")?,
            login: Login::new(self.entity_name)?,
        })
    }
}

/// Every account of which a delivery was recorded.
pub(crate) async fn accounts(db: &Db) -> PortResult<Vec<Entity>> {
    const OPERATION: &str = "read the accounts";
    let rows = db.query(ACCOUNTS).fetch_all(&db.pool).await.map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(AccountRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    Ok(readable(records.into_iter().map(AccountRecord::read)))
}
