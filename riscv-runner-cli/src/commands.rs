//! The commands, one file each.

pub(crate) mod board;
pub(crate) mod boards;
pub(crate) mod config;
pub(crate) mod controls;
pub(crate) mod demo;
pub(crate) mod github_app;
pub(crate) mod jobs;
pub(crate) mod migrate;
pub(crate) mod nodes;
pub(crate) mod order;
pub(crate) mod pools;
pub(crate) mod queue;
pub(crate) mod route;
pub(crate) mod schedule;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod usage;
pub(crate) mod why;
pub(crate) mod workers;
