//! The HTTP router of riscv-runner: webhook intake, pages, health and metrics.
//!
//! It reads the store and hands deliveries to the engine's intake; it calls neither GitHub nor the
//! cluster, and decides nothing.

mod answer;
mod health;
mod intake;
pub mod metrics;
mod pages;
pub mod readiness;
mod router;
mod security;
pub mod staging;
mod state;

pub use intake::{IntakeLimits, Webhooks};
pub use router::{Role, router, router_for};
pub use state::{AppState, AppStateBuilder};
