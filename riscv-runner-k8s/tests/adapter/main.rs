//! The adapter in front of the double of the Kubernetes API; its contract also in front of a real one.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod autopilot;
mod changing;
mod common;
mod connecting;
mod contract;
mod diagnosing;
mod pod_spec;
mod reading;
mod rights;
mod watching;
