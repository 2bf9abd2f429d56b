//! What the last day showed: how long jobs waited, and why workers failed.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};
use riscv_runner_core::{
    backoff::age,
    failure::FailureReason,
    ports::{JobRow, Page, PortResult, ReportStore, ReportWindow},
};
use serde::Serialize;

use super::{layout, text, visitor::Visitor};

/// The newest rows are enough for a picture, and a page must not read a day of a large fleet.
const NEWEST: Page = Page { page: 0, per_page: 1000 };

/// What the last day showed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Lately {
    /// Of jobs that found a runner.
    waits: Option<Waits>,
    /// Workers that were reserved, the newest thousand at most.
    workers: usize,
    /// Of these, the ones that failed, by reason.
    failures: BTreeMap<FailureReason, u32>,
}

/// How long jobs waited, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Waits {
    /// How many found a runner, of the newest thousand at most.
    jobs: usize,
    /// Half of them waited no longer.
    p50_seconds: f64,
    /// Nineteen of twenty waited no longer.
    p95_seconds: f64,
}

impl Lately {
    /// Reads the last day.
    pub(crate) async fn read(reports: &dyn ReportStore, now: Timestamp) -> PortResult<Self> {
        // The store's clock may be ahead of ours.
        let window = ReportWindow { start: now - 24.hours(), end: now + 1.hour() };
        let (jobs, _) = reports.jobs(window, NEWEST).await?;
        let (workers, _) = reports.workers(window, NEWEST).await?;
        let mut failures = BTreeMap::new();
        for (reason, _) in workers.iter().filter_map(|row| row.worker.failure.as_ref()) {
            *failures.entry(*reason).or_default() += 1;
        }
        let waited = jobs.iter().filter_map(waited).collect();
        Ok(Self { waits: Waits::of(waited), workers: workers.len(), failures })
    }

    /// For people.
    pub(crate) fn show(&self, visitor: &Visitor) -> Markup {
        html! {
            dl class="facts" {
                dt { "Jobs waited" }
                dd {
                    @match self.waits {
                        Some(waits) => {
                            "half of " (waits.jobs) " at most " (text::seconds(waits.p50_seconds))
                            ", 95 % at most " (text::seconds(waits.p95_seconds))
                        }
                        None => { "no job has found a runner" }
                    }
                }
                dt { "Workers" }
                dd {
                    (self.workers) " reserved, " (self.failures.values().sum::<u32>()) " failed"
                    @if self.workers == NEWEST.per_page as usize { " (of the newest " (self.workers) ")" }
                }
            }
            @if !self.failures.is_empty() { (self.failures(visitor)) }
        }
    }

    fn failures(&self, visitor: &Visitor) -> Markup {
        const COLUMNS: [&str; 3] = ["Reason", "Workers", "Kind"];
        let mut counts: Vec<_> = self.failures.iter().collect();
        counts.sort_by_key(|(reason, count)| (reason.is_routine(), std::cmp::Reverse(**count), **reason));
        let rows = html! {
            @for (reason, count) in counts {
                tr {
                    th scope="row" { (reason) }
                    td class="number" { (count) }
                    td {
                        @if reason.is_routine() { "for want of work" } @else { "failure" }
                    }
                }
            }
        };
        let caption =
            html! { "Failed workers by reason; " a href=(visitor.address("/workers")) { "each of them" } };
        layout::table("Failures", &caption, &COLUMNS, &rows)
    }
}

fn waited(row: &JobRow) -> Option<Duration> {
    let start = row.job.state.start.as_ref()?;
    Some(age(start.at, row.job.facts.created_at))
}

impl Waits {
    fn of(mut waited: Vec<Duration>) -> Option<Self> {
        waited.sort_unstable();
        let jobs = waited.len();
        // The nearest rank: the smallest wait that so many percent do not exceed.
        let percentile = |percent: usize| {
            let rank = (jobs * percent).div_ceil(100).max(1);
            waited.get(rank - 1).map(Duration::as_secs_f64)
        };
        Some(Self { jobs, p50_seconds: percentile(50)?, p95_seconds: percentile(95)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_waits_that_were() {
        let seconds = |range: std::ops::RangeInclusive<u64>| range.map(Duration::from_secs).collect();
        assert_eq!(Waits::of(Vec::new()), None);
        let one = Waits::of(seconds(7..=7)).unwrap();
        assert_eq!((one.p50_seconds, one.p95_seconds), (7.0, 7.0));
        let many = Waits::of(seconds(1..=100)).unwrap();
        assert_eq!((many.jobs, many.p50_seconds, many.p95_seconds), (100, 50.0, 95.0));
    }
}
