//! The domain of riscv-runner: what a job and a worker are, what to do about them, and the engine
//! that does it over trait ports.
//!
//! Data flows one way: observe → decide → act. Everything that decides is a pure function of a
//! [`snapshot::Snapshot`] and a [`policy::Policy`]; nothing here reads a clock, draws a random number
//! or knows a database, HTTP or Kubernetes.

pub mod admission;
pub mod backoff;
pub mod controls;
pub mod delivery;
pub mod engine;
pub mod entity;
pub mod failure;
pub mod health;
pub mod ids;
pub mod job;
pub mod labels;
pub mod observed;
pub mod plan;
pub mod pod;
pub mod policy;
pub mod polling;
pub mod ports;
pub mod quarantine;
pub mod routing;
pub mod runner;
pub mod scope;
pub mod snapshot;
pub mod why;
pub mod worker;
