//! One request to the collector: with a time limit, without redirects, and without its headers in errors.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use riscv_runner_core::ports::chain;

use crate::{OtlpConfig, SetupError, headers, wire::ExportResponse};

/// Where OTLP over HTTP takes traces.
const PATH: &str = "/v1/traces";
/// What OTLP calls its protobuf.
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// How we identify ourselves.
const USER_AGENT: &str = concat!("riscv-runner/", env!("CARGO_PKG_VERSION"));
/// No answer of a collector is longer; of more the beginning is read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The collector.
pub(crate) struct Collector {
    http: reqwest::Client,
    url: Url,
}

/// What a collector accepted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Spans that it rejected nevertheless.
    pub(crate) rejected: u64,
    /// Its message about that.
    pub(crate) says: String,
}

/// Why a request was not accepted.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Why the spans were not accepted.
    pub(crate) why: String,
    /// Whether the same request may be sent again.
    pub(crate) passes: bool,
    /// When to send it again, if the collector says so.
    pub(crate) after: Option<Duration>,
}

impl Collector {
    pub(crate) fn new(config: &OtlpConfig) -> Result<Self, SetupError> {
        let mut url: Url = config.endpoint.trim().parse().map_err(|_| SetupError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(SetupError::Url);
        }
        let base = url.path().trim_end_matches('/').trim_end_matches(PATH).to_owned();
        url.set_path(&format!("{base}{PATH}"));
        let mut headers = config.headers.as_ref().map_or_else(|| Ok(HeaderMap::new()), headers::read)?;
        headers.insert(CONTENT_TYPE, PROTOBUF);
        // An error means that the host has installed one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .timeout(config.pace.timeout)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(SetupError::Client)?;
        Ok(Self { http, url })
    }

    /// Sends an encoded request, and says what the answer means: OTLP lists four statuses after which it may
    /// be sent again.
    pub(crate) async fn post(&self, body: Bytes) -> Result<Taken, Refused> {
        let sent = self.http.post(self.url.clone()).body(body).send().await;
        let response = sent.map_err(|error| Refused {
            why: format!("no answer came: {}", chain(&error.without_url())),
            passes: true,
            after: None,
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(taken(response).await);
        }
        let passes = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(Refused { why: format!("it answers {status}"), passes, after: later(&response) })
    }
}

/// What the answer says; one that cannot be read says that all is well, as its status did.
async fn taken(mut response: Response) -> Taken {
    let mut body = Vec::new();
    while body.len() < LONGEST_ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    let partial = ExportResponse::decode(body.as_slice()).ok().and_then(|answer| answer.partial_success);
    partial.map_or_else(Taken::default, |partial| Taken {
        rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
        says: partial.error_message,
    })
}

/// `Retry-After` in seconds, as OTLP has it.
fn later(response: &Response) -> Option<Duration> {
    let header = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    header.trim().parse().ok().map(Duration::from_secs)
}
