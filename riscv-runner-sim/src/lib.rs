//! A simulated GitHub, cluster and store for riscv-runner, with virtual time, and the contract suites
//! every backend must pass.

pub mod contract;
#[cfg(feature = "doubles")]
pub mod doubles;
