//! Who reads a page, and in which form: settled before the page looks at anything.

use axum::{
    extract::{FromRequestParts, NestedPath},
    response::Response,
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, VARY, WWW_AUTHENTICATE},
    request::Parts,
};
use maud::Markup;
use riscv_runner_core::ports::PortError;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::{layout, representation::Representation};
use crate::{
    answer::{self, Fault},
    state::AppState,
};

/// Whether a reader has shown the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Anybody.
    Anonymous,
    /// The holder of the token.
    Authenticated,
}

/// One request for a page.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// Who asks.
    pub(crate) reader: Reader,
    /// In which form.
    pub(crate) form: Representation,
    /// Where the host nested the router: empty, or `/ci`.
    pub(crate) base: String,
    /// The path below that, as it was asked for.
    pub(crate) path: String,
    /// The query as it was sent.
    pub(crate) query: String,
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let base = NestedPath::from_request_parts(parts, state)
            .await
            .map(|nested| nested.as_str().trim_end_matches('/').to_owned())
            .unwrap_or_default();
        let mut visitor = Self {
            reader: Reader::Anonymous,
            form: Representation::asked(parts.uri.path(), &parts.headers),
            base,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
        };
        visitor.reader = match present(&parts.headers, state.0.reader_token.as_ref()) {
            Ok(reader) => reader,
            Err(fault) => return Err(visitor.unauthorized(&fault)),
        };
        if visitor.reader == Reader::Anonymous && !state.0.public_pages {
            let fault = Fault::new("this page is for authenticated readers")
                .hint("send the header Authorization: Bearer TOKEN");
            return Err(visitor.unauthorized(&fault));
        }
        Ok(visitor)
    }
}

/// Compares the token that was presented, if any, in constant time.
fn present(headers: &HeaderMap, token: Option<&SecretString>) -> Result<Reader, Fault> {
    let Some(presented) = headers.get(AUTHORIZATION) else { return Ok(Reader::Anonymous) };
    let Some((scheme, presented)) = presented.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return Err(Fault::new("the Authorization header cannot be read").hint("send Bearer TOKEN"));
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Fault::new("this authorization scheme is not known here").hint("send Bearer TOKEN"));
    }
    let matches =
        token.is_some_and(|token| token.expose_secret().as_bytes().ct_eq(presented.trim().as_bytes()).into());
    if matches { Ok(Reader::Authenticated) } else { Err(Fault::new("the bearer token does not hold")) }
}

impl Visitor {
    /// An answer with these headers' meaning: the form depends on them.
    fn vary(mut response: Response) -> Response {
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept, authorization"));
        response
    }

    /// Whether the page is for people.
    pub(crate) fn is_html(&self) -> bool {
        self.form == Representation::Html
    }

    /// The page for people.
    pub(crate) fn html(&self, title: &str, content: &Markup) -> Response {
        Self::vary(layout::page(StatusCode::OK, self, title, content))
    }

    /// The page for programs.
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> Response {
        Self::vary(answer::json(StatusCode::OK, value))
    }

    /// A fault in the form asked for.
    pub(crate) fn fault(&self, status: StatusCode, fault: &Fault) -> Response {
        Self::vary(match self.form {
            Representation::Json => answer::json(status, fault),
            Representation::Html => layout::page(status, self, "Error", &layout::fault(fault)),
        })
    }

    /// The store could not be read.
    pub(crate) fn unreadable(&self, error: &PortError) -> Response {
        tracing::warn!(page = self.path, error = error.chain(), "a page could not be read");
        let fault =
            Fault::new("the store cannot be read").hint("try again shortly; /ready tells when it answers");
        let mut response = self.fault(StatusCode::SERVICE_UNAVAILABLE, &fault);
        response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from_static("5"));
        response
    }

    fn unauthorized(&self, fault: &Fault) -> Response {
        let mut response = self.fault(StatusCode::UNAUTHORIZED, fault);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        response
    }
}
