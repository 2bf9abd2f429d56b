//! The GitHub adapter of riscv-runner: App authentication, runner registration, job look-up and
//! webhook parsing. It decides nothing, and retries only what GitHub is known to drop.

pub mod signature;
pub mod webhook;
