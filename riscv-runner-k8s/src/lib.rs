//! The Kubernetes cluster adapter of riscv-runner.
