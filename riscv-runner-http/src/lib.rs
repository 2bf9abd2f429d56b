#![doc = include_str!("../README.md")]

mod answer;
mod cached;
mod clients;
mod health;
mod intake;
mod live;
pub mod metrics;
mod orders;
mod pages;
mod picture;
mod pods;
pub mod rate;
pub mod readiness;
mod router;
mod security;
mod snapshots;
pub mod staging;
mod state;
mod trace;
mod turns;
pub mod views;

pub use intake::{IntakeLimits, Webhooks};
pub use pods::PodSource;
pub use router::{Role, router, router_for, router_while_migrating};
pub use snapshots::SnapshotSource;
pub use state::{AppState, AppStateBuilder};
