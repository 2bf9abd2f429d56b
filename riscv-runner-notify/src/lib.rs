//! Telling operators over HTTP: a webhook of their own, signed; Discord; and the heartbeat of a monitor.
//!
//! What is told, how often, and what is tried again is decided in the core. A crate of its own, because
//! it knows neither GitHub nor the database, and whoever embeds the engine may tell people otherwise.

mod client;
mod discord;
mod heartbeat;
mod webhook;

pub use self::{
    client::SetupError,
    discord::Discord,
    heartbeat::PushMonitor,
    webhook::{ID_HEADER, SIGNATURE_HEADER, Webhook},
};
