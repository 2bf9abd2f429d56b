//! What pages show and commands print, as values: the one documented shape of HTTP's `.json` and of `rrctl
//! --format json`, whether it was made from a store or read from a server.

mod boards;
mod concealment;
mod jobs;
mod part;
mod pools;
mod queue;
mod reason;
mod status;
mod unrouted;
mod usage;
mod why;
mod window;
mod workers;

pub(crate) use self::{
    boards::shown as shown_boards,
    concealment::{diagnostics, knows_repository},
    status::concealed_orders,
    window::midnight,
};
pub use self::{
    boards::{BoardView, BoardsView},
    concealment::Reader,
    jobs::{JobView, JobsView},
    part::Part,
    pools::{PoolView, PoolsView},
    queue::{GroupView, QueueView, ShareView, Shown, VerdictView},
    reason::ReasonView,
    status::{LeaderView, StatusView},
    unrouted::UnroutedView,
    usage::{Totals, UsageView},
    why::{WaitedFor, WhyView},
    window::last_days,
    workers::{WorkerView, WorkersView},
};
pub use crate::picture::{BoardState, Occupant, Picture, Place, Position, SlotState};
