//! `rrctl`: the command line and the server of riscv-runner. It reads a configuration, puts the parts
//! together and prints; everything else is in the libraries.

mod config;

fn main() {}
