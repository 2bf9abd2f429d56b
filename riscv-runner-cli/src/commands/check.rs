//! `rrctl check`: whether the jobs of a repository would be served, and what prevents it.

use std::sync::Arc;

use riscv_runner_core::{
    controls::Controls,
    ids::RepoName,
    labels::LabelSet,
    ports::Inspector as _,
    preflight::{self, Finding, Question, Verdict},
};
use riscv_runner_github::{GithubInspector, Unobserved};
use serde::Serialize;

use crate::{
    args::Check,
    config::{self, Need, Sources},
    failure::{Failure, count},
    printer::{Column, Printer, Tone, Value},
    wire,
};

#[derive(Serialize)]
struct Answer<'a> {
    repo: &'a RepoName,
    labels: Option<&'a LabelSet>,
    clear: bool,
    findings: &'a [Finding],
}

/// Runs `rrctl check`. Bans that operators set at run time are in the database, which is not read.
pub(crate) async fn run(check: &Check, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Policy).map_err(Failure::Configuration)?;
    if config.github.apps.iter().all(|app| app.private_key.is_none()) {
        return Err(Failure::Usage {
            what: "no App of [[github.apps]] has a private key here, so GitHub cannot be queried".to_owned(),
            hint: Some(
                "set private_key_file of an App; `rrctl config check` says what is missing".to_owned(),
            ),
        });
    }
    let labels =
        (!check.labels.is_empty()).then(|| LabelSet::new(&check.labels)).transpose().map_err(|error| {
            Failure::Usage { what: format!("--labels: {error}"), hint: Some("rrctl check --help".to_owned()) }
        })?;
    let inspector = GithubInspector::new(wire::forge(&config, Arc::new(Unobserved))?);
    let facts = inspector.repository(&check.repo).await.map_err(|error| {
        Failure::from(error)
            .hint("`rrctl doctor` says whether GitHub can be reached, and which App's key it accepts")
    })?;
    let question = Question {
        labels: labels.as_ref(),
        policy: &config.policy,
        controls: &Controls::default(),
        may_know_private: true,
    };
    let findings = preflight::examine(&facts, &question);
    let clear = preflight::is_clear(&findings);
    let answer = Answer { repo: &check.repo, labels: labels.as_ref(), clear, findings: &findings };
    printer.data(check.output.format, &answer, || {
        printer.table(&COLUMNS, findings.iter().map(row))?;
        findings
            .iter()
            .filter(|finding| finding.verdict != Verdict::Ok)
            .try_for_each(|finding| remedy(finding, printer))
    })?;
    let problems = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count();
    if clear {
        return Ok(());
    }
    Err(Failure::failed(format!("{} in the way of jobs of {}", is_or_are(problems), check.repo)))
}

fn is_or_are(problems: usize) -> String {
    let verb = if problems == 1 { "is" } else { "are" };
    format!("{} {verb}", count(problems, "thing"))
}

const COLUMNS: [Column; 3] =
    [Column::always("check"), Column::always("result"), Column::detail("what was found")];

fn row(finding: &Finding) -> Vec<Value> {
    let tone = match finding.verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Problem => Tone::Bad,
        Verdict::Unknown => Tone::Waiting,
    };
    vec![
        finding.check.as_str().into(),
        Value::toned(finding.verdict.as_str(), tone),
        finding.message.as_str().into(),
    ]
}

fn remedy(finding: &Finding, printer: &Printer) -> Result<(), Failure> {
    let Some(remedy) = &finding.remedy else { return Ok(()) };
    printer.line("")?;
    printer.line(&format!("{}: {remedy}", finding.check))?;
    for link in &finding.links {
        printer.line(&format!("  {}: {}", link.text, link.url))?;
    }
    Ok(())
}
