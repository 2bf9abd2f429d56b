//! What happened in the last day: how long jobs waited, how many ended, and why workers failed.

use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};
use riscv_runner_core::ports::{Lately, ReportWindow};

use super::{chart, layout, text, visitor::Visitor};

const HOURS: u32 = 24;

/// The day before `now`, and a little more: the store's clock may be ahead of ours.
pub(crate) fn last_day(now: Timestamp) -> ReportWindow {
    ReportWindow { start: now - i64::from(HOURS).hours(), end: now + 1.hour() }
}

/// As HTML.
pub(super) fn show(lately: &Lately, visitor: &Visitor) -> Markup {
    let failed: u64 = lately.failures.values().sum();
    html! {
        dl class="facts" {
            dt { "Jobs waited" }
            dd {
                @match lately.waits {
                    Some(waits) => {
                        "half of " (waits.jobs) " at most " (text::seconds(waits.p50.as_secs_f64()))
                        " (p50), 95 % at most " (text::seconds(waits.p95.as_secs_f64())) " (p95)"
                    }
                    None => { "no job has found a runner" }
                }
            }
            dt { "Jobs ended" } dd { (throughput(lately)) }
            dt { "Workers" } dd { (lately.workers) " reserved, " (failed) " failed" }
        }
        @if !lately.failures.is_empty() { (failures(lately, visitor)) }
    }
}

/// How many jobs ended, in all and hour by hour.
fn throughput(lately: &Lately) -> Markup {
    let hours: Vec<u64> =
        (0..HOURS).map(|hour| lately.ended_by_hour.get(&hour).copied().unwrap_or(0)).collect();
    // What the store dated ahead of us belongs to the last hour.
    let ended: u64 = lately.ended_by_hour.values().sum();
    let most = hours.iter().copied().max().unwrap_or(0);
    let description = format!("{ended} jobs in 24 hours, {most} in the busiest hour");
    html! {
        (ended)
        @if ended > 0 {
            span class="quiet" { ", " (most) " in the busiest hour" }
            (chart::hours("throughput", "Jobs that ended, by hour, up to now", &description, &hours))
        }
    }
}

fn failures(lately: &Lately, visitor: &Visitor) -> Markup {
    const COLUMNS: [&str; 3] = ["Reason", "Workers", "Kind"];
    let mut counts: Vec<_> = lately.failures.iter().collect();
    counts.sort_by_key(|(reason, count)| (reason.is_routine(), std::cmp::Reverse(**count), **reason));
    let rows = html! {
        @for (reason, count) in counts {
            tr {
                th scope="row" { (text::words(reason.as_str())) }
                td class="number" { (count) }
                td {
                    @if reason.is_routine() { "not needed" } @else { "failure" }
                }
            }
        }
    };
    let caption =
        html! { "Failed workers by reason; " a href=(visitor.address("/workers")) { "each of them" } };
    layout::table("Failures", &caption, &COLUMNS, &rows)
}
