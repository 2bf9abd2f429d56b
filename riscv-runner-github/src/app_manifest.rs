//! A GitHub App from a manifest: what our Apps need, and the exchange of GitHub's code for the new App's
//! credentials (<https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>).

use std::{collections::BTreeMap, sync::Arc};

use reqwest::Method;
use riscv_runner_core::{
    entity::EntityKind,
    ids::AppId,
    ports::Platform,
    preflight::{REQUIRED_EVENTS, required_permissions},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    client::{ApiError, Client},
    config::{ConfigError, GithubConfig},
    observer::Unobserved,
};

/// A new App, in the form that GitHub accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppManifest {
    /// Its name, unique on GitHub.
    pub name: String,
    /// Its home page.
    pub url: String,
    /// Where its webhooks go.
    pub hook_attributes: HookAttributes,
    /// Where GitHub sends the browser with the code, once the App exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
    /// Where GitHub sends users who installed it.
    pub setup_url: String,
    /// What users read before they install it.
    pub description: String,
    /// Whether other accounts may install it.
    pub public: bool,
    /// Its permissions.
    pub default_permissions: BTreeMap<&'static str, &'static str>,
    /// The events that it receives, beside those about its installations.
    pub default_events: Vec<&'static str>,
}

/// The webhook of an App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookAttributes {
    /// The URL that receives webhooks.
    pub url: String,
    /// Whether webhooks are sent.
    pub active: bool,
}

impl AppManifest {
    /// The App for accounts of this kind, whose webhooks go to the root of `webhook_url`. Users are sent to
    /// the pages below `pages_url`, which another process may show, under another name.
    #[must_use]
    pub fn new(kind: EntityKind, name: &str, webhook_url: &str, pages_url: &str) -> Self {
        let [webhook_url, pages_url] = [webhook_url, pages_url].map(|url| url.trim_end_matches('/'));
        let (path, whom) = match kind {
            EntityKind::Organization => ("org", "organizations"),
            EntityKind::User => ("personal", "personal accounts"),
        };
        Self {
            name: name.to_owned(),
            url: pages_url.to_owned(),
            hook_attributes: HookAttributes { url: format!("{webhook_url}/"), active: true },
            redirect_url: None,
            setup_url: format!("{pages_url}/setup/{path}"),
            description: format!("Runs the jobs of {whom} on real RISC-V boards."),
            public: true,
            default_permissions: BTreeMap::from(required_permissions(kind)),
            default_events: REQUIRED_EVENTS.to_vec(),
        }
    }
}

/// An App that has just been created; GitHub returns its secrets only once.
#[derive(Debug, Deserialize)]
pub struct NewApp {
    /// Its id.
    pub id: AppId,
    /// Its name in addresses.
    pub slug: Option<String>,
    /// Its page.
    pub html_url: String,
    /// Its private key.
    pub pem: SecretString,
    /// The secret of its webhooks; `None` when it has none.
    pub webhook_secret: Option<SecretString>,
}

/// Why a code could not be exchanged.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The API cannot be used at all.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// GitHub does not know the code: it lives for an hour and can be used once.
    #[error("GitHub no longer knows the code; begin again")]
    Unknown,
    /// GitHub did not hand out the App.
    #[error("GitHub did not hand out the new App: {0}")]
    Refused(String),
}

/// Exchanges the code of a manifest for the App that GitHub created from it. The code is the only credential.
///
/// # Errors
/// When GitHub does not know the code, or does not answer.
pub async fn convert_manifest(
    config: &GithubConfig,
    platform: Arc<dyn Platform>,
    code: &str,
) -> Result<NewApp, ConvertError> {
    let client = Client::new(config, platform, Arc::new(Unobserved))?;
    let address = client.address(&["app-manifests", code, "conversions"], &[]);
    match client.send_unsigned(Method::POST, address).await {
        Ok(answer) => answer.read().map_err(|error| ConvertError::Refused(error.to_string())),
        Err(ApiError::Status { status: 404 | 422, .. }) => Err(ConvertError::Unknown),
        Err(error) => Err(ConvertError::Refused(error.to_string())),
    }
}
