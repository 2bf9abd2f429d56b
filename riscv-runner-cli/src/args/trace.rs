//! `rrctl trace`: its subject, and the time of the state.

use clap::Args;
use riscv_runner_core::ids::{EntityId, InstallationId, JobId, Login, RepoName};

use super::Output;
use crate::{remote::Remote, when::When};

/// `rrctl trace`
#[derive(Debug, Clone, Args)]
pub(crate) struct Trace {
    /// The subject of the trace
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// Also say whether this repository is served
    #[arg(long, value_name = "OWNER/NAME", conflicts_with = "job_id")]
    pub(crate) repo: Option<RepoName>,
    /// The time of the state: 2026-11-21T10:00:00Z, 2026-11-21, or -2h [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) at: Option<When>,
    /// How many days of rows to list; diagnoses use all rows
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3660), value_name = "N")]
    pub(crate) days: u16,
    /// The page of rows, from 0, the newest first
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) page: u32,
    /// Rows on a page
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) per_page: u32,
    /// Where to read the rows
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// How the answer is written
    #[command(flatten)]
    pub(crate) output: Output,
}

/// The subject of a trace.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Subject {
    /// The account, by its id on GitHub
    #[arg(long, value_name = "N")]
    pub(crate) entity_id: Option<EntityId>,
    /// The account, by a login that it has or had
    #[arg(long, value_name = "LOGIN")]
    pub(crate) entity_name: Option<Login>,
    /// One installation of an App
    #[arg(long, value_name = "N")]
    pub(crate) installation_id: Option<InstallationId>,
    /// One job
    #[arg(long, value_name = "N")]
    pub(crate) job_id: Option<JobId>,
}
