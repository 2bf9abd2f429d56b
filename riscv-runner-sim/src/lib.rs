#![doc = include_str!("../README.md")]

pub mod chance;
pub mod clock;
pub mod cluster;
pub mod contract;
#[cfg(feature = "doubles")]
pub mod doubles;
pub mod executor;
pub mod faults;
pub mod github;
pub mod laws;
pub mod simulate;
pub mod store;
pub mod trace;
mod truth;
pub mod world;
