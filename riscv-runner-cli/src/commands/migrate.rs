//! `rrctl migrate`: the database's schema is brought up to date.

use riscv_runner_pg::{MigrationReport, SchemaName};

use crate::{
    config::{self, Config, Need, Sources},
    failure::{Failure, count},
    printer::Printer,
    wire,
};

/// Runs `rrctl migrate`.
pub(crate) async fn run(sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let report = migrate(&config).await?;
    let schema = config.store.schema.as_ref().map_or("", SchemaName::as_str);
    if report.created_schema {
        printer.line(&format!("created schema {schema}"))?;
    }
    for step in &report.applied {
        printer.line(&format!("applied {:04} {}", step.version, step.description))?;
    }
    if report.applied.is_empty() {
        let steps = count(report.already_applied, "step");
        printer.line(&format!("schema {schema} is up to date ({steps})"))?;
    }
    Ok(())
}

/// Brings the schema up to date.
pub(crate) async fn migrate(config: &Config) -> Result<MigrationReport, Failure> {
    riscv_runner_pg::migrate(&wire::store_config(config, false)?).await.map_err(|error| {
        let is_lacking = riscv_runner_pg::remedy(&error).is_some();
        let failure = Failure::from(error);
        // The usual remedy is what has just failed.
        if is_lacking { failure.hint("`rrctl doctor` says which rights the role lacks") } else { failure }
    })
}
