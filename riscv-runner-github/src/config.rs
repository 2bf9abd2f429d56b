//! The adapter's configuration: where GitHub is, which Apps are ours, and how our runners are named.

use std::time::Duration;

use reqwest::Url;
use riscv_runner_core::{entity::EntityKind, ids::AppId};
use secrecy::SecretString;

use crate::{
    app_jwt::KeyError,
    client::{CONNECT_TIMEOUT, REQUEST_TIMEOUT},
};

/// One of our GitHub Apps.
#[derive(Debug, Clone)]
pub struct AppConfig {
    /// The kind of account that it serves.
    pub kind: EntityKind,
    /// Its id.
    pub app_id: AppId,
    /// Its private key: PEM, PKCS#1 (as GitHub hands it out) or PKCS#8.
    pub private_key: SecretString,
}

/// How to reach GitHub, and what to register there.
#[derive(Debug, Clone)]
pub struct GithubConfig {
    /// The root of the REST API: `https://api.github.com`, or `https://HOST/api/v3` on GitHub
    /// Enterprise Server.
    pub api_url: String,
    /// Our Apps, at most one of each kind.
    pub apps: Vec<AppConfig>,
    /// The runner group in organizations; created when it is missing.
    pub runner_group: String,
    /// What the names of our runners begin with.
    pub name_prefix: String,
    /// The runner's work folder, relative to its installation.
    pub work_folder: String,
    /// Sent with every request.
    pub user_agent: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a whole request may take.
    pub request_timeout: Duration,
}

impl GithubConfig {
    /// github.com with the names of the reference service and the default time-outs.
    #[must_use]
    pub fn new(apps: Vec<AppConfig>) -> Self {
        Self {
            api_url: "https://api.github.com".into(),
            apps,
            runner_group: "RISE RISC-V Runners".into(),
            name_prefix: "rise-riscv-runner-".into(),
            work_folder: "_work".into(),
            user_agent: concat!("riscv-runner/", env!("CARGO_PKG_VERSION")).into(),
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
        }
    }

    pub(crate) fn root(&self) -> Result<Url, ConfigError> {
        let refused = |problem: String| ConfigError::ApiUrl { url: self.api_url.clone(), problem };
        let root: Url = self.api_url.parse().map_err(|error| refused(format!("{error}")))?;
        if !matches!(root.scheme(), "http" | "https") || root.host_str().is_none() {
            return Err(refused("it must begin with https://".into()));
        }
        if !root.username().is_empty() || root.password().is_some() {
            return Err(ConfigError::ApiUrlWithCredentials);
        }
        if root.query().is_some() || root.fragment().is_some() {
            return Err(refused("it must not have a query or a fragment".into()));
        }
        Ok(root)
    }
}

/// Why the adapter cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The API's address is refused.
    #[error("github.api_url {url:?} is refused: {problem}")]
    ApiUrl {
        /// As configured.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The API's address carries a user or a password, which would end up in logs.
    #[error("github.api_url must not carry a user or a password")]
    ApiUrlWithCredentials,
    /// Two Apps serve the same kind of account.
    #[error("github.apps has two Apps of kind {kind}; keep one")]
    TwoApps {
        /// The kind of account.
        kind: EntityKind,
    },
    /// An App's private key is refused.
    #[error("the private key of the {kind} App {app} cannot be used")]
    Key {
        /// The kind of account that the App serves.
        kind: EntityKind,
        /// The App.
        app: AppId,
        /// What is wrong with the key.
        #[source]
        source: KeyError,
    },
    /// The HTTP client cannot be built, usually because the system has no root certificates.
    #[error("the HTTP client cannot be built; are the system's CA certificates installed?")]
    Http(#[source] reqwest::Error),
}
