//! Contract suites: what every implementation of a port must do, run on the simulated backends and
//! on the real adapters alike.

pub mod cluster;
pub mod store;
