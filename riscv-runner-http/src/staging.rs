//! Deliveries of staging accounts and repositories, forwarded unchanged.
//!
//! Staging checks the signature by itself, so the body's bytes and GitHub's headers stay untouched.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// Marks a delivery that was forwarded once: an instance that is its own staging must not do so for ever.
const FORWARDED: HeaderName = HeaderName::from_static("x-riscv-runner-forwarded");
/// What GitHub sends that means something to the receiver.
const KEPT: [HeaderName; 11] = [
    header::CONTENT_TYPE,
    header::USER_AGENT,
    HeaderName::from_static("x-github-event"),
    HeaderName::from_static("x-github-delivery"),
    HeaderName::from_static("x-github-hook-id"),
    HeaderName::from_static("x-github-hook-installation-target-id"),
    HeaderName::from_static("x-github-hook-installation-target-type"),
    HeaderName::from_static("x-github-enterprise-host"),
    HeaderName::from_static("x-github-enterprise-version"),
    HeaderName::from_static("x-hub-signature"),
    HeaderName::from_static("x-hub-signature-256"),
];
/// GitHub waits ten seconds for our answer, and a commit follows.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A delivery to be forwarded.
#[derive(Debug, Clone)]
pub struct StagingRequest {
    /// GitHub's headers, and the mark that it was forwarded.
    pub headers: HeaderMap,
    /// The body as it arrived.
    pub body: Bytes,
}

impl StagingRequest {
    pub(crate) fn new(received: &HeaderMap, body: Bytes) -> Self {
        let mut headers: HeaderMap = KEPT
            .iter()
            .filter_map(|name| received.get(name).map(|value| (name.clone(), value.clone())))
            .collect();
        headers.insert(FORWARDED, HeaderValue::from_static("1"));
        Self { headers, body }
    }
}

/// Whether the delivery has been forwarded already.
pub(crate) fn was_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED)
}

/// Why staging did not accept a delivery.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// It could not be reached, or did not answer in time.
    #[error("staging does not answer")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// It answered with a status other than success.
    #[error("staging answered {0}")]
    Refused(StatusCode),
}

impl StagingError {
    /// The message with all its causes, for the log.
    #[must_use]
    pub fn chain(&self) -> String {
        riscv_runner_core::ports::chain(self)
    }
}

/// Forwards deliveries to staging.
#[async_trait]
pub trait StagingProxy: Send + Sync {
    /// Returns once staging has acknowledged the delivery.
    ///
    /// # Errors
    /// When it has not; the sender gets an error, and delivers again.
    async fn forward(&self, request: StagingRequest) -> Result<(), StagingError>;
}

/// Why an [`HttpStaging`] could not be created.
#[derive(Debug, thiserror::Error)]
pub enum StagingSetupError {
    /// The address is not an `http` or `https` URL. It is not repeated: it may hold a password.
    #[error("the staging URL is not an http or https URL")]
    Url,
    /// The address holds a user or a password.
    #[error("the staging URL must not hold a user or a password")]
    Credentials,
    /// The client could not be built.
    #[error("the HTTP client for staging cannot be built")]
    Client(#[source] reqwest::Error),
}

/// Forwards deliveries over HTTP. Redirects are not followed: a signed body goes nowhere else.
#[derive(Debug, Clone)]
pub struct HttpStaging {
    client: reqwest::Client,
    url: reqwest::Url,
}

impl HttpStaging {
    /// Deliveries are posted to this URL. The process must have a rustls provider installed, or gets
    /// ring's.
    ///
    /// # Errors
    /// A URL that is not `http` or `https` or holds a user or a password, and a client that cannot be built.
    pub fn new(url: &str) -> Result<Self, StagingSetupError> {
        let parsed = reqwest::Url::parse(url).map_err(|_| StagingSetupError::Url)?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(StagingSetupError::Url);
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(StagingSetupError::Credentials);
        }
        // An error means that the host has installed one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(StagingSetupError::Client)?;
        Ok(Self { client, url: parsed })
    }
}

#[async_trait]
impl StagingProxy for HttpStaging {
    async fn forward(&self, request: StagingRequest) -> Result<(), StagingError> {
        let sent = self.client.post(self.url.clone()).headers(request.headers).body(request.body).send();
        let answer = sent.await.map_err(|error| StagingError::Unreachable(Box::new(error.without_url())))?;
        if answer.status().is_success() { Ok(()) } else { Err(StagingError::Refused(answer.status())) }
    }
}
