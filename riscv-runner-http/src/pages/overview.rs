//! `GET /`: what waits and runs now, what the boards do, whether the service is well, and the way to
//! the other pages; `GET /live` is the same for those who keep watching.

mod service;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{
    controls::Note,
    ids::{Epoch, PoolName, ReplicaName},
    ports::{Lately, PortError, UsageRow},
};
use serde::Serialize;

use super::{boards, lately, layout::Part, pools, representation::Representation, text, visitor::Visitor};
use crate::{
    answer::{self, Fault},
    cached::Shared,
    clients::Client,
    live::{Audience, Look},
    picture::Picture,
    readiness::{Peer, PeerState},
    state::{AppState, PICTURE_MAX_AGE},
    views::{Reader, StatusView, Totals},
};

#[derive(Debug, Serialize)]
struct OverviewJson<'a> {
    #[serde(flatten)]
    status: StatusView,
    /// What the last day showed.
    lately: &'a Lately,
    cluster: PeerState,
    github: PeerState,
    everything_paused: Option<Note>,
    drained_pools: BTreeMap<PoolName, Note>,
}

/// Everything that the page is made from.
struct Read {
    usage: Vec<UsageRow>,
    leader: Option<(ReplicaName, Epoch, Timestamp)>,
    lately: Arc<Lately>,
    picture: Option<Arc<Picture>>,
}

async fn read(state: &AppState) -> Result<Read, Arc<PortError>> {
    let counted = async { Ok((state.0.reports.usage().await?, state.0.lease.leader().await?)) };
    let (usage, leader) = state.read(counted).await?;
    let lately = state.lately().await?;
    let picture: Option<Shared<Picture>> = state.picture(PICTURE_MAX_AGE).await;
    Ok(Read { usage, leader, lately, picture: picture.transpose()? })
}

fn overview<'a>(state: &AppState, read: &'a Read, reader: Reader) -> OverviewJson<'a> {
    let now = state.0.platform.now();
    let (readiness, controls) = (&state.0.readiness, state.controls());
    let (leader, picture) = (read.leader.clone(), read.picture.as_deref());
    OverviewJson {
        status: StatusView::of(&read.usage, leader, &state.policy(), &controls, picture, reader, now),
        lately: &read.lately,
        cluster: readiness.peer(Peer::Cluster),
        github: readiness.peer(Peer::GitHub),
        everything_paused: controls.everything_paused.clone(),
        drained_pools: controls.drained_pools.clone(),
    }
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let read = match read(&state).await {
        Ok(read) => read,
        Err(error) => return visitor.unreadable(&error),
    };
    let overview = overview(&state, &read, visitor.reader);
    if !visitor.is_html() {
        return visitor.json(&overview);
    }
    let picture = read.picture.as_deref();
    let parts = parts(&visitor, &overview, picture);
    visitor.watched("Overview", "/live", &parts, &as_of(overview.status.now))
}

/// The same, again and again, as server-sent events.
pub(super) async fn watch(State(state): State<AppState>, visitor: Visitor) -> Response {
    let audience = Audience { reader: visitor.reader, base: visitor.base.clone() };
    let look = Box::new(|state, audience| look(state, audience).boxed());
    state.0.live.watch(&state, audience, look).unwrap_or_else(|| {
        let fault =
            Fault::new("too many clients are watching the overview already, or this process is stopping")
                .hint("read / again instead");
        let mut response = answer::json(StatusCode::SERVICE_UNAVAILABLE, &fault).into_response();
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("15"));
        response
    })
}

async fn look(state: AppState, audience: Audience) -> Result<Look, String> {
    let read = read(&state).await.map_err(|error| {
        tracing::warn!(error = error.chain(), "the overview could not be read for its live viewers");
        "the store cannot be read".to_owned()
    })?;
    let visitor = Visitor {
        reader: audience.reader,
        form: Representation::Html,
        base: audience.base,
        path: "/".to_owned(),
        query: String::new(),
        sees_queue: state.0.snapshots.is_some(),
        inspects: state.0.inspector.is_some(),
        client: Client::NOBODY,
    };
    let overview = overview(&state, &read, visitor.reader);
    let parts = parts(&visitor, &overview, read.picture.as_deref());
    let content = parts.iter().map(|part| part.markup().into_string()).collect();
    Ok(Look { content, as_of: as_of(overview.status.now).markup().into_string() })
}

/// What changes with every look.
fn as_of(now: Timestamp) -> Part {
    Part { name: "as-of", content: html! { p class="quiet" { "As of " (text::time(Some(now))) " UTC" } } }
}

/// The page in parts, each of which is replaced when it changes; the same ones in every look.
fn parts(visitor: &Visitor, overview: &OverviewJson<'_>, picture: Option<&Picture>) -> Vec<Part> {
    let part = |name, content| Part { name, content };
    let mut parts = vec![
        part("notice", notice(overview)),
        part("figures", figures(visitor, overview.status.totals, picture.is_some())),
        part(
            "pools",
            html! { h2 { "Pools" } (pools::table(&overview.status.pools, picture.is_some(), overview.status.now)) },
        ),
    ];
    if let Some(picture) = picture {
        let grid = match &picture.boards {
            Some(boards) => boards::grid(visitor, boards),
            None => boards::unobserved(),
        };
        parts.push(part("boards", html! { h2 { "Boards" } (grid) }));
    }
    parts.push(part("lately", html! { h2 { "The last 24 hours" } (lately::show(overview.lately, visitor)) }));
    parts.push(part("service", html! { h2 { "Service" } (service::facts(overview)) }));
    parts
}

fn notice(overview: &OverviewJson<'_>) -> Markup {
    html! {
        @if let Some(note) = &overview.everything_paused {
            p role="status" class="notice" { "Everything is paused: " (pools::held(note)) }
        }
    }
}

fn figures(visitor: &Visitor, totals: Totals, sees_queue: bool) -> Markup {
    let Totals { jobs_pending, jobs_running, workers_pending, workers_running } = totals;
    let waiting = if sees_queue { "/queue" } else { "/jobs" };
    html! {
        dl class="figures" {
            (figure(visitor, "Jobs waiting", jobs_pending, waiting))
            (figure(visitor, "Jobs running", jobs_running, "/jobs"))
            (figure(visitor, "Workers starting", workers_pending, "/workers"))
            (figure(visitor, "Workers running", workers_running, "/workers"))
        }
    }
}

fn figure(visitor: &Visitor, name: &str, count: u64, path: &str) -> Markup {
    html! { div { dt { a href=(visitor.address(path)) { (name) } } dd { (count) } } }
}
