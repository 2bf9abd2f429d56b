//! `/setup/org` and `/setup/personal`: where GitHub leads users who have just installed an App.
//!
//! GitHub does not sign that request and numbers are easily guessed, so the account is named only for as long
//! as users come from GitHub: minutes.

use axum::{extract::State, response::Response};
use http::StatusCode;
use maud::{Markup, html};
use riscv_runner_core::{
    entity::EntityKind,
    ids::{InstallationId, Login},
    labels::LabelSet,
    ports::{Installed, OurApp},
    preflight::{self, Greeting},
};
use serde::Serialize;

use super::{
    check::{self, Later},
    text,
    visitor::{Guest, Visitor},
};
use crate::{
    answer::{self, Fault},
    state::AppState,
};

/// The result of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Installed,
    Suspended,
    Requested,
    WrongApp,
    WrongType,
    UnknownInstallation,
}

#[derive(Debug, Serialize)]
struct SetupJson<'a> {
    outcome: Outcome,
    /// The kind of account that the App serves that was installed.
    app: EntityKind,
    /// The account that installed it; withheld after some minutes.
    account: Option<&'a Login>,
    /// Where the App is installed that fits the account.
    install: Option<&'a str>,
}

/// A page to be shown.
struct Shown<'a> {
    outcome: Outcome,
    app: EntityKind,
    account: Option<&'a Login>,
    settings: Option<&'a str>,
    install: Option<&'a OurApp>,
}

pub(super) async fn show(State(state): State<AppState>, Guest(visitor): Guest) -> Response {
    let Some(inspector) = state.0.inspector.clone() else { return check::not_here(&visitor) };
    let page =
        if visitor.path.starts_with("/setup/org") { EntityKind::Organization } else { EntityKind::User };
    let id = match asked(&visitor.query) {
        Ok(Asked::Installation(id)) => id,
        Ok(Asked::Approval) => return requested(&state, &visitor, page),
        Err(fault) => return missing(&visitor, &fault),
    };
    if let Err(later) = check::admit(&state, &visitor) {
        return unconfirmed(&visitor, *later);
    }
    match inspector.installation(id).await {
        Ok(found) => {
            let apps = inspector.apps().await;
            greeted(&state, &visitor, page, found.as_deref(), &apps)
        }
        Err(error) => unconfirmed(&visitor, *check::unasked(&state, &visitor, &error)),
    }
}

/// GitHub has installed the App, or it would not lead here; it only cannot be asked about it.
fn unconfirmed(visitor: &Visitor, later: Later) -> Response {
    let Later { status, fault, until, now } = later;
    let response = if visitor.is_html() {
        let content = html! {
            p role="status" class="notice pending" {
                "GitHub led you here, so the App is most likely installed. It could not be confirmed: "
                (fault.error) "."
            }
            p { "There is nothing to do. Load this page again in a minute to see more." }
            (next_steps(visitor, None))
        };
        visitor.html_with(status, "Not confirmed yet", &content)
    } else {
        visitor.fault(status, &fault)
    };
    answer::retry_at(response, until, now)
}

/// What GitHub's redirect says.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// This was installed, or changed.
    Installation(InstallationId),
    /// A member asked the owners to install it: there is no installation yet.
    Approval,
}

fn asked(query: &str) -> Result<Asked, Fault> {
    let value = |wanted: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, value)| name == wanted && !value.trim().is_empty())
            .map(|(_, value)| value.into_owned())
    };
    match value("installation_id") {
        Some(text) => {
            let id = text.parse().map_err(|error: riscv_runner_core::ids::IdError| {
                Fault::new(error.to_string())
                    .parameter("installation_id")
                    .hint("open this page from GitHub, after installing the App")
            })?;
            Ok(Asked::Installation(id))
        }
        None if value("setup_action").as_deref() == Some("request") => Ok(Asked::Approval),
        None => Err(Fault::new("is missing")
            .parameter("installation_id")
            .hint("open this page from GitHub, after installing the App")),
    }
}

