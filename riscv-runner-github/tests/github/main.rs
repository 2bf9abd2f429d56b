//! The adapter over HTTP against the double of GitHub's API, and payloads against GitHub's examples.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod api_description;
mod authentication;
mod deliveries;
mod diagnoses;
mod inspecting;
mod jobs;
mod limits;
mod listing;
mod minting;
mod published;
mod setting;
mod webhooks;
