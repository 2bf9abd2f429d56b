//! The one way to GitHub: every request of this crate is made here, with its headers, limits and
//! time-outs. It knows no operation's meaning, and sends a token nowhere but to the configured API.

mod endpoint;
mod error;
mod etag;
mod limits;
mod link;
mod skew;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reqwest::{
    Method, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LINK},
    redirect,
};
use riscv_runner_core::{backoff, ports::Platform};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

pub use self::{endpoint::Endpoint, limits::Priority};
pub(crate) use self::{
    error::ApiError,
    limits::{Limits, Payer, Refusal},
};
use self::{
    etag::{Etags, Known},
    skew::Skew,
};
use crate::{
    config::{ConfigError, GithubConfig},
    observer::{Answer as Counted, GithubObserver},
};

/// The version of the REST API that the requests and answers here follow.
const API_VERSION: &str = "2022-11-28";
/// The most that a listing returns per page.
pub(crate) const PER_PAGE: &str = "100";
/// No listing of ours is longer; a `Link` that never ends must not keep us for ever.
const MAX_PAGES: usize = 1000;
/// Messages of GitHub are a sentence or two; a proxy's error page is longer.
const MAX_MESSAGE_CHARS: usize = 300;
/// A renamed repository redirects once, a renamed owner once more.
const MAX_REDIRECTS: usize = 3;

/// One request, without the token.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) endpoint: Endpoint,
    pub(crate) address: Url,
    pub(crate) body: Option<serde_json::Value>,
    pub(crate) payer: Payer,
    pub(crate) priority: Priority,
}

/// An answer with a status of success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) next: Option<Url>,
}

impl Answer {
    /// Reads the body, naming the path of what is not as documented.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| ApiError::Answer {
            path: error.path().to_string(),
            problem: error.into_inner().to_string(),
        })
    }
}

/// The connection to GitHub's REST API.
pub(crate) struct Client {
    http: reqwest::Client,
    root: Url,
    limits: Limits,
    etags: Etags,
    skew: Skew,
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) observer: Arc<dyn GithubObserver>,
}

impl Client {
    pub(crate) fn new(
        config: &GithubConfig,
        platform: Arc<dyn Platform>,
        observer: Arc<dyn GithubObserver>,
    ) -> Result<Self, ConfigError> {
        crate::tls::install_ring();
        let root = config.root()?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        headers.insert("x-github-api-version", HeaderValue::from_static(API_VERSION));
        let http = reqwest::Client::builder()
            .user_agent(&config.user_agent)
            .default_headers(headers)
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            .redirect(redirects(root.clone()))
            .build()
            .map_err(ConfigError::Http)?;
        Ok(Self {
            http,
            root,
            limits: Limits::default(),
            etags: Etags::new(),
            skew: Skew::default(),
            platform,
            observer,
        })
    }

    /// The address of a path below the API's root; the segments are escaped.
    pub(crate) fn address(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut address = self.root.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            address.query_pairs_mut().extend_pairs(query);
        }
        address
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How far GitHub's clock is ahead of ours, as its last answer dated itself.
    pub(crate) fn clock_ahead(&self) -> Option<SignedDuration> {
        self.skew.get()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.platform.now()
    }

    /// Sends one request; anything but a status of success is an error.
    pub(crate) async fn send(&self, call: &Call, token: &SecretString) -> Result<Answer, ApiError> {
        self.limits.admit(call.payer, call.priority, self.now()).map_err(ApiError::from)?;
        let known = (call.method == Method::GET).then(|| self.etags.get(call.payer, &call.address)).flatten();
        let begun = self.now();
        let result = self.exchange(call, known.as_ref(), token).await;
        let ended = self.now();
        let took = backoff::age(ended, begun);
        let (status, headers, body) = match result {
            Ok(answer) => answer,
            Err(error) => {
                self.limits.refund(call.payer, call.priority);
                self.observer.answered(Counted { endpoint: call.endpoint, status: None, took });
                return Err(error);
            }
        };
        self.skew.learn(&headers, begun, ended);
        let counted = Counted { endpoint: call.endpoint, status: Some(status.as_u16()), took };
        self.observer.answered(counted);
        self.judge(call, known, status, &headers, body)
    }

