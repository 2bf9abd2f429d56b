//! `GET /`: what waits and runs now, what the boards do, whether the service is well, and the way to
//! the other pages.

mod pools;
mod service;

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{
    controls::{Controls, Note},
    ids::{PoolName, ReplicaName},
    ports::{PortError, UsageRow},
};
use serde::Serialize;

use self::pools::PoolJson;
use super::{boards, lately::Lately, text, usage::Totals, visitor::Visitor};
use crate::{
    cached::Shared,
    picture::{BoardState, Picture},
    readiness::{Peer, PeerState},
    state::{AppState, PICTURE_MAX_AGE},
};

#[derive(Debug, Serialize)]
struct OverviewJson<'a> {
    now: Timestamp,
    totals: Totals,
    pools: BTreeMap<PoolName, PoolJson>,
    /// How many boards are in each state; `null` where they are not seen.
    boards: Option<BTreeMap<BoardState, usize>>,
    /// What the last day showed.
    lately: &'a Lately,
    leader: Option<ReplicaName>,
    cluster: PeerState,
    github: PeerState,
    everything_paused: Option<Note>,
    drained_pools: BTreeMap<PoolName, Note>,
}

/// Everything that the page is made from.
struct Read {
    usage: Vec<UsageRow>,
    leader: Option<(ReplicaName, riscv_runner_core::ids::Epoch, Timestamp)>,
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

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let Read { usage, leader, lately, picture } = match read(&state).await {
        Ok(read) => read,
        Err(error) => return visitor.unreadable(&error),
    };
    let now = state.0.platform.now();
    let readiness = &state.0.readiness;
    let picture = picture.as_deref();
    let Controls { everything_paused, drained_pools, .. } = state.controls().as_ref().clone();
    let overview = OverviewJson {
        now,
        totals: Totals::of(&usage),
        pools: pools::by_name(&usage, state.policy().pools.keys(), picture),
        boards: picture.and_then(|picture| picture.boards.as_ref()).map(|boards| {
            let mut counts = BTreeMap::new();
            for board in boards {
                *counts.entry(board.state).or_default() += 1;
            }
            counts
        }),
        lately: &lately,
        leader: leader.filter(|(_, _, until)| *until > now).map(|(name, _, _)| name),
        cluster: readiness.peer(Peer::Cluster),
        github: readiness.peer(Peer::GitHub),
        everything_paused,
        drained_pools,
    };
    if visitor.is_html() {
        visitor.live("Overview", &page(&visitor, &overview, picture))
    } else {
        visitor.json(&overview)
    }
}

fn page(visitor: &Visitor, overview: &OverviewJson<'_>, picture: Option<&Picture>) -> Markup {
    let Totals { jobs_pending, jobs_running, workers_pending, workers_running } = overview.totals;
    let waiting = if picture.is_some() { "/queue" } else { "/jobs" };
    html! {
        @if let Some(note) = &overview.everything_paused {
            p role="status" class="notice" { "Everything is paused: " (held(note)) }
        }
        dl class="figures" {
            (figure(visitor, "Jobs waiting", jobs_pending, waiting))
            (figure(visitor, "Jobs running", jobs_running, "/jobs"))
            (figure(visitor, "Workers starting", workers_pending, "/workers"))
            (figure(visitor, "Workers running", workers_running, "/workers"))
        }
        h2 { "Pools" }
        (pools::table(overview, picture.is_some()))
        @if let Some(picture) = picture {
            h2 { "Boards" }
            @match &picture.boards {
                Some(boards) => { (boards::grid(visitor, boards)) }
                None => { (boards::unobserved()) }
            }
        }
        h2 { "The last 24 hours" }
        (overview.lately.show(visitor))
        h2 { "Service" }
        (service::facts(overview))
    }
}

fn figure(visitor: &Visitor, name: &str, count: u64, path: &str) -> Markup {
    html! { div { dt { a href=(visitor.address(path)) { (name) } } dd { (count) } } }
}

fn held(note: &Note) -> Markup {
    html! { bdi { (note.reason) } " (" bdi { (note.actor) } ", " (text::time(Some(note.since))) " UTC)" }
}
