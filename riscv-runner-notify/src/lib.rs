#![doc = include_str!("../README.md")]

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
