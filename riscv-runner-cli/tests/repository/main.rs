//! What the repository says beside its code: documentation, manifests, images and the hosted CI, compared
//! with the code and with what others publish.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod chart;
mod dockerfile;
mod documents;
mod left_out;
mod manifests;
mod runbook;
mod secrets;
mod templates;
mod unit;
mod workflows;

use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A file of the repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
