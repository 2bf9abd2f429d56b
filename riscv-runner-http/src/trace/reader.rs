//! Who may trace: the holder of the token, who sends it with every request. Nobody else learns more than
//! that.

use axum::{extract::FromRequestParts, response::Response};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
    request::Parts,
};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::{
    answer::{self, Fault},
    state::AppState,
};

/// The holder of the token.
pub(super) struct TokenHolder;

impl FromRequestParts<AppState> for TokenHolder {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        if holds(&parts.headers, state.0.reader_token.as_ref()) { Ok(Self) } else { Err(unauthorized()) }
    }
}

/// Whether the header has the token; compared in constant time.
fn holds(headers: &HeaderMap, token: Option<&SecretString>) -> bool {
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked(7));
    let (Some((scheme, presented)), Some(token)) = (presented, token) else { return false };
    scheme.eq_ignore_ascii_case(b"bearer ") && token.expose_secret().as_bytes().ct_eq(presented).into()
}

fn unauthorized() -> Response {
    let mut response = answer::json(StatusCode::UNAUTHORIZED, &Fault::new("unauthorized"));
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}
