//! Payloads as the log holds them, read again: what they said about an installation, and the delivery that
//! they once were.
//!
//! Reading is lenient where a diagnosis is made, and as strict as for a new delivery where one is replayed.

use riscv_runner_core::{
    delivery::{Delivery, LogSource},
    ids::{AppId, Login, RepoId, RepoName},
    ports::LoggedDelivery,
    trace::{RepoSaid, Says, Selection},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{KnownApps, WebhookError, WebhookHeaders, identity::lenient, parse};

/// Why a row of the log cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It is not a delivery, but an entry of the scheduler.
    #[error("the scheduler wrote it; it is no delivery")]
    NotADelivery,
    /// It is not known which App it was for.
    #[error("it does not say for which App it was sent, and no App serves its kind of account")]
    NoApp,
    /// The stored payload is not sufficient.
    #[error("what the log kept of it is not enough: {0}")]
    Payload(#[from] WebhookError),
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default, deserialize_with = "lenient")]
    action: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    installation: Option<Installation>,
    #[serde(default, deserialize_with = "lenient")]
    repository_selection: Option<Selection>,
    #[serde(default, deserialize_with = "lenient")]
    repositories: Option<Vec<Repository>>,
    #[serde(default, deserialize_with = "lenient")]
    repositories_added: Option<Vec<Repository>>,
    #[serde(default, deserialize_with = "lenient")]
    repositories_removed: Option<Vec<Repository>>,
    #[serde(default, deserialize_with = "lenient")]
    account: Option<Account>,
    #[serde(default, deserialize_with = "lenient")]
    changes: Option<Changes>,
    #[serde(default, deserialize_with = "lenient")]
    repository: Option<Repository>,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<u16>,
}

#[derive(Deserialize)]
struct Installation {
    #[serde(default, deserialize_with = "lenient")]
    app_id: Option<AppId>,
    #[serde(default, deserialize_with = "lenient")]
    repository_selection: Option<Selection>,
}

#[derive(Deserialize)]
struct Repository {
    id: RepoId,
    full_name: RepoName,
}

#[derive(Deserialize)]
struct Account {
    login: Login,
}

#[derive(Deserialize)]
struct Changes {
    login: Option<Change>,
}

#[derive(Deserialize)]
struct Change {
    from: Login,
}

/// What a row says about its installation.
#[must_use]
pub fn says(row: &LoggedDelivery) -> Says {
    let (name, _) = split(&row.event.event);
    let Some(payload) = understood::<Payload>(row.payload.get()) else { return Says::Nothing };
    if row.event.source == LogSource::Scheduler {
        return if name == "auth_attempt" { auth_failed(&row.event.event, &payload) } else { Says::Nothing };
    }
    match name {
        "installation" => installation(payload),
        "installation_repositories" => Says::Repositories {
            selection: payload.repository_selection,
            added: said(payload.repositories_added),
            removed: said(payload.repositories_removed),
        },
        "installation_target" => match payload.account {
            Some(account) if payload.action.as_deref() == Some("renamed") => {
                let from = payload.changes.and_then(|changes| changes.login).map(|login| login.from);
                Says::Renamed { from, to: account.login }
            }
            Some(_) | None => Says::Stands,
        },
        "workflow_job" => Says::Job(payload.repository.map(RepoSaid::from)),
        _ if row.event.installation_id.is_some() => Says::Stands,
        _ => Says::Nothing,
    }
}

fn installation(payload: Payload) -> Says {
    match payload.action.as_deref() {
        Some("created") => {
            let (app, within) =
                payload.installation.map_or((None, None), |known| (known.app_id, known.repository_selection));
            Says::Created {
                app,
                selection: within.or(payload.repository_selection),
                repositories: said(payload.repositories),
            }
        }
        Some("deleted") => Says::Deleted,
        Some("suspend") => Says::Suspended,
        Some("unsuspend") => Says::Unsuspended,
        Some(_) | None => Says::Stands,
    }
}

/// The status is in the payload, and in the name of the event for what the reference service wrote.
fn auth_failed(event: &str, payload: &Payload) -> Says {
    let (_, action) = split(event);
    Says::AuthFailed { status: payload.status.or_else(|| action.parse().ok()) }
}

/// The delivery that a row once was, to be decided anew.
///
/// A row without a GUID (the reference service kept none) gets one that its number gives.
///
/// # Errors
/// A row that is no delivery, and one of which too little was kept.
pub fn again(row: &LoggedDelivery, apps: &KnownApps) -> Result<Delivery, ReplayError> {
    let event = &row.event;
    if event.source != LogSource::Webhook {
        return Err(ReplayError::NotADelivery);
    }
    let by_kind = || event.entity_type.and_then(|kind| apps.serving(kind));
    let app = event.app_id.or_else(by_kind).ok_or(ReplayError::NoApp)?;
    let guid = match &event.delivery_guid {
        Some(guid) => guid.to_string(),
        None => format!("event-{}", event.id),
    };
    let headers = WebhookHeaders::new(split(&event.event).0, &guid, &app.to_string())?;
    Ok(parse(&headers, row.payload.get().as_bytes(), apps, event.received_at)?)
}

/// The event's name and its action.
fn split(event: &str) -> (&str, &str) {
    event.split_once('.').unwrap_or((event, ""))
}

fn understood<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

fn said(repositories: Option<Vec<Repository>>) -> Vec<RepoSaid> {
    repositories.into_iter().flatten().map(RepoSaid::from).collect()
}

impl From<Repository> for RepoSaid {
    fn from(repository: Repository) -> Self {
        Self { id: repository.id, name: repository.full_name }
    }
}
