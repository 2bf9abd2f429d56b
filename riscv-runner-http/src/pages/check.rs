//! `/check`: whether the jobs of a repository would be served, and what to do about what is in the way.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use riscv_runner_core::{
    ids::RepoName,
    labels::LabelSet,
    ports::{Inspector, PortError, PortErrorKind, RepositoryFacts},
    preflight::{self, Finding, Question, Verdict},
};
use serde::Serialize;

use super::{text, visitor::Visitor};
use crate::{
    answer::{self, Fault},
    state::AppState,
    views::Reader,
};

/// How long to wait before asking GitHub again after a failure; failures are cached for as long.
const GITHUB_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// What is asked, as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Asked {
    repo: String,
    labels: String,
}

#[derive(Debug, Serialize)]
struct CheckJson<'a> {
    repo: &'a RepoName,
    labels: Option<&'a LabelSet>,
    /// Whether nothing is known to be in the way.
    clear: bool,
    findings: &'a [Finding],
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let Some(inspector) = state.0.inspector.clone() else { return not_here(&visitor) };
    let asked = Asked::read(&visitor.query);
    if asked.repo.trim().is_empty() && visitor.is_html() {
        return visitor.html("Check a repository", &form(&visitor, &asked, &introduction()));
    }
    let (repo, labels) = match asked.parse() {
        Ok(parsed) => parsed,
        Err(fault) => return refused(&visitor, &asked, &fault),
    };
    match look(&state, &visitor, inspector.as_ref(), &repo).await {
        Ok(facts) => {
            let question = Question {
                labels: labels.as_ref(),
                policy: &state.policy(),
                controls: &state.controls(),
                may_know_private: visitor.reader == Reader::Authenticated,
            };
            let findings = preflight::examine(&facts, &question);
            found(&visitor, &asked, &repo, labels.as_ref(), &findings)
        }
        Err(later) => later.answer(&visitor),
    }
}

/// The process does not query GitHub on behalf of users.
pub(super) fn not_here(visitor: &Visitor) -> Response {
    let fault = Fault::new("this process does not query GitHub on behalf of users")
        .hint("ask one that runs with --role all or --role scheduler");
    visitor.fault(StatusCode::NOT_FOUND, &fault)
}

/// Why a visitor is asked to come back later.
pub(super) struct Later {
    pub(super) status: StatusCode,
    pub(super) fault: Fault,
    pub(super) until: Timestamp,
    pub(super) now: Timestamp,
}

impl Later {
    fn answer(self, visitor: &Visitor) -> Response {
        answer::retry_at(visitor.fault(self.status, &self.fault), self.until, self.now)
    }
}

/// Takes one of the visitor's questions; readers with the token ask as often as they like.
pub(super) fn admit(state: &AppState, visitor: &Visitor) -> Result<(), Box<Later>> {
    if visitor.reader == Reader::Authenticated {
        return Ok(());
    }
    let now = state.0.platform.now();
    state.0.questions.take(visitor.client, now).map_err(|until| {
        let fault = Fault::new("too many questions from this address").hint("try again a little later");
        Box::new(Later { status: StatusCode::TOO_MANY_REQUESTS, fault, until, now })
    })
}

/// The answer when GitHub could not be queried.
pub(super) fn unasked(state: &AppState, visitor: &Visitor, error: &PortError) -> Box<Later> {
    let now = state.0.platform.now();
    if let PortErrorKind::RateLimited { until } = error.kind() {
        let fault = Fault::new("GitHub limits our requests at the moment").hint("try again a little later");
        return Box::new(Later { status: StatusCode::TOO_MANY_REQUESTS, fault, until, now });
    }
    tracing::warn!(page = visitor.path, error = error.chain(), "GitHub could not be queried");
    let fault = Fault::new("GitHub cannot be queried at the moment")
        .hint("nothing is wrong on your side as far as we know; try again in a minute");
    Box::new(Later { status: StatusCode::SERVICE_UNAVAILABLE, fault, until: now + GITHUB_PAUSE, now })
}

