//! `rrctl config check|show`: what is wrong with the configuration, and what is in force.

use serde::Serialize;

use crate::{
    args::{ConfigCheck, ConfigCommand, Format, Output},
    config::{self, Config, Need, Origin, Problem, Severity, Shown, Sources},
    failure::{Failure, count, report_problems},
    printer::Printer,
};

/// Where something is configured: a line of the file, a variable, or nowhere.
#[derive(Debug, Serialize)]
struct Place {
    file: Option<String>,
    line: Option<usize>,
    variable: Option<String>,
}

impl From<&Origin> for Place {
    fn from(origin: &Origin) -> Self {
        let nowhere = Self { file: None, line: None, variable: None };
        match origin {
            Origin::File { path, line } => {
                Self { file: Some(path.display().to_string()), line: Some(*line), ..nowhere }
            }
            Origin::Variable(name) => Self { variable: Some(name.to_string()), ..nowhere },
            Origin::Default => nowhere,
        }
    }
}

/// One thing that is wrong, for programs.
#[derive(Debug, Serialize)]
struct Found<'a> {
    severity: &'static str,
    key: &'a str,
    problem: &'a str,
    hint: Option<&'a str>,
    #[serde(flatten)]
    place: Place,
}

impl<'a> From<&'a Problem> for Found<'a> {
    fn from(found: &'a Problem) -> Self {
        let severity = match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (key, problem, hint) = (&found.key, &found.problem, found.hint.as_deref());
        Self { severity, key, problem, hint, place: Place::from(&found.origin) }
    }
}

/// What `config check` says to programs.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    ok: bool,
    file: Option<String>,
    pools: Option<usize>,
    routes: Option<usize>,
    problems: Vec<Found<'a>>,
}

impl<'a> Checked<'a> {
    fn new(sources: &Sources, config: Option<&Config>, problems: &'a [Problem], ok: bool) -> Self {
        Self {
            ok,
            file: sources.file().map(|path| path.display().to_string()),
            pools: config.map(|config| config.policy.pools.len()),
            routes: config.map(|config| config.policy.routes.len()),
            problems: problems.iter().map(Found::from).collect(),
        }
    }
}

/// One key in force, for programs.
#[derive(Debug, Serialize)]
struct InForce {
    key: String,
    value: serde_json::Value,
    default: bool,
    #[serde(flatten)]
    place: Place,
}

/// Runs `rrctl config`.
pub(crate) fn run(command: ConfigCommand, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(check) => run_check(check, sources, printer),
        ConfigCommand::Show(output) => show(output, sources, printer),
    }
}

fn run_check(check: ConfigCheck, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let is_json = check.output.format == Format::Json;
    let config = match config::load(sources, Need::All) {
        Ok(config) => config,
        Err(problems) => {
            if is_json {
                printer.json(&Checked::new(sources, None, &problems, false))?;
            }
            return Err(Failure::Configuration(problems));
        }
    };
    let n_warnings = config.warnings.len();
    let is_refused = check.strict && n_warnings > 0;
    if is_json {
        printer.json(&Checked::new(sources, Some(&config), &config.warnings, !is_refused))?;
    } else {
        report_problems(printer, &config.warnings);
    }
    if is_refused {
        let what = format!("the configuration has {}", count(n_warnings, "warning"));
        return Err(Failure::Usage { what, hint: None });
    }
    if is_json {
        return Ok(());
    }
    let file = sources.file().map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    let (pools, routes) = (config.policy.pools.len(), config.policy.routes.len());
    let parts = format!("{}, {}", count(pools, "pool"), count(routes, "route"));
    let warned = if n_warnings > 0 { format!(", {}", count(n_warnings, "warning")) } else { String::new() };
    printer.line(&format!("{file}: ok ({parts}{warned})"))
}

fn show(output: Output, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Nothing).map_err(Failure::Configuration)?;
    report_problems(printer, &config.warnings);
    let in_force = config::with_paths(&config.shown).into_iter().map(|(key, value, origin)| InForce {
        key,
        value: json_of(value),
        default: *origin == Origin::Default,
        place: Place::from(origin),
    });
    printer.data(output.format, &in_force.collect::<Vec<_>>(), || printer.raw(&lines(&config.shown)))
}

/// The effective configuration as a file that can be read again, with where each value comes from.
fn lines(all: &[Shown]) -> String {
    let mut text = String::new();
    for shown in all {
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
    text
}

/// A value that is shown as TOML.
fn json_of(value: &str) -> serde_json::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"));
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    value.map_or(serde_json::Value::Null, |value| serde_json::to_value(value).unwrap_or_default())
}
