//! `GET /`: what waits and runs now, whether the service is well, and the way to the other pages.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{
    controls::{Controls, Note},
    ids::{PoolName, ReplicaName},
    ports::UsageRow,
};
use serde::Serialize;

use super::{layout, text, usage::Totals, visitor::Visitor};
use crate::{
    readiness::{Peer, PeerState},
    state::AppState,
};

#[derive(Debug, Serialize)]
struct OverviewJson {
    now: Timestamp,
    totals: Totals,
    pools: BTreeMap<PoolName, Totals>,
    leader: Option<ReplicaName>,
    cluster: PeerState,
    github: PeerState,
    everything_paused: Option<Note>,
    drained_pools: BTreeMap<PoolName, Note>,
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let read = async { Ok((state.0.reports.usage().await?, state.0.lease.leader().await?)) };
    let (usage, leader) = match state.read(read).await {
        Ok(read) => read,
        Err(error) => return visitor.unreadable(&error),
    };
    let now = state.0.platform.now();
    let leader = leader.filter(|(_, _, until)| *until > now).map(|(name, _, _)| name);
    let readiness = &state.0.readiness;
    let Controls { everything_paused, drained_pools, .. } = state.controls().as_ref().clone();
    let overview = OverviewJson {
        now,
        totals: Totals::of(&usage),
        pools: by_pool(&usage, state.policy().pools.keys()),
        leader,
        cluster: readiness.peer(Peer::Cluster),
        github: readiness.peer(Peer::GitHub),
        everything_paused,
        drained_pools,
    };
    if visitor.is_html() {
        visitor.html("Overview", &page(&visitor, &overview))
    } else {
        visitor.json(&overview)
    }
}

fn by_pool<'a>(
    usage: &'a [UsageRow],
    configured: impl Iterator<Item = &'a PoolName>,
) -> BTreeMap<PoolName, Totals> {
    let names = configured.chain(usage.iter().map(|row| &row.k8s_pool));
    names.map(|pool| (pool.clone(), Totals::of(usage.iter().filter(|row| row.k8s_pool == *pool)))).collect()
}

fn page(visitor: &Visitor, overview: &OverviewJson) -> Markup {
    let Totals { jobs_pending, jobs_running, workers_pending, workers_running } = overview.totals;
    html! {
        @if let Some(note) = &overview.everything_paused {
            p role="status" class="notice" { "Everything is paused: " (held(note)) }
        }
        dl class="figures" {
            (figure(visitor, "Jobs waiting", jobs_pending, "/jobs"))
            (figure(visitor, "Jobs running", jobs_running, "/jobs"))
            (figure(visitor, "Workers starting", workers_pending, "/workers"))
            (figure(visitor, "Workers running", workers_running, "/workers"))
        }
        h2 { "Pools" }
        (pools(overview))
        h2 { "Service" }
        dl class="facts" {
            dt { "Leader" }
            dd { (text::or_nothing(overview.leader.as_ref().map(AsRef::as_ref))) }
            dt { "Cluster" } dd { (peer(overview.cluster)) }
            dt { "GitHub" } dd { (peer(overview.github)) }
            dt { "Time" } dd { (text::time(Some(overview.now))) " UTC" }
        }
    }
}

fn figure(visitor: &Visitor, name: &str, count: u64, path: &str) -> Markup {
    html! { div { dt { a href=(visitor.address(path)) { (name) } } dd { (count) } } }
}

fn pools(overview: &OverviewJson) -> Markup {
    const COLUMNS: [&str; 6] =
        ["Pool", "Jobs waiting", "Jobs running", "Workers starting", "Workers running", "Note"];
    let rows = html! {
        @for (pool, totals) in &overview.pools {
            tr {
                th scope="row" { (pool) }
                td class="number" { (totals.jobs_pending) }
                td class="number" { (totals.jobs_running) }
                td class="number" { (totals.workers_pending) }
                td class="number" { (totals.workers_running) }
                td {
                    @match overview.drained_pools.get(pool) {
                        Some(note) => { "drained: " (held(note)) }
                        None => { (text::nothing()) }
                    }
                }
            }
        }
    };
    layout::table("Pools", &html! { "Demand and supply by pool" }, &COLUMNS, &rows)
}

fn held(note: &Note) -> Markup {
    html! { (note.reason) " (" (note.actor) ", " (text::time(Some(note.since))) " UTC)" }
}

fn peer(state: PeerState) -> Markup {
    html! {
        @match state.reachable {
            Some(true) => { "answers" }
            Some(false) => { strong { "does not answer" } }
            None => { "not asked by this process" }
        }
        @if let Some(seen) = state.last_seen { ", last seen " (text::time(Some(seen))) " UTC" }
    }
}
