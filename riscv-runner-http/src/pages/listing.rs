//! Lists by window and page: rows of the store that were created in some days.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use maud::{Markup, html};
use riscv_runner_core::{
    ids::PoolName,
    ports::{ReportWindow, Total},
};

use super::{paging::Paging, visitor::Visitor};
use crate::{answer::Fault, views::midnight};

/// What a list shows when no window is asked for.
const DEFAULT_DAYS: i64 = 30;
/// Rows before a page are read, too: who wants those behind so many asks for another window.
const MAX_SKIPPED: u64 = 100_000;
/// Ten years: further back there is nothing, and dates stay in range.
const MAX_DAYS: i64 = 3660;

/// Which part of a list was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Rows created in it.
    pub(crate) window: ReportWindow,
    /// The page of these rows.
    pub(crate) paging: Paging,
}

impl Listing {
    /// Reads `start`, `end`, `page` and `per_page`. Days are UTC, and `end` is the last one shown.
    pub(crate) fn asked(query: &str, now: Timestamp) -> Result<Self, Fault> {
        let window = window(query, now, DEFAULT_DAYS, None)?;
        let mut paging = Paging::asked(query)?;
        paging.must_begin_within(MAX_SKIPPED)?;
        paging.repeat_window(query);
        Ok(Self { window, paging })
    }

    /// The filter as HTML, with its current values.
    pub(crate) fn filter_form<'a>(
        &self,
        visitor: &Visitor,
        statuses: [&'static str; 4],
        pools: impl Iterator<Item = &'a PoolName>,
    ) -> Markup {
        let given = |name: &str| self.paging.given(name);
        let choice = |name: &str, value: &str| html! { option value=(value) selected[given(name) == value] { (value) } };
        html! {
            form class="ask filter" method="get" action=(visitor.address(&visitor.path)) {
                @for name in ["start", "end"] {
                    @if !given(name).is_empty() { input type="hidden" name=(name) value=(given(name)); }
                }
                div {
                    label for="status" { "Status" }
                    select id="status" name="status" {
                        option value="" { "any" }
                        @for status in statuses { (choice("status", status)) }
                    }
                }
                div {
                    label for="pool" { "Pool" }
                    select id="pool" name="pool" {
                        option value="" { "any" }
                        @for pool in pools { (choice("pool", pool.as_str())) }
                    }
                }
                div {
                    label for="entity" { "Account" }
                    input id="entity" name="entity" value=(given("entity")) autocomplete="off" spellcheck="false";
                }
                button type="submit" { "Filter" }
            }
        }
    }

    /// What the list shows, as a caption; `noun` takes an `s` in the plural.
    pub(crate) fn caption(&self, noun: &str, total: Total) -> Markup {
        let (rows, or_more) = match total {
            Total::Exactly(rows) => (rows, ""),
            Total::AtLeast(rows) => (rows, " or more"),
        };
        let days = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
        let last = self.window.end - 1.second();
        html! {
            (rows) (or_more) " " (noun) @if rows != 1 { "s" } " created from " (days(self.window.start)) " to " (days(last)) " (UTC), newest first"
        }
    }
}

/// Reads `start` and `end`: by default so many days up to now, and never more than `most`.
pub(crate) fn window(
    query: &str,
    now: Timestamp,
    default_days: i64,
    most: Option<i64>,
) -> Result<ReportWindow, Fault> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let (mut start, mut end) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "start" => start = Some(day("start", &value, today)?),
            "end" => end = Some(day("end", &value, today)?),
            _ => {}
        }
    }
    // The store's clock may be ahead of ours: without `end`, what it dated tomorrow is shown too.
    let last = end.unwrap_or_else(|| today.saturating_add(1.day()));
    let first = start.unwrap_or_else(|| end.unwrap_or(today).saturating_sub(default_days.days()));
    if last < first {
        return Err(Fault::new(format!("{first} is after the end, {last}")).parameter("start"));
    }
    if let Some(most) = most.filter(|most| first.saturating_add(most.days()) < last) {
        let told = format!("{first} is more than {most} days before the end, {last}");
        return Err(Fault::new(told).parameter("start").hint("ask for the rest with an earlier end"));
    }
    Ok(ReportWindow { start: midnight(first), end: midnight(last.saturating_add(1.day())) })
}

/// The Monday of the week in which a time lies, in UTC.
pub(crate) fn monday(at: Timestamp) -> Date {
    let day = at.to_zoned(TimeZone::UTC).date();
    day.saturating_sub(i64::from(day.weekday().since(Weekday::Monday)).days())
}

fn day(parameter: &'static str, value: &str, today: Date) -> Result<Date, Fault> {
    let wrong = || {
        Fault::new(format!("{value:?} is neither a date nor a number of days ago"))
            .parameter(parameter)
            .hint("write YYYY-MM-DD, or -Nd for N days ago")
    };
    let ago = value.strip_prefix('-').and_then(|rest| rest.strip_suffix('d'));
    if let Some(days) = ago {
        let all_digits = !days.is_empty() && days.bytes().all(|b| b.is_ascii_digit());
        let days: i64 = days.parse().ok().filter(|_| all_digits).ok_or_else(wrong)?;
        if days > MAX_DAYS {
            return Err(Fault::new(format!("must not be more than {MAX_DAYS} days ago")).parameter(parameter));
        }
        return Ok(today.saturating_sub(days.days()));
    }
    let shaped = value.len() == 10 && value.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date: Date = value.parse().ok().filter(|_| shaped).ok_or_else(wrong)?;
    if !(1970..=9000).contains(&date.year()) {
        return Err(wrong());
    }
    Ok(date)
}
