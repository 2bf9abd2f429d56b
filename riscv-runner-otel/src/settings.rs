//! The settings for sending spans: where the collector is, what it expects, and how patient we are with it.

use std::time::Duration;

use secrecy::SecretString;

/// Where spans go, and how this process identifies itself.
#[derive(Debug, Clone)]
pub struct OtlpConfig {
    /// The collector's base address, such as `http://collector:4318`; `/v1/traces` is added unless it is there.
    pub endpoint: String,
    /// Headers of every request, as `name=value,name=value` with values percent-encoded where they hold
    /// commas: the format of `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: Option<SecretString>,
    /// The share of traces that is sent, from 0 to 1. The trace's id decides, so each is sent whole or not at all.
    pub sample_ratio: f64,
    /// The name of this process: `service.instance.id`.
    pub instance: String,
    /// The program's version: `service.version`.
    pub version: String,
    /// The courier's limits.
    pub pace: Pace,
}

impl OtlpConfig {
    /// Every trace, without headers, with default limits, for this version.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, instance: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            headers: None,
            sample_ratio: 1.0,
            instance: instance.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pace: Pace::default(),
        }
    }
}

/// How patient the courier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The most spans in the queue; more are dropped.
    pub queue: usize,
    /// How long a span waits for others to share its request.
    pub linger: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request is tried before its spans are dropped.
    pub tries: u32,
    /// The wait after the first failure; it doubles, unless the collector names one.
    pub first_wait: Duration,
    /// The longest wait, whatever the collector asks for.
    pub longest_wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            queue: 8192,
            linger: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            tries: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
        }
    }
}

/// Why nothing can be sent. The headers are not shown, because they hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The endpoint is not an HTTP URL.
    #[error("the collector's address is not an http or https URL")]
    Url,
    /// A header cannot be sent.
    #[error("header {n} {problem}; write name=value, several with commas between them")]
    Header {
        /// The number of the header, from 1.
        n: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The ratio is outside its range.
    #[error("the share of traces must be from 0 to 1")]
    Ratio,
    /// The HTTP client cannot be built, usually because the system has no root certificates.
    #[error("the HTTP client cannot be built; are the system's CA certificates installed?")]
    Client(#[source] reqwest::Error),
}
