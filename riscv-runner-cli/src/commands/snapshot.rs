//! `rrctl snapshot`: what the planner sees, as JSON.

use crate::{
    config::{self, Need, Sources},
    failure::Failure,
    printer::Printer,
    wire,
};

/// Runs `rrctl snapshot`. It holds names of repositories and accounts, and no secret.
pub(crate) async fn run(sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let engine = wire::observer(&config).await?;
    printer.json(&engine.snapshot().await?)
}