async fn look(
    state: &AppState,
    visitor: &Visitor,
    inspector: &dyn Inspector,
    repo: &RepoName,
) -> Result<Arc<RepositoryFacts>, Box<Later>> {
    admit(state, visitor)?;
    inspector.repository(repo).await.map_err(|error| unasked(state, visitor, &error))
}

impl Asked {
    fn read(query: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "repo" => asked.repo = value.into_owned(),
                "labels" => asked.labels = value.into_owned(),
                _ => {}
            }
        }
        asked
    }

    fn parse(&self) -> Result<(RepoName, Option<LabelSet>), Fault> {
        let repo = preflight::parse_repository(&self.repo).map_err(|error| {
            Fault::new(error.to_string()).parameter("repo").hint("for example /check?repo=owner/name")
        })?;
        if self.labels.trim().is_empty() {
            return Ok((repo, None));
        }
        let labels = LabelSet::new(self.labels.split(',')).map_err(|error| {
            let hint = "write the labels as in runs-on, separated by commas";
            Fault::new(error.to_string()).parameter("labels").hint(hint)
        })?;
        Ok((repo, Some(labels)))
    }
}

fn refused(visitor: &Visitor, asked: &Asked, fault: &Fault) -> Response {
    if !visitor.is_html() {
        return visitor.fault(StatusCode::BAD_REQUEST, fault);
    }
    let content = form(visitor, asked, &super::layout::fault(fault));
    visitor.html_with(StatusCode::BAD_REQUEST, "Check a repository", &content)
}

fn found(
    visitor: &Visitor,
    asked: &Asked,
    repo: &RepoName,
    labels: Option<&LabelSet>,
    findings: &[Finding],
) -> Response {
    let clear = preflight::is_clear(findings);
    if !visitor.is_html() {
        return visitor.json(&CheckJson { repo, labels, clear, findings });
    }
    let problems = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count();
    let result = html! {
        p role="status" class={ "notice " (if clear { "completed" } else { "failed" }) } {
            @match problems {
                0 => { "Nothing is in the way of jobs of " strong { (repo) } "." }
                1 => { "One thing is in the way of jobs of " strong { (repo) } "." }
                n => { (n) " things are in the way of jobs of " strong { (repo) } "." }
            }
        }
        ul class="findings" { @for finding in findings { (row(finding)) } }
        p class="quiet" {
            "GitHub was queried within the last minute. "
            a href=(visitor.address(&format!("/check.json?{}", visitor.query))) { "This as JSON" }
        }
        h2 { "Check another" }
    };
    visitor.html(&format!("Check of {repo}"), &form(visitor, asked, &result))
}

fn row(finding: &Finding) -> Markup {
    let sign = match finding.verdict {
        Verdict::Ok => "ok",
        Verdict::Problem => "problem",
        Verdict::Unknown => "not seen",
    };
    html! {
        li class=(finding.verdict.as_str()) {
            p { span class="verdict" { (sign) } " " (sentence(&finding.message)) }
            @if let Some(remedy) = &finding.remedy {
                p class="remedy" {
                    (sentence(remedy))
                    @for link in &finding.links { " " (text::outside_link(Some(&link.url), link.text)) }
                }
            }
        }
    }
}

/// A message as a sentence of its own.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if message.ends_with(['.', ']', ')']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

fn introduction() -> Markup {
    html! {
        p {
            "Checks whether GitHub Actions jobs of a repository get a RISC-V board here: whether the App is "
            "installed and has the permissions it needs, and whether the labels are served."
        }
    }
}

fn form(visitor: &Visitor, asked: &Asked, before: &Markup) -> Markup {
    html! {
        (before)
        form class="ask" action=(visitor.address("/check")) method="get" {
            div {
                label for="repo" { "Repository" }
                input id="repo" name="repo" required placeholder="owner/name" autocomplete="off"
                    autocapitalize="none" spellcheck="false" maxlength="300" value=(asked.repo);
            }
            div {
                label for="labels" { "Labels of " code { "runs-on" } ", optional" }
                input id="labels" name="labels" placeholder="ubuntu-24.04-riscv" autocomplete="off"
                    autocapitalize="none" spellcheck="false" maxlength="2000" value=(asked.labels);
            }
            button type="submit" { "Check" }
        }
    }
}
