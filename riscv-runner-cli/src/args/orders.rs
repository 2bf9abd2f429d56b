//! Orders of operators on the command line.

use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use riscv_runner_core::{ids::WorkerName, policy::Cap};

use super::Output;

/// The options of every order.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(crate) struct Order {
    /// Why; shown wherever the order has an effect
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Who orders it [default: the user and host of this process]
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// How the answer is written
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DrainKind {
    /// One machine
    Board,
    /// All machines of a pool
    Pool,
}

/// `rrctl drain` and `rrctl undrain`
#[derive(Debug, Clone, Args)]
pub(crate) struct Drain {
    /// The kind of thing
    #[arg(value_enum)]
    pub(crate) kind: DrainKind,
    /// The node of the board, or the pool
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Accept the name even if nothing by that name is known
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) order: Order,
}

/// What is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PauseKind {
    /// An organization or a personal account
    Entity,
    /// A repository
    #[value(alias = "repository")]
    Repo,
    /// Everything
    #[value(alias = "everything")]
    All,
}

/// `rrctl pause` and `rrctl resume`
#[derive(Debug, Clone, Args)]
pub(crate) struct Pause {
    /// The kind of thing
    #[arg(value_enum)]
    pub(crate) kind: PauseKind,
    /// The account's id or login, or OWNER/NAME; nothing for `all`
    #[arg(value_name = "NAME", required_if_eq_any = [("kind", "entity"), ("kind", "repo")])]
    pub(crate) name: Option<String>,
    /// Accept the account's id even if no such account is known
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) order: Order,
}

/// A number of workers, or `unlimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CapArgument(pub(crate) Cap);

impl FromStr for CapArgument {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self(Cap::Unlimited));
        }
        let number = text.parse().map_err(|_| "must be a number or `unlimited`".to_owned())?;
        Ok(Self(Cap::AtMost(number)))
    }
}

/// `rrctl entity`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum EntityCommand {
    /// Let it have this many workers, whatever the configuration says
    SetLimit {
        /// The account's id or login
        #[arg(value_name = "ID")]
        entity: String,
        /// How many workers, or `unlimited`
        #[arg(value_name = "N")]
        max_workers: CapArgument,
        /// Accept the id even if no such account is known
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        order: Order,
    },
    /// Go back to the number of workers in the configuration
    ClearLimit {
        /// The account's id or login
        #[arg(value_name = "ID")]
        entity: String,
        #[command(flatten)]
        order: Order,
    },
    /// Refuse its new jobs; those accepted before are followed to their end
    Ban {
        /// The account's id or login
        #[arg(value_name = "ID")]
        entity: String,
        /// Accept the id even if no such account is known
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        order: Order,
    },
    /// Accept its jobs again
    Unban {
        /// The account's id or login
        #[arg(value_name = "ID")]
        entity: String,
        #[command(flatten)]
        order: Order,
    },
}

/// `rrctl revoke`
#[derive(Debug, Clone, Args)]
pub(crate) struct Revoke {
    /// The worker
    #[arg(value_name = "WORKER")]
    pub(crate) worker: WorkerName,
    /// End it even if a job runs on it: the job fails on GitHub
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) order: Order,
}

/// `rrctl controls`
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ControlsListing {
    /// Show the last orders instead, newest first
    #[arg(long)]
    pub(crate) audit: bool,
    /// How many orders
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N", requires = "audit")]
    pub(crate) last: u32,
    /// How the rows are written
    #[command(flatten)]
    pub(crate) output: Output,
}
