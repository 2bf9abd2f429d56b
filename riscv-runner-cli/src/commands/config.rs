//! `rrctl config check|show`: what is wrong with the configuration, and what is in force.

use crate::{
    args::{ConfigCheck, ConfigCommand},
    config::{self, Need, Origin, Shown, Sources},
    failure::{Failure, count, report_problems},
    printer::Printer,
};

/// Runs `rrctl config`.
pub(crate) fn run(command: ConfigCommand, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(check) => run_check(check, sources, printer),
        ConfigCommand::Show => show(sources, printer),
    }
}

fn run_check(check: ConfigCheck, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    report_problems(printer, &config.warnings);
    let n_warnings = config.warnings.len();
    if check.strict && n_warnings > 0 {
        let what = format!("the configuration has {}", count(n_warnings, "warning"));
        return Err(Failure::Usage { what, hint: None });
    }
    let file = sources.file().map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    let (pools, routes) = (config.policy.pools.len(), config.policy.routes.len());
    let parts = format!("{}, {}", count(pools, "pool"), count(routes, "route"));
    let warned = if n_warnings > 0 { format!(", {}", count(n_warnings, "warning")) } else { String::new() };
    printer.line(&format!("{file}: ok ({parts}{warned})"));
    Ok(())
}

fn show(sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Nothing).map_err(Failure::Configuration)?;
    report_problems(printer, &config.warnings);
    let mut text = String::new();
    for shown in &config.shown {
        match shown {
            Shown::Header(header) => {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&format!("{header}\n"));
            }
            Shown::Key { key, value, origin: Origin::Default } => {
                text.push_str(&format!("{key} = {value}  # default\n"));
            }
            Shown::Key { key, value, origin } => text.push_str(&format!("{key} = {value}  # {origin}\n")),
        }
    }
    printer.raw(&text);
    Ok(())
}
