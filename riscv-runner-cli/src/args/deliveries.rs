//! `rrctl deliveries`: which deliveries, and what to do with them.

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use riscv_runner_core::{
    delivery::Outcome,
    ids::{DeliveryGuid, EventId, InstallationId},
};

use super::Output;
use crate::when::When;

/// `rrctl deliveries`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Deliveries {
    /// Show the newest rows of the log, or what GitHub sent and we lack
    List(List),
    /// Ask GitHub to deliver again
    Redeliver(Redeliver),
    /// Put stored deliveries through intake again; doing so twice changes nothing
    Replay(Replay),
}

/// `rrctl deliveries list`
#[derive(Debug, Clone, Args)]
pub(crate) struct List {
    /// Only this event, with all its actions (`workflow_job`) or one (`workflow_job.queued`)
    #[arg(long, value_name = "EVENT")]
    pub(crate) event: Option<String>,
    /// Only this outcome, such as `ignored_no_label`
    #[arg(long, value_name = "OUTCOME", conflicts_with = "github", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(Outcome::ALL.map(Outcome::as_str)))]
    pub(crate) outcome: Option<String>,
    /// Only what was received since this time: 2026-11-21T10:00:00Z, 2026-11-21, or -2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<When>,
    /// Only of this installation
    #[arg(long, value_name = "N", conflicts_with = "github")]
    pub(crate) installation: Option<InstallationId>,
    /// How many rows, the newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) limit: u32,
    /// GitHub's own log instead of ours [since: -1d]: each delivery, and whether we have it
    #[arg(long)]
    pub(crate) github: bool,
    /// How the rows are written
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `rrctl deliveries redeliver`
#[derive(Debug, Clone, Args)]
pub(crate) struct Redeliver {
    /// The deliveries, by GitHub's GUID
    #[arg(required = true, value_name = "GUID")]
    pub(crate) guids: Vec<DeliveryGuid>,
}

/// `rrctl deliveries replay`
#[derive(Debug, Clone, Args)]
pub(crate) struct Replay {
    /// Rows of the log, by their numbers
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
    pub(crate) ids: Vec<EventId>,
    /// Every delivery of the log
    #[arg(long)]
    pub(crate) all: bool,
    /// Only what was received since this time: 2026-11-21T10:00:00Z, 2026-11-21, or -2h
    #[arg(long, value_name = "TIME", requires = "all", allow_hyphen_values = true)]
    pub(crate) since: Option<When>,
    /// How the outcome is written
    #[command(flatten)]
    pub(crate) output: Output,
}
