//! One request to a foreign server: with time-outs, without redirects, and without its address in errors,
//! because that address is a secret.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use reqwest::{RequestBuilder, Response, StatusCode, Url, header::RETRY_AFTER, redirect};
use riscv_runner_core::ports::{Platform, PortError, PortErrorKind, PortResult};
use secrecy::{ExposeSecret, SecretString};

/// The time limit of a request; nothing waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The wait after a limit that names no time.
const USUAL_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// How we identify ourselves.
const USER_AGENT: &str = concat!("riscv-runner/", env!("CARGO_PKG_VERSION"));

/// Why a notifier could not be created. The address is not shown, because it is a secret.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address is not an HTTP URL.
    #[error("the address is not an http or https URL")]
    Url,
    /// The HTTP client cannot be built, usually because the system has no root certificates.
    #[error("the HTTP client cannot be built; are the system's CA certificates installed?")]
    Client(#[source] reqwest::Error),
}

/// A foreign server.
#[derive(Clone)]
pub(crate) struct Peer {
    http: reqwest::Client,
    url: Url,
    platform: Arc<dyn Platform>,
}

impl Peer {
    pub(crate) fn new(url: &SecretString, platform: Arc<dyn Platform>) -> Result<Self, SetupError> {
        let url: Url = url.expose_secret().trim().parse().map_err(|_| SetupError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(SetupError::Url);
        }
        // An error means that the host has installed one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(SetupError::Client)?;
        Ok(Self { http, url, platform })
    }

    pub(crate) fn post(&self) -> RequestBuilder {
        self.http.post(self.url.clone())
    }

    pub(crate) fn get(&self) -> RequestBuilder {
        self.http.get(self.url.clone())
    }

    /// Sends, and says what the answer means.
    pub(crate) async fn send(&self, operation: &'static str, request: RequestBuilder) -> PortResult<()> {
        let response = request.send().await.map_err(|error| {
            let detail = "no answer came";
            PortError::new(PortErrorKind::Transient, operation, detail).with_source(error.without_url())
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => {
                PortErrorKind::RateLimited { until: later(&response, self.platform.now()) }
            }
            StatusCode::REQUEST_TIMEOUT => PortErrorKind::Transient,
            _ if status.is_server_error() => PortErrorKind::Transient,
            _ => PortErrorKind::Denied,
        };
        Err(PortError::new(kind, operation, format!("it answers {status}")))
    }
}

/// `Retry-After` in seconds, as most servers send it; Discord adds a fraction.
fn later(response: &Response, now: Timestamp) -> Timestamp {
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds =
        header.and_then(|text| text.trim().parse::<f64>().ok()).filter(|s| (0.0..86_400.0).contains(s));
    let pause = seconds.map_or(USUAL_PAUSE, SignedDuration::from_secs_f64);
    now.checked_add(pause).unwrap_or(now)
}
