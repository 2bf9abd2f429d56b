//! The HTTP router of riscv-runner: webhook intake, pages and health.
