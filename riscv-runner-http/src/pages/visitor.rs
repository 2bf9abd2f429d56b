//! Who reads a page, and in which form: decided before the page reads anything.

use axum::{
    extract::{FromRequestParts, NestedPath},
    response::{IntoResponse, Redirect, Response},
};
use base64::prelude::{BASE64_STANDARD, Engine};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER, VARY, WWW_AUTHENTICATE},
    request::Parts,
};
use maud::Markup;
use riscv_runner_core::ports::PortError;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::{
    layout::{self, Part},
    representation::Representation,
};
use crate::{
    answer::{self, Fault},
    clients::Client,
    state::AppState,
    views::Reader,
};

/// One request for a page.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// Whether the reader is authenticated.
    pub(crate) reader: Reader,
    /// The form of the answer.
    pub(crate) form: Representation,
    /// Where the host nested the router: empty, or `/ci`.
    pub(crate) base: String,
    /// The path below that, as it was asked for.
    pub(crate) path: String,
    /// The query as it was sent.
    pub(crate) query: String,
    /// Whether this process sees the queue and the boards.
    pub(crate) sees_queue: bool,
    /// Whether this process may query GitHub on behalf of users.
    pub(crate) inspects: bool,
    /// The client's address.
    pub(crate) client: Client,
}

/// A request for a page that everyone may read, even where the others are not public.
#[derive(Debug, Clone)]
pub(crate) struct Guest(pub(crate) Visitor);

impl FromRequestParts<AppState> for Guest {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        Visitor::of(parts, state).await.map(Self)
    }
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let visitor = Self::of(parts, state).await?;
        if visitor.reader == Reader::Anonymous && !state.0.public_pages {
            let fault = Fault::new("this page is for authenticated readers")
                .hint("send Authorization: Bearer TOKEN, or sign in with the token as the password");
            return Err(visitor.unauthorized(&fault));
        }
        Ok(visitor)
    }
}

impl Visitor {
    /// Who asks, whether or not this page is for them.
    async fn of(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
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
            sees_queue: state.0.snapshots.is_some(),
            inspects: state.0.inspector.is_some(),
            client: Client::of(&parts.headers, &parts.extensions, state.0.behind_proxy),
        };
        visitor.reader = match present(&parts.headers, state.0.reader_token.as_ref()) {
            Ok(reader) => reader,
            Err(fault) => return Err(visitor.unauthorized(&fault)),
        };
        Ok(visitor)
    }
}

/// Whether anything that is not a page may be read: by everyone where pages are public, else with the token.
pub(crate) fn may_read(headers: &HeaderMap, state: &AppState) -> bool {
    state.0.public_pages
        || matches!(present(headers, state.0.reader_token.as_ref()), Ok(Reader::Authenticated))
}

/// Says how the token may be sent.
pub(crate) fn challenged(mut response: Response) -> Response {
    let challenges = HeaderValue::from_static("Basic realm=\"RISC-V runners\", charset=\"UTF-8\", Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenges);
    response
}

/// Compares the token that was presented, if any, in constant time.
fn present(headers: &HeaderMap, token: Option<&SecretString>) -> Result<Reader, Fault> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(Reader::Anonymous) };
    let presented = value.to_str().ok().and_then(presented_token).ok_or_else(|| {
        Fault::new("the Authorization header cannot be read")
            .hint("send Bearer TOKEN, or Basic with the token as the password")
    })?;
    let expected = token.map(|token| token.expose_secret().as_bytes());
    let holds = expected.is_some_and(|token| token.ct_eq(presented.expose_secret().as_bytes()).into());
    if holds { Ok(Reader::Authenticated) } else { Err(Fault::new("the token is invalid")) }
}

/// The token of a program (`Bearer`), or of a person whose browser asked for a password (`Basic`).
fn presented_token(value: &str) -> Option<SecretString> {
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(SecretString::from(credentials));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| SecretString::from(password))
}

/// Asks a browser for the token; one that has it is sent to the overview.
pub(super) async fn sign_in(visitor: Visitor) -> Response {
    match visitor.reader {
        Reader::Anonymous => visitor.unauthorized(&Fault::new(
            "sign in with the reader's token as the password; any user name will do",
        )),
        Reader::Authenticated => Redirect::to(&visitor.address("/")).into_response(),
    }
}

impl Visitor {
    /// The address of one of our paths, wherever the host nested the router: its root has no `/` of
    /// its own there.
    pub(crate) fn address(&self, path: &str) -> String {
        if path == "/" && !self.base.is_empty() { self.base.clone() } else { format!("{}{path}", self.base) }
    }

    /// The same visitor of what is for programs alone.
    pub(crate) fn for_programs(&self) -> Self {
        Self { form: Representation::Json, ..self.clone() }
    }

    /// Says which headers of the request the answer depends on.
    fn vary(mut response: Response) -> Response {
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept, authorization"));
        response
    }

    /// Whether the answer is HTML.
    pub(crate) fn is_html(&self) -> bool {
        self.form == Representation::Html
    }

    /// An HTML page.
    pub(crate) fn html(&self, title: &str, content: &Markup) -> Response {
        Self::vary(layout::page(StatusCode::OK, self, title, content))
    }

    /// An HTML page, with a status of its own.
    pub(crate) fn html_with(&self, status: StatusCode, title: &str, content: &Markup) -> Response {
        Self::vary(layout::page(status, self, title, content))
    }

    /// A JSON answer, with a status of its own.
    pub(crate) fn json_with<T: Serialize>(&self, status: StatusCode, value: &T) -> Response {
        Self::vary(answer::json(status, value))
    }

    /// An HTML page of what changes by the second: it reloads itself.
    pub(crate) fn live(&self, title: &str, content: &Markup) -> Response {
        Self::vary(layout::live_page(self, title, content))
    }

    /// An HTML page that the stream at `source` keeps up to date.
    pub(crate) fn watched(&self, title: &str, source: &str, parts: &[Part], as_of: &Part) -> Response {
        Self::vary(layout::watched_page(self, title, source, parts, as_of))
    }

    /// The query with its `?`, to be repeated in a link; nothing where there is none.
    pub(crate) fn query_suffix(&self) -> String {
        if self.query.is_empty() { String::new() } else { format!("?{}", self.query) }
    }

    /// A JSON answer.
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> Response {
        Self::vary(answer::json(StatusCode::OK, value))
    }

    /// A fault in the requested form.
    pub(crate) fn fault(&self, status: StatusCode, fault: &Fault) -> Response {
        Self::vary(match self.form {
            Representation::Json => answer::json(status, fault),
            Representation::Html => layout::page(status, self, "Error", &layout::fault(fault)),
        })
    }

    /// The store could not be read.
    pub(crate) fn unreadable(&self, error: &PortError) -> Response {
        tracing::warn!(page = self.path, error = error.chain(), "a page could not be read");
        let fault = Fault::new("the store cannot be read")
            .hint("try again shortly; /ready shows when it answers again");
        let mut response = self.fault(StatusCode::SERVICE_UNAVAILABLE, &fault);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        response
    }

    /// This process has no scheduler to ask.
    pub(crate) fn not_seen_here(&self) -> Response {
        let fault = Fault::new("this process does not see the queue and the boards")
            .hint("ask one that runs with --role all or --role scheduler");
        self.fault(StatusCode::NOT_FOUND, &fault)
    }

    fn unauthorized(&self, fault: &Fault) -> Response {
        challenged(self.fault(StatusCode::UNAUTHORIZED, fault))
    }
}
