//! Rows to pin, on the command line.

use clap::{Args, ValueEnum};

use super::Output;

/// The kind of row to pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PinKind {
    /// A job, by its id on GitHub
    Job,
    /// A worker, by its name
    Worker,
    /// A row of the event log, by its number
    Event,
}

/// `rrctl pin` and `rrctl unpin`
#[derive(Debug, Clone, Args)]
pub(crate) struct Pin {
    /// The kind of row
    #[arg(value_enum)]
    pub(crate) kind: PinKind,
    /// The job's id, the worker's name or the row's number
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// How the answer is written
    #[command(flatten)]
    pub(crate) output: Output,
}
