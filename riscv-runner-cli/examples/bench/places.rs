//! Where things are: the binary that is measured.

use std::path::PathBuf;

use crate::Outcome;

/// The release binary beside this program, or the one that `RRCTL_BENCH_BINARY` names.
pub(crate) fn rrctl() -> Outcome<PathBuf> {
    let named = std::env::var_os("RRCTL_BENCH_BINARY").map(PathBuf::from);
    let beside = std::env::current_exe()?.ancestors().nth(2).map(|directory| directory.join("rrctl"));
    let found = named.or(beside).filter(|path| path.is_file());
    found.ok_or_else(|| "rrctl is not built; run: cargo build --release -p riscv-runner-cli".into())
}
