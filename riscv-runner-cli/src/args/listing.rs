//! Lists on the command line: which rows to show.

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use riscv_runner_core::ids::{Login, PoolName};
use riscv_runner_http::views::BoardState;

use super::Reading;

/// `rrctl jobs` and `rrctl workers`
#[derive(Debug, Clone, Args)]
pub(crate) struct Listing {
    /// How many whole days to go back, in UTC
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=3660), value_name = "N")]
    pub(crate) days: u16,
    /// Only those of this status
    #[arg(long, value_enum, value_name = "STATUS")]
    pub(crate) status: Option<RowStatus>,
    /// Only those of this pool
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<PoolName>,
    /// Only those of this account, by its login or id
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) entity: Option<Login>,
    /// The page, from 0
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) page: u32,
    /// Rows on a page
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(crate) per_page: u32,
    /// Where to read them, and how the rows are written
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How far a job or a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowStatus {
    /// Waiting, or starting
    Pending,
    /// Running
    Running,
    /// Given up, or failed
    Failed,
    /// Ended
    Completed,
}

impl RowStatus {
    /// The name in tables and addresses.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Completed => "completed",
        }
    }
}

/// `rrctl queue` and `rrctl usage`
#[derive(Debug, Clone, Args)]
pub(crate) struct Filtered {
    /// Only those of this pool
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<PoolName>,
    /// Only those of this account, by its login or id
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) entity: Option<Login>,
    /// Where to read them, and how they are written
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// `rrctl boards`
#[derive(Debug, Clone, Args)]
pub(crate) struct Boards {
    /// Only those of this pool
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<PoolName>,
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = board_state())]
    pub(crate) state: Option<BoardState>,
    /// Where to read them, and how they are written
    #[command(flatten)]
    pub(crate) reading: Reading,
}

fn board_state() -> impl TypedValueParser<Value = BoardState> {
    PossibleValuesParser::new(BoardState::ALL.map(BoardState::as_str))
        .try_map(|name| BoardState::ALL.into_iter().find(|state| state.as_str() == name).ok_or("no state"))
}
