//! The HTTP side: who asks, for what, and which faults stand in the way.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::Method,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Shared, address,
    answer::{Ask, answer},
    faults::{self, FaultKind, Recorded, Verb},
    locked,
    refusal::Refusal,
    rights::{self, Caller},
};

/// The API server takes bodies of up to 3 MiB.
const BODY_LIMIT: usize = 3 * 1024 * 1024;
const ACCESS_REVIEW: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(serve).with_state(shared)
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    if *shared.outage.borrow() {
        return Refusal::new(503, "the server is down").into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return Refusal::new(400, "the body is too large or broken").into_response();
    };
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let path = parts.uri.path().to_owned();
    let Some(by) = rights::caller(&parts.headers) else {
        locked(&shared.violations).push(format!("{path}: without our bearer token"));
        return Refusal::new(401, "Unauthorized").into_response();
    };
    match (parts.method.as_str(), &*path) {
        ("GET", "/healthz" | "/livez" | "/readyz") => return "ok".into_response(),
        ("GET", "/version") => {
            return Json(json!({ "major": "1", "minor": "33", "gitVersion": "v1.33.0" })).into_response();
        }
        ("POST", ACCESS_REVIEW) => return review(&shared, body.unwrap_or_default()).into_response(),
        _ => {}
    }
    let query_text = parts.uri.query().unwrap_or_default().to_owned();
    let query = address::query(&query_text);
    let address = match address::parse(&path) {
        Ok(address) => address,
        Err(refusal) => {
            locked(&shared.violations).push(format!("{} {path}: no such resource", parts.method));
            return refusal.into_response();
        }
    };
    let watching = query.get("watch").is_some_and(|watch| watch == "true" || watch == "1");
    let verb = verb(&parts.method, address.name.is_some(), watching);
    locked(&shared.requests).push(Recorded {
        verb,
        resource: address.resource(),
        name: address.name.clone(),
        method: parts.method.to_string(),
        path,
        query: query_text,
        body: body.clone(),
        by,
        at: Instant::now(),
    });
    if by == Caller::Program
        && let Some(grants) = &*locked(&shared.granted)
        && let Err(refusal) = grants.check(verb, &address)
    {
        locked(&shared.violations).push(format!("{} {}: not granted", verb.as_str(), address.resource()));
        return refusal.into_response();
    }
    let fault = faults::take(&mut locked(&shared.faults), verb, &address.resource());
    let ask = Ask { verb, address, query, body, headers: parts.headers };
    respond(shared, ask, fault).await
}

async fn respond(shared: Arc<Shared>, ask: Ask, fault: Option<FaultKind>) -> Response {
    match fault {
        Some(FaultKind::Refuse(code)) => Refusal::new(code, "injected fault").into_response(),
        Some(FaultKind::PerformThenFail(code)) => {
            drop(answer(&shared, &ask));
            Refusal::new(code, "injected fault after the effect").into_response()
        }
        Some(FaultKind::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            answer(&shared, &ask).into_response()
        }
        None => answer(&shared, &ask).into_response(),
    }
}

fn verb(method: &Method, named: bool, watching: bool) -> Verb {
    match (method.as_str(), named, watching) {
        ("POST", ..) => Verb::Create,
        ("PUT", ..) => Verb::Update,
        ("PATCH", ..) => Verb::Patch,
        ("DELETE", ..) => Verb::Delete,
        (_, _, true) => Verb::Watch,
        (_, true, false) => Verb::Get,
        (_, false, false) => Verb::List,
    }
}

fn review(shared: &Shared, mut review: Value) -> Json<Value> {
    let attributes = &review["spec"]["resourceAttributes"];
    let text = |field: &str| attributes[field].as_str().unwrap_or_default().to_owned();
    let resource = match &*text("subresource") {
        "" => text("resource"),
        part => format!("{}/{part}", text("resource")),
    };
    let granted =
        locked(&shared.granted).as_ref().is_none_or(|grants| grants.names(&text("verb"), &resource));
    let allowed = granted && !locked(&shared.denied).contains(&(text("verb"), resource));
    review["status"] = json!({ "allowed": allowed });
    review["kind"] = "SelfSubjectAccessReview".into();
    review["apiVersion"] = "authorization.k8s.io/v1".into();
    Json(review)
}