fn missing(visitor: &Visitor, fault: &Fault) -> Response {
    if !visitor.is_html() {
        return visitor.fault(StatusCode::BAD_REQUEST, fault);
    }
    let content = html! {
        p class="notice pending" {
            "GitHub leads here after the App is installed, and says which installation it was. "
            "This address does not say it."
        }
        (super::layout::fault(fault))
        (next_steps(visitor, None))
    };
    visitor.html_with(StatusCode::BAD_REQUEST, "Which installation?", &content)
}

fn requested(state: &AppState, visitor: &Visitor, page: EntityKind) -> Response {
    let shown =
        Shown { outcome: Outcome::Requested, app: page, account: None, settings: None, install: None };
    answer(state, visitor, &shown)
}

fn greeted(
    state: &AppState,
    visitor: &Visitor,
    page: EntityKind,
    found: Option<&Installed>,
    apps: &[OurApp],
) -> Response {
    let Some(installed) = found else {
        let outcome = Outcome::UnknownInstallation;
        let install = apps.iter().find(|app| app.kind == page);
        return answer(state, visitor, &Shown { outcome, app: page, account: None, settings: None, install });
    };
    let (outcome, needed) = match preflight::greet(installed) {
        Greeting::Installed => (Outcome::Installed, None),
        Greeting::Suspended => (Outcome::Suspended, None),
        Greeting::WrongApp { account } => (Outcome::WrongApp, Some(account)),
        Greeting::WrongType => (Outcome::WrongType, None),
    };
    let told = preflight::is_recent(installed, state.0.platform.now());
    let shown = Shown {
        outcome,
        app: installed.app,
        account: told.then_some(&installed.account.login),
        settings: installed.settings.as_deref().filter(|_| told),
        install: apps.iter().find(|app| Some(app.kind) == needed),
    };
    answer(state, visitor, &shown)
}

fn answer(state: &AppState, visitor: &Visitor, shown: &Shown<'_>) -> Response {
    let status = match shown.outcome {
        Outcome::Installed | Outcome::Suspended | Outcome::Requested => StatusCode::OK,
        Outcome::WrongApp | Outcome::WrongType => StatusCode::CONFLICT,
        Outcome::UnknownInstallation => StatusCode::NOT_FOUND,
    };
    if !visitor.is_html() {
        let install = shown.install.and_then(|app| app.page.as_deref());
        let json = SetupJson { outcome: shown.outcome, app: shown.app, account: shown.account, install };
        return visitor.json_with(status, &json);
    }
    let policy = state.policy();
    let labels = preflight::labels_for_everybody(&policy, shown.app);
    let (title, content) = match shown.outcome {
        Outcome::Installed => ("You are set up", installed(visitor, shown, &labels)),
        Outcome::Suspended => ("Installed, but suspended", suspended(visitor, shown)),
        Outcome::Requested => ("Waiting for an owner", waiting(visitor)),
        Outcome::WrongApp => ("This account needs the other App", wrong_app(visitor, shown)),
        Outcome::WrongType => ("This account cannot be served", wrong_type()),
        Outcome::UnknownInstallation => ("GitHub does not know this installation", unknown(visitor, shown)),
    };
    visitor.html_with(status, title, &content)
}

fn installed(visitor: &Visitor, shown: &Shown<'_>, labels: &[&LabelSet]) -> Markup {
    html! {
        p role="status" class="notice completed" {
            "The App is installed" @if let Some(account) = shown.account { " on " strong { (account) } }
            ". There is nothing else to set up."
        }
        @if let Some(first) = labels.first() {
            h2 { "Use a board" }
            p { "Ask for one in a workflow:" }
            pre tabindex="0" { code { (workflow(first)) } }
            @if labels.len() > 1 {
                p { "These labels are served:" }
                ul class="choices" { @for labels in labels { li { code { (runs_on(labels)) } } } }
            }
        }
        (next_steps(visitor, shown.settings))
    }
}

