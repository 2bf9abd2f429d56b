//! `/health`, `/ready` and `/metrics`: what probes and scrapers request.

use axum::{extract::State, response::Response};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{RETRY_AFTER, VARY},
};
use jiff::Timestamp;
use riscv_runner_core::{
    ids::{Epoch, ReplicaName},
    ports::PortError,
};
use serde::Serialize;

use crate::{
    answer::{self, Fault},
    metrics::{Exposition, Readings},
    pages::visitor,
    readiness::{Peer, PeerState},
    state::{AppState, PICTURE_MAX_AGE},
};

/// After how many seconds to ask a process again that is not ready.
const COME_AGAIN: HeaderValue = HeaderValue::from_static("5");

/// Whether a process is unready while there is no leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leader {
    /// It is one of those that should.
    Required,
    /// It only takes webhooks, which need no leader: out of rotation it would lose them.
    Reported,
}

#[derive(Debug, Serialize)]
struct Readout {
    ready: bool,
    /// Why not.
    reasons: Vec<String>,
    /// Problems that do not make this process useless: it still records webhooks.
    warnings: Vec<String>,
    store: StoreReadout,
    leader: Option<LeaderReadout>,
    leading: bool,
    cluster: PeerState,
    github: PeerState,
}

#[derive(Debug, Serialize)]
struct StoreReadout {
    reachable: bool,
}

#[derive(Debug, Serialize)]
struct LeaderReadout {
    /// Hidden from anonymous readers where pages are.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<ReplicaName>,
    epoch: Epoch,
    until: Timestamp,
}

/// The process is up.
pub(crate) async fn health() -> Response {
    #[derive(Serialize)]
    struct Up {
        status: &'static str,
    }
    answer::json(StatusCode::OK, &Up { status: "ok" })
}

/// Whether requests should be sent here, and why not. Probes have no token, so all are answered.
pub(crate) async fn ready(State(state): State<AppState>, headers: HeaderMap, leader: Leader) -> Response {
    let mut readout = read_out(&state, leader).await;
    if !visitor::may_read(&headers, &state)
        && let Some(leader) = &mut readout.leader
    {
        leader.name = None;
    }
    let status = if readout.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = answer::json(status, &readout);
    if !readout.ready {
        response.headers_mut().insert(RETRY_AFTER, COME_AGAIN);
    }
    response
}

/// The store cannot be queried while its schema is being brought up to date.
pub(crate) async fn migrating() -> Response {
    #[derive(Serialize)]
    struct NotYet {
        ready: bool,
        reasons: [&'static str; 1],
    }
    let readout =
        NotYet { ready: false, reasons: ["store: migrating: its schema is being brought up to date"] };
    let mut response = answer::json(StatusCode::SERVICE_UNAVAILABLE, &readout);
    response.headers_mut().insert(RETRY_AFTER, COME_AGAIN);
    response
}

async fn read_out(state: &AppState, need: Leader) -> Readout {
    let (mut reasons, mut warnings) = (Vec::new(), Vec::new());
    let (reachable, leader) = ask_store(state, need, &mut reasons, &mut warnings).await;
    let readiness = &state.0.readiness;
    let (cluster, github) = (readiness.peer(Peer::Cluster), readiness.peer(Peer::GitHub));
    for (name, peer) in [("cluster", cluster), ("github", github)] {
        if peer.reachable == Some(false) {
            warnings.push(match peer.last_seen {
                Some(seen) => format!("{name}: does not answer; last seen {seen}"),
                None => format!("{name}: does not answer; not seen since this process started"),
            });
        }
    }
    Readout {
        ready: reasons.is_empty(),
        reasons,
        warnings,
        store: StoreReadout { reachable },
        leader,
        leading: readiness.is_leading(),
        cluster,
        github,
    }
}

async fn ask_store(
    state: &AppState,
    need: Leader,
    reasons: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> (bool, Option<LeaderReadout>) {
    // Not through what pages read by: readers that crowd it make no process unfit for deliveries.
    let leader = match state.read(state.0.lease.leader()).await {
        Ok(leader) => leader,
        Err(error) => {
            tracing::warn!(error = error.chain(), "not ready: the store does not answer");
            reasons.push("store: does not answer; the log has the error".to_owned());
            return (false, None);
        }
    };
    let now = state.0.platform.now();
    let leader = leader.filter(|(_, _, until)| *until > now).map(|(name, epoch, until)| LeaderReadout {
        name: Some(name),
        epoch,
        until,
    });
    if leader.is_none() {
        let found = "leader: no replica holds the lease".to_owned();
        match need {
            Leader::Required => reasons.push(found),
            Leader::Reported => warnings.push(found),
        }
    }
    (true, leader)
}

/// The metrics, in the requested text format, for readers who may see pages.
pub(crate) async fn metrics(State(state): State<AppState>, headers: HeaderMap) -> Response {
    if !visitor::may_read(&headers, &state) {
        let fault = Fault::new("the metrics, like the pages, are for authenticated readers")
            .hint("send Authorization: Bearer TOKEN; a scrape configuration has `authorization` for it");
        return visitor::challenged(answer::json(StatusCode::UNAUTHORIZED, &fault));
    }
    if let Some(counted) = &state.0.counted {
        state.0.metrics.take_over(counted.as_ref());
    }
    let form = Exposition::asked(&headers);
    match state.0.metrics.scrape_as(form, read_gauges(&state).await.as_ref()) {
        Ok(text) => {
            let mut response = answer::typed(StatusCode::OK, form.content_type(), text);
            response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
            response
        }
        Err(error) => {
            tracing::error!(error = %error, "the metrics could not be written");
            answer::json(StatusCode::INTERNAL_SERVER_ERROR, &Fault::new("the metrics could not be written"))
        }
    }
}

/// The current values of the gauges: from the scheduler's snapshot, else from the store's counts.
async fn read_gauges(state: &AppState) -> Option<Readings> {
    let policy = state.policy();
    let kept = |error: &PortError| {
        tracing::warn!(error = error.chain(), "the store's gauges keep their last values");
    };
    if let Some(picture) = state.picture(PICTURE_MAX_AGE).await {
        let picture = picture.inspect_err(|error| kept(error)).ok()?;
        return Some(Readings::of_picture(&picture, &policy));
    }
    let usage = state.read(state.0.reports.usage()).await.inspect_err(kept).ok()?;
    Some(Readings::of_usage(&usage, &policy, &state.controls()))
}