    /// Sends an unauthenticated request. It is charged to nobody.
    pub(crate) async fn send_unsigned(&self, method: Method, address: Url) -> Result<Answer, ApiError> {
        let response = self.http.request(method, address).send().await.map_err(transport)?;
        let status = response.status();
        let body = response.bytes().await.map_err(transport)?;
        if status.is_success() {
            return Ok(Answer { body, next: None });
        }
        Err(ApiError::Status { status: status.as_u16(), message: message(&body) })
    }

    /// Reads a listing to its end, page by page.
    pub(crate) fn next_page(&self, call: &Call, answer: &Answer) -> Result<Option<Call>, ApiError> {
        match &answer.next {
            None => Ok(None),
            Some(next) if link::is_below(next, &self.root) => {
                Ok(Some(Call { address: next.clone(), ..call.clone() }))
            }
            Some(next) => Err(ApiError::Elsewhere(next.host_str().unwrap_or("nowhere").to_owned())),
        }
    }

    async fn exchange(
        &self,
        call: &Call,
        known: Option<&Known>,
        token: &SecretString,
    ) -> Result<(StatusCode, HeaderMap, Bytes), ApiError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ApiError::Signing("the token cannot be put in a header".into()))?;
        bearer.set_sensitive(true);
        let mut request =
            self.http.request(call.method.clone(), call.address.clone()).header(AUTHORIZATION, bearer);
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, known.etag.clone());
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(transport)?;
        Ok((status, headers, body))
    }

    fn judge(
        &self,
        call: &Call,
        known: Option<Known>,
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, ApiError> {
        let message = if status.is_success() { String::new() } else { message(&body) };
        if let Some(until) = self.limits.learn(call.payer, status, headers, &message, self.now()) {
            return Err(ApiError::Limited { until });
        }
        if let (StatusCode::NOT_MODIFIED, Some(known)) = (status, known) {
            self.limits.refund(call.payer, call.priority);
            return Ok(Answer { body: known.body, next: known.next });
        }
        if !status.is_success() {
            return Err(ApiError::Status { status: status.as_u16(), message });
        }
        let next = headers
            .get(LINK)
            .and_then(|link| link.to_str().ok())
            .and_then(link::next)
            .and_then(|next| call.address.join(next).ok());
        if call.method == Method::GET
            && let Some(etag) = headers.get(ETAG)
        {
            let known = Known { etag: etag.clone(), body: body.clone(), next: next.clone() };
            self.etags.put(call.payer, &call.address, known);
        }
        Ok(Answer { body, next })
    }
}

/// How many pages of a listing are read; beyond it the listing fails rather than lie.
pub(crate) const fn max_pages() -> usize {
    MAX_PAGES
}

/// Follows a few redirects below the API's root (renamed repositories), and none elsewhere.
fn redirects(root: Url) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS || !link::is_below(attempt.url(), &root) {
            attempt.stop()
        } else {
            attempt.follow()
        }
    })
}

fn transport(error: reqwest::Error) -> ApiError {
    // The address is in the operation already, and may hold names of private repositories.
    let error = error.without_url();
    if error.is_connect() || error.is_builder() {
        ApiError::NotSent(Arc::new(error))
    } else {
        ApiError::Lost(Arc::new(error))
    }
}

fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Refusal {
        message: Option<String>,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => shortened(&refusal.message.unwrap_or_default()),
        Err(_) => shortened(&String::from_utf8_lossy(body)),
    }
}

fn shortened(text: &str) -> String {
    let plain = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_MESSAGE_CHARS).collect()
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Limited(until) => Self::Limited { until },
            Refusal::BudgetSpent(until) => Self::BudgetSpent { until },
        }
    }
}

/// The default time to connect.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The default time for a whole request; GitHub itself gives up after ten seconds.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