/// An example that can be copied as it is.
fn workflow(labels: &LabelSet) -> String {
    format!(
        "jobs:\n  build:\n    runs-on: {}\n    steps:\n      - uses: actions/checkout@v4\n      - run: uname -m   # riscv64\n",
        runs_on(labels)
    )
}

fn runs_on(labels: &LabelSet) -> String {
    let labels: Vec<_> = labels.originals();
    match labels.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn suspended(visitor: &Visitor, shown: &Shown<'_>) -> Markup {
    html! {
        p role="status" class="notice pending" {
            "The App is installed" @if let Some(account) = shown.account { " on " strong { (account) } }
            ", but the installation is suspended: no jobs are served until an owner ends the suspension."
        }
        (next_steps(visitor, shown.settings))
    }
}

fn waiting(visitor: &Visitor) -> Markup {
    html! {
        p role="status" class="notice pending" {
            "Your request was sent. The App works as soon as an owner of the organization approves it on GitHub."
        }
        (next_steps(visitor, None))
    }
}

fn wrong_app(visitor: &Visitor, shown: &Shown<'_>) -> Markup {
    let (served, other) = match shown.app {
        EntityKind::Organization => ("organizations", "personal accounts"),
        EntityKind::User => ("personal accounts", "organizations"),
    };
    html! {
        p role="alert" class="notice failed" {
            "You installed the App for " (served)
            @if let Some(account) = shown.account { " on " strong { (account) } }
            ", but this account needs the App for " (other) ". No jobs are served yet."
        }
        ol {
            li {
                "Install "
                (text::outside_link(shown.install.and_then(|app| app.page.as_deref()), &format!("the App for {other}")))
                "."
            }
            li { "Remove this one in " (text::outside_link(shown.settings, "the settings of the installation")) "." }
        }
        (next_steps(visitor, None))
    }
}

fn wrong_type() -> Markup {
    html! {
        p role="alert" class="notice failed" {
            "Boards are for organizations and personal accounts. The App was installed on something else, "
            "such as an enterprise."
        }
        p { "Install it on an organization of the enterprise instead." }
    }
}

fn unknown(visitor: &Visitor, shown: &Shown<'_>) -> Markup {
    html! {
        p role="alert" class="notice pending" {
            "GitHub does not know this installation. It may have been removed, or it belongs to another App."
        }
        p {
            (text::outside_link(shown.install.and_then(|app| app.page.as_deref()), "Install the App"))
            ", and GitHub leads you here again."
        }
        (next_steps(visitor, None))
    }
}

fn next_steps(visitor: &Visitor, settings: Option<&str>) -> Markup {
    html! {
        h2 { "Not sure it works?" }
        ul {
            li { a href=(visitor.address("/check")) { "Check a repository" } ": what is in the way, and what to do." }
            @if visitor.sees_queue {
                li { a href=(visitor.address("/queue")) { "Look at the queue" } ": why jobs wait." }
            }
            @if settings.is_some() {
                li { "Change the repositories in " (text::outside_link(settings, "the settings of the installation")) "." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn githubs_redirects_are_read() {
        let id = |n| Ok(Asked::Installation(InstallationId::new(n).unwrap()));
        assert_eq!(asked("installation_id=42&setup_action=install"), id(42));
        assert_eq!(asked("setup_action=update&installation_id=42"), id(42));
        assert_eq!(asked("setup_action=request"), Ok(Asked::Approval));
        for wrong in
            ["", "installation_id=", "installation_id=x", "installation_id=-1", "setup_action=install"]
        {
            assert_eq!(asked(wrong).unwrap_err().parameter, Some("installation_id"), "{wrong}");
        }
    }

    #[test]
    fn an_example_can_be_copied() {
        let labels = |names: &[&str]| LabelSet::new(names).unwrap();
        assert_eq!(runs_on(&labels(&["Ubuntu-24.04-riscv"])), "Ubuntu-24.04-riscv");
        assert_eq!(runs_on(&labels(&["b", "a"])), "[a, b]");
    }
}
