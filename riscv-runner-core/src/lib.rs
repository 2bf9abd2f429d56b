//! The domain of riscv-runner: what a job and a worker are, what to do about them, and the engine
//! that does it over trait ports.
//!
//! Data flows one way: observe → decide → act. Everything that decides is a pure function of a
//! [`snapshot::Snapshot`] and a [`policy::Policy`]; nothing here reads a clock, draws a random number
//! or knows a database, HTTP or Kubernetes.
//!
//! ```
//! use riscv_runner_core::{plan, policy::*, snapshot::Snapshot};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy {
//!     pools: Default::default(),
//!     routes: Vec::new(),
//!     entities: Default::default(),
//!     banned_senders: Default::default(),
//!     staging_repositories: Default::default(),
//!     limits: Limits::default(),
//!     timeouts: Timeouts::default(),
//!     name_prefix: NamePrefix::new("rr-")?,
//! };
//! // What one cycle knows: here, nothing. The plan is a value; nothing has happened yet.
//! let snapshot = Snapshot::empty("2026-01-01T00:00:00Z".parse()?);
//! let plan = plan::schedule(&snapshot, &policy);
//! assert!(plan.steps.is_empty());
//! assert!(plan::audit::audit(&snapshot, &policy, &plan).is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! A host embeds the engine by giving [`engine::Engine`] its own implementations of the
//! [`ports`].

pub mod admission;
pub mod backoff;
pub mod controls;
pub mod delivery;
pub mod engine;
pub mod enrolment;
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
pub mod unrouted;
pub mod why;
pub mod worker;
