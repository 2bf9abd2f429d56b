//! The installation to act through for each account: learnt from deliveries, in their transaction.
//!
//! The domain's join decides; the statement computes the same, for others write at the same time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use riscv_runner_core::{
    delivery::DeliveryRecord,
    entity::EntityKind,
    ids::{EntityId, InstallationId},
    installation::{InstallationKey, InstallationNews, Installations, KnownInstallation},
    ports::PortResult,
};
use serde::Deserialize;
use sqlx::PgConnection;

use crate::{db::Db, error::port_error, rows::BadRow};

/// What this process knows to be in the table: rows only rise, so what is no news here is none there.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Installations>);

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Installations> {
        // Every change is one insertion, so a panic elsewhere leaves nothing half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of these records' news what the table may not have, joined by account.
    pub(crate) fn news<'a>(&self, records: impl IntoIterator<Item = &'a DeliveryRecord>) -> Installations {
        let heard = self.lock();
        let told = records.into_iter().filter_map(|record| record.installation);
        told.filter(|news| heard.is_news(news)).map(|news| (news.key, news.known)).collect()
    }

    /// Remembers what was committed.
    pub(crate) fn committed(&self, news: &Installations) {
        let mut heard = self.lock();
        for (key, known) in news.iter() {
            heard.learn(&InstallationNews { key: *key, known: *known });
        }
    }
}

/// Joins news into the table; whether any of it was news to the table too.
pub(crate) async fn learn(db: &Db, connection: &mut PgConnection, news: &Installations) -> PortResult<bool> {
    const OPERATION: &str = "learn of installations";
    let all: Vec<_> = news.iter().collect();
    let written = db
        .query(
            "INSERT INTO installations AS known (entity_id, app_kind, installation_id, gone_at, returned_at) \
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[]) \
             ON CONFLICT (entity_id, app_kind) DO UPDATE SET \
                 installation_id = excluded.installation_id, \
                 gone_at = CASE WHEN known.installation_id < excluded.installation_id THEN excluded.gone_at \
                                ELSE least(known.gone_at, excluded.gone_at) END, \
                 returned_at = CASE WHEN known.installation_id < excluded.installation_id THEN excluded.returned_at \
                                    ELSE greatest(known.returned_at, excluded.returned_at) END, \
                 learned_at = now() \
             WHERE known.installation_id < excluded.installation_id \
                OR (known.installation_id = excluded.installation_id \
                    AND (known.gone_at IS DISTINCT FROM least(known.gone_at, excluded.gone_at) \
                      OR known.returned_at IS DISTINCT FROM greatest(known.returned_at, excluded.returned_at)))",
        )
        .bind(all.iter().map(|(key, _)| key.entity.get()).collect::<Vec<_>>())
        .bind(all.iter().map(|(key, _)| key.app.as_str()).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, known)| known.id.get()).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, known)| known.gone_since.map(ToSqlx::to_sqlx)).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, known)| known.returned_at.map(ToSqlx::to_sqlx)).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    Ok(written.rows_affected() > 0)
}

/// A row of `installations`, as JSON.
#[derive(Deserialize)]
pub(crate) struct InstallationRecord {
    entity_id: i64,
    app_kind: String,
    installation_id: i64,
    gone_at: Option<Timestamp>,
    returned_at: Option<Timestamp>,
}

impl InstallationRecord {
    pub(crate) fn read(self) -> Result<(InstallationKey, KnownInstallation), BadRow> {
        let entity = self.entity_id;
        self.parse().map_err(|problem| BadRow::new(format!("installations row of {entity}"), problem))
    }

    fn parse(self) -> Result<(InstallationKey, KnownInstallation), Box<dyn std::error::Error>> {
        let app = EntityKind::parse(&self.app_kind).ok_or("an unknown app_kind")?;
        let known = KnownInstallation {
            id: InstallationId::new(self.installation_id)?,
            gone_since: self.gone_at,
            returned_at: self.returned_at,
        };
        Ok((InstallationKey { entity: EntityId::new(self.entity_id)?, app }, known))
    }
}
