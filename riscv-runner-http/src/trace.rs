//! `/trace/*`: what the event log holds about an account, an installation or a job, and what is wrong.
//!
//! For the holder of the token alone; without a token configured the routes are not there. Lists never
//! carry payloads.

mod reader;

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use http::StatusCode;
use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{AppId, EventId, Login, RepoName},
    ports::{EventStore, EventsOf, LoggedEvent},
    trace::{Ask, TraceStores, investigate},
};
use riscv_runner_github::webhook::{KnownApps, says};
use serde::Serialize;
use serde_json::value::RawValue;

use self::reader::TokenHolder;
use crate::{
    answer::Fault,
    pages::{listing::Listing, visitor::Visitor},
    state::AppState,
};

/// What the trace reads.
pub(crate) struct TraceSource {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) apps: BTreeMap<AppId, EntityKind>,
}

impl TraceSource {
    pub(crate) fn new(events: Arc<dyn EventStore>, apps: &KnownApps) -> Self {
        Self { events, apps: apps.iter().collect() }
    }
}

/// The routes, of a process that has a token to ask for.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/trace/entity/{id}", get(entity))
        .route("/trace/installation/{id}", get(installation))
        .route("/trace/job/{id}", get(job))
        .route("/trace/payload/{event_id}", get(payload))
}

async fn entity(
    _: TokenHolder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    visitor: Visitor,
) -> Response {
    let of = match id.parse() {
        Ok(id) => Ok(EventsOf::Entity(id)),
        Err(_) => match named(&state, &visitor, &id).await {
            Ok(of) => Ok(of),
            Err(answer) => return answer,
        },
    };
    trace(&state, &visitor, of).await
}

/// The account that has, or else had, this login.
async fn named(state: &AppState, visitor: &Visitor, login: &str) -> Result<EventsOf, Response> {
    let visitor = visitor.for_programs();
    let login: Login = match id_of("id", login) {
        Ok(login) => login,
        Err(fault) => return Err(visitor.fault(StatusCode::BAD_REQUEST, &fault)),
    };
    let Some(source) = &state.0.trace else { return Err(visitor.not_seen_here()) };
    match state.read(source.events.entities_named(&login)).await {
        Ok(found) => match found.first() {
            Some(id) => Ok(EventsOf::Entity(*id)),
            None => {
                let fault = Fault::new(format!("no account named {login} is known here"))
                    .hint("the log holds no delivery of such an account; its id works, too");
                Err(visitor.fault(StatusCode::NOT_FOUND, &fault))
            }
        },
        Err(error) => Err(visitor.unreadable(&error)),
    }
}

async fn installation(
    _: TokenHolder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    visitor: Visitor,
) -> Response {
    trace(&state, &visitor, id_of("id", &id).map(EventsOf::Installation)).await
}

async fn job(
    _: TokenHolder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    visitor: Visitor,
) -> Response {
    trace(&state, &visitor, id_of("id", &id).map(EventsOf::Job)).await
}

async fn trace(state: &AppState, visitor: &Visitor, of: Result<EventsOf, Fault>) -> Response {
    let visitor = &visitor.for_programs();
    let now = state.0.platform.now();
    let asked = of.and_then(|of| Ok((of, Asked::of(&visitor.query, now)?)));
    let (of, Asked { at, repo, listing }) = match asked {
        Ok(asked) => asked,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let Some(source) = &state.0.trace else { return visitor.not_seen_here() };
    let stores = TraceStores { events: source.events.as_ref(), reports: state.0.reports.as_ref(), says };
    let ask = Ask {
        of,
        at,
        repo,
        start: listing.window.start,
        end: listing.window.end,
        page: listing.paging.page,
        apps: source.apps.clone(),
    };
    match state.read(investigate(stores, &ask)).await {
        Ok(report) => listing.paging.link(visitor.json(&report), visitor, report.total_count),
        Err(error) => visitor.unreadable(&error),
    }
}

/// What the query says beside whom it is about.
struct Asked {
    at: Timestamp,
    repo: Option<RepoName>,
    listing: Listing,
}

impl Asked {
    /// Windows count from `at`, for nothing after it is shown.
    fn of(query: &str, now: Timestamp) -> Result<Self, Fault> {
        let (mut at, mut repo) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "at" => at = Some(parsed("at", &value, "write it as 2026-11-21T10:00:00Z")?),
                "repo" => repo = Some(parsed("repo", &value, "write it as owner/name")?),
                _ => {}
            }
        }
        let mut listing = Listing::asked(query, at.unwrap_or(now))?;
        listing.paging.repeat("at", at.as_ref());
        listing.paging.repeat("repo", repo.as_ref());
        Ok(Self { at: at.unwrap_or(now), repo, listing })
    }
}

/// A row with its payload.
#[derive(Serialize)]
struct RowJson<'a> {
    #[serde(flatten)]
    row: &'a LoggedEvent,
    payload: &'a RawValue,
}

async fn payload(
    _: TokenHolder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    visitor: Visitor,
) -> Response {
    let visitor = visitor.for_programs();
    let id: EventId = match id_of("event_id", &id) {
        Ok(id) => id,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let Some(source) = &state.0.trace else { return visitor.not_seen_here() };
    match state.read(source.events.event(id)).await {
        Ok(Some(found)) => visitor.json(&RowJson { row: &found.event, payload: &found.payload }),
        Ok(None) => {
            let fault = Fault::new(format!("the log has no row {id}"))
                .hint("rows older than retention.events are removed");
            visitor.fault(StatusCode::NOT_FOUND, &fault)
        }
        Err(error) => visitor.unreadable(&error),
    }
}

fn id_of<T: FromStr<Err: fmt::Display>>(parameter: &'static str, text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error: T::Err| Fault::new(error.to_string()).parameter(parameter))
}

fn parsed<T: FromStr>(parameter: &'static str, text: &str, hint: &str) -> Result<T, Fault> {
    let wrong = || Fault::new(format!("{text:?} is not understood")).parameter(parameter).hint(hint);
    text.parse().map_err(|_| wrong())
}
