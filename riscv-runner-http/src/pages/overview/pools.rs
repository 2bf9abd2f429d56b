//! The overview's table of pools: demand, supply, how long the oldest waits, and why.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{ids::PoolName, ports::UsageRow};
use serde::Serialize;

use super::{OverviewJson, held};
use crate::{
    pages::{layout, text, usage::Totals},
    picture::{Picture, SlotState},
};

/// A pool, as far as this process knows it.
#[derive(Debug, Serialize)]
pub(super) struct PoolJson {
    #[serde(flatten)]
    totals: Totals,
    /// When the oldest waiting job was created; only where the queue is seen.
    oldest_created_at: Option<Timestamp>,
    /// How many jobs wait for each reason; only where the queue is seen.
    reasons: Option<BTreeMap<&'static str, u32>>,
    /// Slots by what they do; only where the boards are seen.
    slots: Option<BTreeMap<SlotState, u32>>,
}

/// Every pool that is configured or in use.
pub(super) fn by_name<'a>(
    usage: &'a [UsageRow],
    configured: impl Iterator<Item = &'a PoolName>,
    picture: Option<&Picture>,
) -> BTreeMap<PoolName, PoolJson> {
    let names = configured.chain(usage.iter().map(|row| &row.k8s_pool));
    let pool = |name: &PoolName| {
        let queue = picture.and_then(|picture| picture.pools.get(name));
        let slots = picture.and_then(|picture| picture.slots.as_ref()).and_then(|slots| slots.get(name));
        PoolJson {
            totals: Totals::of(usage.iter().filter(|row| row.k8s_pool == *name)),
            oldest_created_at: queue.and_then(|queue| queue.oldest),
            reasons: queue.map(|queue| queue.reasons.clone()),
            slots: slots.cloned(),
        }
    };
    names.map(|name| (name.clone(), pool(name))).collect()
}

/// For people; without `seen` there is nothing to say of ages, reasons and slots.
pub(super) fn table(overview: &OverviewJson<'_>, seen: bool) -> Markup {
    const COUNTED: [&str; 6] =
        ["Pool", "Jobs waiting", "Jobs running", "Workers starting", "Workers running", "Note"];
    const SEEN: [&str; 9] = [
        "Pool",
        "Jobs waiting",
        "Oldest",
        "Why they wait",
        "Jobs running",
        "Workers starting",
        "Workers running",
        "Slots free",
        "Note",
    ];
    let rows = html! { @for (name, pool) in &overview.pools { (row(name, pool, overview, seen)) } };
    let columns: &[&str] = if seen { &SEEN } else { &COUNTED };
    layout::table("Pools", &html! { "Demand and supply by pool" }, columns, &rows)
}

fn row(name: &PoolName, pool: &PoolJson, overview: &OverviewJson<'_>, seen: bool) -> Markup {
    let totals = pool.totals;
    html! {
        tr {
            th scope="row" { (name) }
            td class="number" { (totals.jobs_pending) }
            @if seen {
                td class="age" { (text::or_nothing(pool.oldest_created_at.map(|at| text::span(at, overview.now)).as_deref())) }
                td { (reasons(pool)) }
            }
            td class="number" { (totals.jobs_running) }
            td class="number" { (totals.workers_pending) }
            td class="number" { (totals.workers_running) }
            @if seen { td class="number" { (free(pool)) } }
            td {
                @match overview.drained_pools.get(name) {
                    Some(note) => { "drained: " (held(note)) }
                    None => { (text::nothing()) }
                }
            }
        }
    }
}

fn reasons(pool: &PoolJson) -> Markup {
    let mut reasons: Vec<_> = pool.reasons.iter().flatten().collect();
    reasons.sort_by_key(|(name, count)| (Reverse(**count), **name));
    html! {
        @if reasons.is_empty() { (text::nothing()) }
        ul class="reasons short" { @for (name, count) in reasons { li { (count) " × " (text::words(name)) } } }
    }
}

fn free(pool: &PoolJson) -> Markup {
    let free = pool.slots.as_ref().and_then(|slots| slots.get(&SlotState::Free));
    html! {
        @match free {
            Some(free) => { (free) }
            None => { (text::nothing()) }
        }
    }
}
