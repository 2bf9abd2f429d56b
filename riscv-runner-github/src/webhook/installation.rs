//! The payloads about installations: who installed an App, on what, and whether it still stands.
//!
//! The log keeps the payloads; only what concerns waiting jobs is understood here.

use riscv_runner_core::{
    delivery::{DeliveryContent, InstallationChange},
    entity::EntityKind,
    ids::{InstallationId, Login},
};
use serde::Deserialize;

use super::{
    Understood, WebhookError,
    identity::{Account, Identity, lenient},
    read,
};

#[derive(Deserialize)]
struct Payload {
    action: String,
    #[serde(deserialize_with = "Option::deserialize")]
    installation: Option<Installation>,
    #[serde(default, deserialize_with = "lenient")]
    sender: Option<Sender>,
    /// Beside the installation in `installation_target` alone.
    #[serde(default, deserialize_with = "lenient")]
    account: Option<Account>,
    #[serde(default, deserialize_with = "lenient")]
    target_type: Option<String>,
}

#[derive(Deserialize)]
struct Installation {
    id: InstallationId,
    /// An enterprise has no login; what it installs is none of ours.
    #[serde(default, deserialize_with = "lenient")]
    account: Option<Account>,
    #[serde(default, deserialize_with = "lenient")]
    target_type: Option<String>,
}

#[derive(Deserialize)]
struct Sender {
    login: Login,
}

/// `installation`: installed, uninstalled, suspended.
pub(super) fn understand_installation(text: &str) -> Result<Understood, WebhookError> {
    let payload: Payload = read(text)?;
    let change = match payload.action.as_str() {
        "created" | "unsuspend" => InstallationChange::Returned,
        "deleted" => InstallationChange::Gone,
        "suspend" => InstallationChange::Suspended,
        _ => InstallationChange::Changed,
    };
    Ok(understood(payload, change))
}

/// `installation_repositories`: which repositories the App may see.
pub(super) fn understand_repositories(text: &str) -> Result<Understood, WebhookError> {
    Ok(understood(read(text)?, InstallationChange::Changed))
}

/// `installation_target`: the account was renamed; it stands beside the installation here.
pub(super) fn understand_target(text: &str) -> Result<Understood, WebhookError> {
    Ok(understood(read(text)?, InstallationChange::Changed))
}

fn understood(payload: Payload, change: InstallationChange) -> Understood {
    let beside = payload.account.as_ref().and_then(|account| account.entity(kind(&payload.target_type)));
    let entity = beside.or_else(|| {
        let installation = payload.installation.as_ref()?;
        installation.account.as_ref()?.entity(kind(&installation.target_type))
    });
    let content = match payload.installation {
        Some(_) => DeliveryContent::Installation(change),
        None => DeliveryContent::Other,
    };
    let identity = Identity {
        installation: payload.installation.map(|installation| installation.id),
        entity,
        sender: payload.sender.map(|sender| sender.login),
        repo: None,
    };
    Understood { action: Some(payload.action), identity, content }
}

fn kind(target_type: &Option<String>) -> Option<EntityKind> {
    target_type.as_deref().and_then(EntityKind::parse)
}
