//! Rows that retention keeps whatever their age, on the command line.

use clap::{Args, ValueEnum};

use super::Output;

/// What is kept.
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
    /// What kind of row
    #[arg(value_enum)]
    pub(crate) kind: PinKind,
    /// Which one
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// How the answer is written
    #[command(flatten)]
    pub(crate) output: Output,
}
