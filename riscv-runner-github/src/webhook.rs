//! Webhooks: from headers and a body with a valid signature to a [`Delivery`] in the domain's words.
//!
//! No network and no store here; what a delivery leads to is decided elsewhere.

mod error;
mod headers;
mod identity;
mod installation;
mod job;
mod logged;
mod storable;
mod trim;

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{Delivery, DeliveryContent},
    entity::EntityKind,
    ids::AppId,
};

pub use self::{
    error::WebhookError,
    headers::{DELIVERY_HEADER, EVENT_HEADER, TARGET_HEADER, WebhookHeaders},
    logged::{ReplayError, again, says},
};
use self::{identity::Identity, storable::storable, trim::trim};

/// Our Apps and the kind of account that each serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownApps(BTreeMap<AppId, EntityKind>);

impl KnownApps {
    /// The kind of account that the App serves; `None` for an App that is not ours.
    #[must_use]
    pub fn kind(&self, app: AppId) -> Option<EntityKind> {
        self.0.get(&app).copied()
    }

    /// The App that serves accounts of this kind.
    #[must_use]
    pub fn serving(&self, kind: EntityKind) -> Option<AppId> {
        self.0.iter().find(|(_, serves)| **serves == kind).map(|(app, _)| *app)
    }

    /// Every App with the kind of account that it serves.
    pub fn iter(&self) -> impl Iterator<Item = (AppId, EntityKind)> {
        self.0.iter().map(|(app, kind)| (*app, *kind))
    }
}

impl FromIterator<(AppId, EntityKind)> for KnownApps {
    fn from_iter<T: IntoIterator<Item = (AppId, EntityKind)>>(apps: T) -> Self {
        Self(apps.into_iter().collect())
    }
}

/// What the payload of one kind of event says.
struct Understood {
    action: Option<String>,
    identity: Identity,
    content: DeliveryContent,
}

/// Parses a delivery whose signature is valid.
///
/// An object that is `null` where its kind of event should have one makes the delivery
/// [`DeliveryContent::Other`]: GitHub has sent such payloads, and sends nothing better when refused.
///
/// Escapes that no database of JSON takes, `\u0000` and halves of surrogate pairs, are U+FFFD in all of it.
///
/// # Errors
/// Text that is not JSON or cannot be stored, and a required field that is missing or of the wrong type, by its path.
pub fn parse(
    headers: &WebhookHeaders,
    body: &[u8],
    apps: &KnownApps,
    received_at: Timestamp,
) -> Result<Delivery, WebhookError> {
    let text =
        std::str::from_utf8(body).map_err(|error| WebhookError::Utf8 { valid_up_to: error.valid_up_to() })?;
    let text = &*storable(text)?;
    let payload = trim(text)?;
    let understood = match headers.event.as_str() {
        "workflow_job" => job::understand(text, received_at)?,
        "installation" => installation::understand_installation(text)?,
        "installation_repositories" => installation::understand_repositories(text)?,
        "installation_target" => installation::understand_target(text)?,
        "ping" => understand_any(text, DeliveryContent::Ping)?,
        _ => understand_any(text, DeliveryContent::Other)?,
    };
    let Understood { action, identity, content } = understood;
    Ok(Delivery {
        guid: headers.guid.clone(),
        event: match action {
            Some(action) => format!("{}.{action}", headers.event),
            None => headers.event.clone(),
        },
        app: headers.app,
        app_kind: apps.kind(headers.app),
        installation: identity.installation,
        entity: identity.entity,
        sender: identity.sender,
        repo: identity.repo,
        content,
        payload,
        received_at,
    })
}

fn understand_any(text: &str, content: DeliveryContent) -> Result<Understood, WebhookError> {
    let (action, identity) = identity::read(text)?;
    Ok(Understood { action, identity, content })
}

/// Reads `text` into `T`, naming the path of what is wrong.
fn read<'de, T: serde::Deserialize<'de>>(text: &'de str) -> Result<T, WebhookError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(WebhookError::from_path)?;
    reader.end().map_err(|error| WebhookError::from_json(&error))?;
    Ok(value)
}
