//! The router as its clients see it: requests in, answers out, on the in-memory store.

#![expect(clippy::unwrap_used, reason = "what a test needs must be there, or the test fails where it stands")]

mod boards;
mod broken;
mod browser;
mod check;
mod devtools;
mod health;
mod inspecting;
mod listings;
mod live;
mod looking;
mod orders;
mod pages;
mod payloads;
mod queue;
mod series;
mod serving;
mod setup;
mod staging;
mod sums;
mod trace;
mod webhooks;
mod why;
mod worker;
