#![doc = include_str!("../README.md")]

mod config;
mod controls;
mod db;
mod deliveries;
mod demand;
mod error;
mod events;
mod inspect;
mod installations;
mod jobs;
mod lease;
mod listen;
mod migrate;
#[cfg(test)]
mod plans;
mod pool_key;
mod reports;
mod reserve;
mod reserved_words;
mod retention;
mod rows;
mod standing;
mod statement;
mod stats;
mod store;
mod sweeps;
pub mod testing;
mod unrouted;
mod workers;

pub use config::{PgConfig, SchemaName, SchemaNameError};
pub use error::remedy;
pub use inspect::{Inspection, OLDEST_SERVER, inspect};
pub use listen::{Listeners, listen};
pub use migrate::{MigrationReport, MigrationStep, migrate, pending_migrations};
pub use store::PgStore;
