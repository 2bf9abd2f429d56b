//! HTTP on one side, operations on the other: what every call has in common.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method},
    response::Response,
};
use bytes::Bytes;
use tokio::net::TcpListener;

use super::{
    Shared, auth,
    faults::Effect,
    locked, manifests,
    recorded::Recorded,
    reply::Reply,
    routes::{self, Operation, Question},
};

/// No request of ours is longer.
const BODY_LIMIT: usize = 1 << 20;

/// Serves until the task is aborted.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new().fallback(handle).with_state(shared);
    // It only ends with an error of the listener, and the tests' clients will tell of that.
    let _ = axum::serve(listener, router).await;
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let question = read(&shared, request).await;
    let operation = Operation::of(&question.method, &question.path);
    let template = operation.as_ref().map_or("", |operation| operation.template());
    let latency = *locked(&shared.latency);
    let effect = locked(&shared.faults).next(template);
    let slow = if let Some(Effect::Slow(more)) = effect { more } else { Duration::ZERO };
    if !(latency + slow).is_zero() {
        tokio::time::sleep(latency + slow).await;
    }
    let outcome = outcome(&shared, operation.as_ref(), &question, effect);
    locked(&shared.requests).push(Recorded {
        method: question.method.to_string(),
        path: question.path,
        template: template.into(),
        query: question.queries,
        body: question.body,
        user_agent: text(&question.headers, "user-agent"),
        conditional: question.headers.contains_key("if-none-match"),
        status: outcome.as_ref().map_or(0, |reply| reply.status),
    });
    outcome.map_or_else(cut_off, |reply| respond(&reply))
}

/// The answer; `None` when the connection is to be cut.
fn outcome(
    shared: &Arc<Shared>,
    operation: Option<&Operation>,
    question: &Question,
    effect: Option<Effect>,
) -> Option<Reply> {
    match effect {
        Some(Effect::Lost) => None,
        Some(Effect::Refuse { status, message, headers }) => {
            let refusal = Reply::message(status, &message);
            Some(headers.into_iter().fold(refusal, |reply, (name, value)| reply.with(name, value)))
        }
        Some(Effect::DoneButLost) => {
            perform(shared, operation, question);
            None
        }
        Some(Effect::DoneButReports(status)) => {
            perform(shared, operation, question);
            Some(Reply::message(status, "injected after the effect"))
        }
        Some(Effect::AddsHeader(name, value)) => Some(perform(shared, operation, question).with(name, value)),
        Some(Effect::Slow(_)) | None => Some(perform(shared, operation, question)),
    }
}

fn perform(shared: &Arc<Shared>, operation: Option<&Operation>, question: &Question) -> Reply {
    check_headers(shared, question);
    let Some(operation) = operation else {
        shared.violation(format!("{} {} is not an operation", question.method, question.path));
        return Reply::not_found();
    };
    if let Operation::ConvertManifest(code) = operation {
        return manifests::convert(shared, code);
    }
    let asker = match auth::authenticate(shared, &question.headers) {
        Ok(asker) => asker,
        Err(refusal) => return refusal,
    };
    let limit = shared.config.hourly_limit;
    let charge = |cost| locked(&shared.world).budgets.charge(asker.payer(), cost, limit, shared.now());
    let (_, reset, allowed) = charge(1);
    if !allowed {
        return budgeted(Reply::message(403, "API rate limit exceeded for installation"), limit, 0, reset);
    }
    let mut reply = routes::answer(shared, asker, operation, question);
    if question.method == Method::GET && reply.status == 200 {
        reply = conditional(reply, question);
        if reply.status == 304 {
            locked(&shared.world).budgets.refund(asker.payer());
        }
    }
    let (remaining, reset, _) = charge(0);
    budgeted(reply, limit, remaining, reset)
}

fn budgeted(reply: Reply, limit: u64, remaining: u64, reset: i64) -> Reply {
    reply
        .with("x-ratelimit-limit", limit.to_string())
        .with("x-ratelimit-remaining", remaining.to_string())
        .with("x-ratelimit-used", limit.saturating_sub(remaining).to_string())
        .with("x-ratelimit-reset", reset.to_string())
        .with("x-ratelimit-resource", "core")
}

/// 304 when the asker has this answer already.
fn conditional(reply: Reply, question: &Question) -> Reply {
    let mut hasher = DefaultHasher::new();
    reply.body.as_ref().map(ToString::to_string).hash(&mut hasher);
    let etag = format!("W/\"{:016x}\"", hasher.finish());
    if text(&question.headers, "if-none-match").as_ref() == Some(&etag) {
        return Reply::empty(304).with("etag", etag);
    }
    reply.with("etag", etag)
}

fn check_headers(shared: &Shared, question: &Question) {
    let wrong = |what: &str| shared.violation(format!("{} {}: {what}", question.method, question.path));
    if text(&question.headers, "user-agent").is_none_or(|value| value.is_empty()) {
        wrong("no User-Agent");
    }
    if text(&question.headers, "accept").as_deref() != Some("application/vnd.github+json") {
        wrong("Accept is not application/vnd.github+json");
    }
    if text(&question.headers, "x-github-api-version").is_none() {
        wrong("no X-GitHub-Api-Version");
    }
    if question.body.is_some()
        && text(&question.headers, "content-type").as_deref() != Some("application/json")
    {
        wrong("Content-Type is not application/json");
    }
}

async fn read(shared: &Shared, request: Request) -> Question {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let path = parts.uri.path();
    let body = match serde_json::from_slice(&bytes) {
        Ok(body) => Some(body),
        Err(_) if bytes.is_empty() => None,
        Err(error) => {
            shared.violation(format!("{path}: the body is not JSON: {error}"));
            None
        }
    };
    let path = match path.strip_prefix(shared.config.prefix.as_str()) {
        Some(below) => below.to_owned(),
        None => {
            shared.violation(format!("{path} is outside of the API's root"));
            path.to_owned()
        }
    };
    let queries = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let queries = queries.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    Question {
        method: parts.method,
        path,
        queries: queries.map(|(name, value)| (name.into(), value.into())).collect(),
        headers: parts.headers,
        body,
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn respond(reply: &Reply) -> Response {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let body = match &reply.body {
        Some(body) => {
            response = response.header("content-type", "application/json; charset=utf-8");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    response.body(body).unwrap_or_else(|_| Response::new(Body::empty()))
}

/// An answer that breaks off: the connection ends before the promised length.
fn cut_off() -> Response {
    let pieces = [Ok(Bytes::from_static(b"{")), Err(io::Error::other("cut off"))];
    Response::new(Body::from_stream(futures::stream::iter(pieces)))
}
