//! The PostgreSQL store of riscv-runner.
