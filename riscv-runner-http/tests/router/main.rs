//! The router as its clients see it: requests in, answers out, on the in-memory store.

mod broken;
mod health;
mod listings;
mod pages;
mod payloads;
mod serving;
mod staging;
mod webhooks;
