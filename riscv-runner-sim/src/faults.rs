//! Faults: what may go wrong, how often, and the ports that make it go wrong.
//!
//! Every fault is one that production has seen or that the contract allows; all are counted by kind.

mod call;
mod cluster;
mod control;
mod controls;
mod forge;
mod profile;
mod retention;
mod store;

pub use call::{FaultSource, Faulty, PortName};
pub use control::{FaultControl, FaultKind};
pub use profile::{
    BoardFaults, CallFaults, FaultProfile, GithubFaults, OutageFaults, ProcessFaults, UnknownProfile,
    WebhookFaults,
};
