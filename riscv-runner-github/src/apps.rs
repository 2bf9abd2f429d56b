//! GitHub's descriptions of our Apps and of their installations: for diagnosis and for greeting users.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    entity::{Entity, EntityKind},
    ids::{AppId, EntityId, InstallationId, Login},
};
use serde::Deserialize;

use crate::{
    api::{Api, Ask, Name},
    client::{ApiError, Endpoint, Priority},
};

/// An App, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AppDescription {
    /// Its id.
    pub id: AppId,
    /// Its name in addresses.
    pub slug: Option<String>,
    /// Its page, where users install it.
    pub html_url: Option<String>,
    /// Its permissions: `organization_self_hosted_runners` → `write`.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// The events that it receives.
    #[serde(default)]
    pub events: Vec<String>,
}

/// An installation, as its App sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationDescription {
    /// Its id.
    pub id: InstallationId,
    /// The account; `None` for enterprises.
    pub entity: Option<Entity>,
    /// Since when it has been suspended.
    pub suspended_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Installation {
    id: InstallationId,
    account: Option<Account>,
    suspended_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Account {
    id: EntityId,
    login: Option<Login>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The App of this kind.
pub(crate) async fn app(api: &Api, kind: EntityKind) -> Result<AppDescription, ApiError> {
    api.read(&Ask::get(Name::App(kind), Priority::Provision, Endpoint::App, &["app"])).await
}

/// One installation of the App of this kind; `None` when GitHub does not know it.
pub(crate) async fn installation(
    api: &Api,
    kind: EntityKind,
    id: InstallationId,
) -> Result<Option<InstallationDescription>, ApiError> {
    let text = id.to_string();
    let segments = ["app", "installations", &text];
    let ask = Ask::get(Name::App(kind), Priority::Provision, Endpoint::Installation, &segments);
    match api.read::<Installation>(&ask).await {
        Ok(installation) => Ok(Some(installation.into())),
        Err(ApiError::Status { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The account of this login, as whichever of our Apps is installed there sees it.
pub(crate) async fn account(api: &Api, login: &Login) -> Result<Option<Entity>, ApiError> {
    for app in api.tokens.kinds() {
        for (endpoint, owners) in
            [(Endpoint::OrganizationInstallation, "orgs"), (Endpoint::UserInstallation, "users")]
        {
            let segments = [owners, login.as_str(), "installation"];
            let ask = Ask::get(Name::App(app), Priority::Provision, endpoint, &segments);
            match api.read::<Installation>(&ask).await {
                Ok(found) => return Ok(InstallationDescription::from(found).entity),
                Err(ApiError::Status { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

impl From<Installation> for InstallationDescription {
    fn from(installation: Installation) -> Self {
        let entity = installation.account.and_then(|account| {
            let kind = EntityKind::parse(account.kind.as_deref()?)?;
            Some(Entity { id: account.id, kind, login: account.login? })
        });
        Self { id: installation.id, entity, suspended_at: installation.suspended_at }
    }
}
