//! Measures the real parts: the `rrctl` binary as a process, a throw-away PostgreSQL with its default
//! durability, and doubles of GitHub and Kubernetes over HTTP. `scripts/bench-*` build and run it.
//!
//! Nothing here is judged by a clock: it prints figures, and fails only when something does not work.

#![expect(clippy::print_stdout, reason = "figures are what this program is for")]

mod backlog;
mod burst;
mod cycle;
mod figures;
mod footprint;
mod http;
mod idle_parts;
mod ingest;
mod load;
mod payload;
mod pgbench;
mod places;
mod platform;
mod provision;
mod server;

use std::{error::Error, process::ExitCode};

/// What goes wrong in a measurement ends it.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "usage: bench ingest|cycle|provision|footprint [--quick]";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let measuring = async {
        match arguments.first().map(String::as_str) {
            Some("ingest") => ingest::run(quick).await,
            Some("cycle") => cycle::run(quick).await,
            Some("provision") => provision::run(quick).await,
            Some("footprint") => footprint::run(quick).await,
            Some(_) | None => Err(USAGE.into()),
        }
    };
    // Interrupted, everything that was started is dropped, and thereby ended.
    let result = tokio::select! {
        result = measuring => result,
        () = interrupted() => Err("interrupted".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&*error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a program for people at a terminal")]
fn say(error: &(dyn Error + 'static)) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        eprintln!("  because: {source}");
        cause = source.source();
    }
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
