//! The accounts that a payload names, read leniently: what is missing or odd here never fails a delivery.
//!
//! Events that lead to something are read strictly in their own files.

use riscv_runner_core::{
    entity::{Entity, EntityKind},
    ids::{EntityId, InstallationId, Login, RepoName},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::WebhookError;

/// The accounts that a payload names.
#[derive(Debug, Default, Clone)]
pub(super) struct Identity {
    pub(super) installation: Option<InstallationId>,
    pub(super) entity: Option<Entity>,
    pub(super) sender: Option<Login>,
    pub(super) repo: Option<RepoName>,
}

/// An account as payloads carry it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Account {
    pub(super) id: EntityId,
    pub(super) login: Login,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
}

impl Account {
    /// The account as an entity. Without a `type` of its own, `fallback` says what it is; accounts
    /// that are neither of the two kinds (enterprises, bots) are `None`.
    pub(super) fn entity(&self, fallback: Option<EntityKind>) -> Option<Entity> {
        let kind = match &self.kind {
            Some(text) => EntityKind::parse(text)?,
            None => fallback?,
        };
        Some(Entity { id: self.id, kind, login: self.login.clone() })
    }
}

/// The parts that any event may have, each kept as text until somebody asks.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    installation: Option<&'a RawValue>,
    #[serde(borrow)]
    organization: Option<&'a RawValue>,
    #[serde(borrow)]
    repository: Option<&'a RawValue>,
    #[serde(borrow)]
    sender: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct InstallationPart {
    id: InstallationId,
    #[serde(default, deserialize_with = "lenient")]
    account: Option<Account>,
}

#[derive(Deserialize)]
struct RepositoryPart {
    #[serde(default, deserialize_with = "lenient")]
    full_name: Option<RepoName>,
    #[serde(default, deserialize_with = "lenient")]
    owner: Option<Account>,
}

#[derive(Deserialize)]
struct LoginPart {
    login: Login,
}

/// Reads whom `text` speaks of, and its action.
pub(super) fn read(text: &str) -> Result<(Option<String>, Identity), WebhookError> {
    let parts: Parts<'_> = super::read(text)?;
    let installation: Option<InstallationPart> = part(parts.installation);
    let repository: Option<RepositoryPart> = part(parts.repository);
    let organization: Option<Account> = part(parts.organization);
    let owner_kind = if organization.is_some() { EntityKind::Organization } else { EntityKind::User };
    let owner = repository.as_ref().and_then(|repository| repository.owner.as_ref());
    let entity = owner
        .and_then(|owner| owner.entity(Some(owner_kind)))
        .or_else(|| organization.and_then(|organization| organization.entity(Some(EntityKind::Organization))))
        .or_else(|| installation.as_ref()?.account.as_ref()?.entity(None));
    let identity = Identity {
        installation: installation.map(|installation| installation.id),
        entity,
        sender: part::<LoginPart>(parts.sender).map(|sender| sender.login),
        repo: repository.and_then(|repository| repository.full_name),
    };
    Ok((part(parts.action), identity))
}

fn part<T: DeserializeOwned>(raw: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// A field whose value is taken if it is understood and left out otherwise.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(part(Some(&raw)))
}
