//! `rrctl doctor`: checks everything that the server needs, and says how to fix each problem.

mod cluster;
mod database;
mod github;

use serde::Serialize;

use crate::{
    args::Output,
    config::{self, Config, Need, Origin, Problem, Severity, Sources},
    failure::{Failure, count},
    printer::{Column, Printer, Tone, Value},
};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// All is well.
    Ok,
    /// It works, but not as it should.
    Warn,
    /// Something will not work.
    Fail,
    /// It could not be checked, because of another problem.
    Skipped,
}

/// What one check found.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    check: String,
    status: Status,
    /// What was found.
    finding: String,
    /// The command or setting that fixes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn ok(check: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Ok, finding: finding.into(), fix: None }
    }

    fn skipped(check: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(check, finding) }
    }

    fn warn(check: impl Into<String>, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { status: Status::Warn, fix: Some(fix.into()), ..Self::ok(check, finding) }
    }

    /// The finding for a problem of the configuration.
    fn of_problem(problem: &Problem) -> Self {
        let status = match problem.severity {
            Severity::Error => Status::Fail,
            Severity::Warning => Status::Warn,
        };
        Self { status, fix: Some(remedy(problem)), ..Self::ok("configuration", problem.to_string()) }
    }

    fn fail(check: impl Into<String>, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { status: Status::Fail, ..Self::warn(check, finding, fix) }
    }
}

/// How to fix a problem of the configuration: where nothing better is known, the place to change.
fn remedy(problem: &Problem) -> String {
    if let Some(hint) = &problem.hint {
        return hint.clone();
    }
    let key = if problem.key.is_empty() { String::new() } else { format!("`{}` in ", problem.key) };
    let place = match &problem.origin {
        Origin::File { path, line } => format!("change {key}{}, line {line}", path.display()),
        Origin::Variable(name) => format!("change {key}the environment variable {name}"),
        Origin::Default => format!("set {key}the configuration"),
    };
    format!("{place}; `rrctl config check` checks again")
}

/// Runs `rrctl doctor`.
pub(crate) async fn run(output: Output, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let (mut findings, config) = configuration(sources);
    match &config {
        Some(config) => {
            let (database, github, cluster) =
                futures::join!(database::check(config), github::check(config), cluster::check(config));
            findings.extend(database.into_iter().chain(github).chain(cluster));
        }
        None => {
            let names = ["database", "GitHub", "cluster"];
            findings.extend(names.map(|name| Finding::skipped(name, "the configuration cannot be read")));
        }
    }
    printer.data(output.format, &findings, || printer.table(&COLUMNS, findings.iter().map(row)))?;
    match findings.iter().filter(|finding| finding.status == Status::Fail).count() {
        0 => Ok(()),
        n => Err(Failure::failed(format!("{} failed", count(n, "check")))
            .hint("fix the first one first: it may be the cause of others")),
    }
}

/// The configuration with all that is wrong with it; what can be used of it serves the other checks.
fn configuration(sources: &Sources) -> (Vec<Finding>, Option<Config>) {
    let (config, problems) = config::read(sources, Need::All);
    let mut findings: Vec<Finding> = problems.iter().map(Finding::of_problem).collect();
    if findings.is_empty() {
        findings.push(Finding::ok("configuration", "it can be used"));
    }
    // Without a file there is what the environment and the defaults say.
    (findings, config.or_else(|| config::read(sources, Need::Nothing).0))
}

const COLUMNS: [Column; 3] = [Column::always("status"), Column::always("check"), Column::detail("finding")];

/// What was found, and below it how to fix it.
fn row(finding: &Finding) -> Vec<Value> {
    let (word, tone) = match finding.status {
        Status::Ok => ("ok", Tone::Good),
        Status::Warn => ("warn", Tone::Waiting),
        Status::Fail => ("fail", Tone::Bad),
        Status::Skipped => ("skipped", Tone::Plain),
    };
    let fix = finding.fix.as_ref().map_or_else(String::new, |fix| format!("\nto fix it: {fix}"));
    vec![Value::toned(word, tone), finding.check.as_str().into(), format!("{}{fix}", finding.finding).into()]
}

/// What a clock that is off by so much means.
fn clock(check: &str, ahead: jiff::SignedDuration, tolerated: jiff::SignedDuration) -> Finding {
    let off = ahead.abs();
    let seconds = off.as_secs_f64();
    if off <= tolerated {
        return Finding::ok(check, format!("{seconds:.1} s from ours"));
    }
    let side = if ahead.is_positive() { "ahead of" } else { "behind" };
    let text = format!("{seconds:.1} s {side} ours");
    let fix = "let NTP set the clock of this machine (`timedatectl set-ntp true`)";
    if off <= tolerated * 10 { Finding::warn(check, text, fix) } else { Finding::fail(check, text, fix) }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        let status =
            |seconds| clock("clock", SignedDuration::from_secs(seconds), SignedDuration::from_secs(2)).status;
        assert_eq!(
            [0, 2, 3, 20, 21].map(status),
            [Status::Ok, Status::Ok, Status::Warn, Status::Warn, Status::Fail]
        );
        assert_eq!([-2, -20, -21].map(status), [Status::Ok, Status::Warn, Status::Fail]);
        let behind = clock("clock", SignedDuration::from_secs(-90), SignedDuration::from_secs(2));
        assert_eq!(behind.finding, "90.0 s behind ours");
    }
}
