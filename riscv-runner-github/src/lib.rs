//! The GitHub adapter of riscv-runner: App authentication, runner registration, job look-up and webhook parsing.
