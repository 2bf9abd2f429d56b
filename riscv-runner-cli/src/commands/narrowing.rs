//! Filters by pool and account: an account may be named by its id, and unknown names are reported.

use riscv_runner_core::{
    controls::known::suggest,
    entity::Entity,
    ids::{EntityId, Login, PoolName},
    ports::ControlStore,
};
use riscv_runner_http::views::{PoolsView, UsageView};
use riscv_runner_pg::PgStore;

use crate::{config::Config, failure::Failure, printer::Printer, remote::Server, whole};

/// What is asked for, in the words of rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Narrowing {
    pub(super) pool: Option<PoolName>,
    pub(super) entity: Option<Login>,
}

impl Narrowing {
    /// The account by its login: rows of a store are filtered by that.
    pub(super) async fn of_store(
        pool: Option<&PoolName>,
        entity: Option<&Login>,
        store: &PgStore,
    ) -> Result<Self, Failure> {
        let known = if entity.is_some() { store.known_accounts().await? } else { Vec::new() };
        Ok(Self { pool: pool.cloned(), entity: entity.map(|text| login(text, &known)) })
    }

    /// The same of what a server shows.
    pub(super) async fn of_server(
        pool: Option<&PoolName>,
        entity: Option<&Login>,
        server: &Server,
    ) -> Result<Self, Failure> {
        let entity = match entity.map(|text| (text, text.as_str().parse::<EntityId>())) {
            Some((text, Ok(id))) => {
                let usage: UsageView = whole::read(server, &[]).await?;
                let found = usage.usage.into_iter().find(|row| row.entity_id == id);
                Some(found.map_or_else(|| text.clone(), |row| row.entity_name))
            }
            Some((text, Err(_))) => Some(text.clone()),
            None => None,
        };
        Ok(Self { pool: pool.cloned(), entity })
    }

    /// As a server's page takes it.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let pool = self.pool.as_ref().map(|pool| ("pool", pool.to_string()));
        pool.into_iter().chain(self.entity.as_ref().map(|entity| ("entity", entity.to_string()))).collect()
    }

    /// Says about an empty answer that it may be due to an unknown name.
    pub(super) async fn explain_empty(&self, place: Place<'_>, printer: &Printer) -> Result<(), Failure> {
        if let Some(pool) = &self.pool {
            let pools: Vec<String> = match place {
                Place::Server(server) => {
                    let pools: PoolsView = server.get(&["pools.json"], &[]).await?;
                    pools.pools.keys().map(ToString::to_string).collect()
                }
                Place::Store(_, config) | Place::Configuration(config) => {
                    config.policy.pools.keys().map(ToString::to_string).collect()
                }
            };
            unknown("pool", pool.as_str(), &pools, printer);
        }
        if let (Some(entity), Place::Store(store, _)) = (&self.entity, place) {
            let logins: Vec<_> =
                store.known_accounts().await?.iter().map(|known| known.login.to_string()).collect();
            unknown("account", entity.as_str(), &logins, printer);
        }
        Ok(())
    }
}

/// Where rows were read.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Server(&'a Server),
    Store(&'a PgStore, &'a Config),
    Configuration(&'a Config),
}

fn unknown(what: &str, name: &str, all: &[String], printer: &Printer) {
    if all.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return;
    }
    printer.warning(&format!("there is no {what} {name}"));
    printer.hint(suggest(name, all).as_deref());
}

/// The login that is meant; some logins are numbers themselves.
fn login(text: &Login, known: &[Entity]) -> Login {
    let is_login = known.iter().any(|entity| entity.login.as_str().eq_ignore_ascii_case(text.as_str()));
    let by_id = || {
        let id: EntityId = text.as_str().parse().ok()?;
        known.iter().find(|entity| entity.id == id).map(|entity| entity.login.clone())
    };
    (!is_login).then(by_id).flatten().unwrap_or_else(|| text.clone())
}
