//! Lists by window and page: the query parameters, and the `Link` header that leads through them.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header::LINK};
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use maud::{Markup, html};
use riscv_runner_core::{
    ids::{IdError, Login, PoolName},
    ports::{Page, ReportWindow, RowFilter},
};

use super::visitor::Visitor;
use crate::{answer::Fault, views::midnight};

const DEFAULT_PER_PAGE: u32 = 100;
const MAX_PER_PAGE: u32 = 1000;
/// What a list shows when no window is asked for.
const DEFAULT_DAYS: i64 = 30;
/// Ten years: further back there is nothing, and dates stay in range.
const MAX_DAYS: i64 = 3660;

/// Which part of a list was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Rows created in it.
    pub(crate) window: ReportWindow,
    /// Which of them.
    pub(crate) page: Page,
    /// `start`, `end` and what else was given, to be repeated in links.
    given: Vec<(&'static str, String)>,
}

impl Listing {
    /// Reads `start`, `end`, `page` and `per_page`. Days are UTC, and `end` is the last one shown.
    pub(crate) fn asked(query: &str, now: Timestamp) -> Result<Self, Fault> {
        let mut listing = Self {
            window: window(query, now, DEFAULT_DAYS, None)?,
            page: Page { page: 0, per_page: DEFAULT_PER_PAGE },
            given: Vec::new(),
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "start" => listing.given.push(("start", value.into_owned())),
                "end" => listing.given.push(("end", value.into_owned())),
                "page" => listing.page.page = number("page", &value, 0, u32::MAX / MAX_PER_PAGE)?,
                "per_page" => listing.page.per_page = number("per_page", &value, 1, MAX_PER_PAGE)?,
                _ => {}
            }
        }
        Ok(listing)
    }

    /// Reads `status`, one of `known`, `pool` and `entity`, and repeats them in the links.
    pub(crate) fn filter<S: Copy>(
        &mut self,
        query: &str,
        known: [(&'static str, S); 4],
    ) -> Result<RowFilter<S>, Fault> {
        let mut filter = RowFilter::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let text = value.trim();
            // A form sends what was left empty, too.
            if text.is_empty() {
                continue;
            }
            match name.as_ref() {
                "status" => {
                    let status = known.iter().find(|(name, _)| *name == text);
                    filter.status = Some(status.map(|(_, status)| *status).ok_or_else(|| {
                        let all = known.map(|(name, _)| name).join(", ");
                        Fault::new(format!("{text:?} is none of {all}")).parameter("status")
                    })?);
                    self.given.push(("status", text.to_owned()));
                }
                "pool" => {
                    let wrong = |error: IdError| Fault::new(error.to_string()).parameter("pool");
                    filter.pool = Some(PoolName::new(text).map_err(wrong)?);
                    self.given.push(("pool", text.to_owned()));
                }
                "entity" => {
                    let wrong = |error: IdError| Fault::new(error.to_string()).parameter("entity");
                    filter.entity = Some(Login::new(text).map_err(wrong)?);
                    self.given.push(("entity", text.to_owned()));
                }
                _ => {}
            }
        }
        Ok(filter)
    }

    /// The filter for people, with what it is set to.
    pub(crate) fn filter_form<'a>(
        &self,
        visitor: &Visitor,
        statuses: [&'static str; 4],
        pools: impl Iterator<Item = &'a PoolName>,
    ) -> Markup {
        let given = |name: &str| {
            let found = self.given.iter().find(|(given, _)| *given == name);
            found.map_or("", |(_, value)| value.as_str())
        };
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

    /// Repeats another parameter in the links, where it was given.
    pub(crate) fn repeat<T: ToString>(&mut self, name: &'static str, value: Option<&T>) {
        self.given.extend(value.map(|value| (name, value.to_string())));
    }

    fn last_page(&self, total: u64) -> u64 {
        total.saturating_sub(1) / u64::from(self.page.per_page)
    }

    /// The other pages of the list: name of the relation, and address.
    fn relations(&self, visitor: &Visitor, total: u64) -> Vec<(&'static str, String)> {
        let (current, last) = (u64::from(self.page.page), self.last_page(total));
        let mut relations = Vec::new();
        if current > 0 {
            relations.push(("first", self.address(visitor, 0)));
            relations.push(("prev", self.address(visitor, (current - 1).min(last))));
        }
        if current < last {
            relations.push(("next", self.address(visitor, current + 1)));
            relations.push(("last", self.address(visitor, last)));
        }
        relations
    }

    fn address(&self, visitor: &Visitor, page: u64) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.given);
        query.append_pair("page", &page.to_string());
        query.append_pair("per_page", &self.page.per_page.to_string());
        format!("{}?{}", visitor.address(&visitor.path), query.finish())
    }

    /// Adds the `Link` header to an answer.
    pub(crate) fn link(&self, mut response: Response, visitor: &Visitor, total: u64) -> Response {
        let relations = self.relations(visitor, total);
        let value = relations.iter().map(|(rel, address)| format!("<{address}>; rel=\"{rel}\""));
        let value = value.collect::<Vec<_>>().join(", ");
        if response.status() == StatusCode::OK
            && !value.is_empty()
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            response.headers_mut().insert(LINK, value);
        }
        response
    }

    /// Links through the pages, for people.
    pub(crate) fn navigation(&self, visitor: &Visitor, total: u64) -> Markup {
        let relations = self.relations(visitor, total);
        html! {
            @if !relations.is_empty() {
                nav class="paging" aria-label="Pages of the list" {
                    @for (rel, address) in &relations {
                        a rel=(rel) href=(address) {
                            @match *rel { "first" => "First", "prev" => "Previous", "next" => "Next", _ => "Last" }
                        }
                    }
                    span { "Page " (u64::from(self.page.page) + 1) " of " (self.last_page(total) + 1) }
                }
            }
        }
    }

    /// What the list shows, as a caption; `noun` takes an `s` in the plural.
    pub(crate) fn caption(&self, noun: &str, total: u64) -> Markup {
        let days = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
        let last = self.window.end - 1.second();
        html! {
            (total) " " (noun) @if total != 1 { "s" } " created from " (days(self.window.start)) " to " (days(last)) " (UTC), newest first"
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

fn number(parameter: &'static str, value: &str, min: u32, max: u32) -> Result<u32, Fault> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|number| digits && (min..=max).contains(number)).ok_or_else(|| {
        Fault::new(format!("{value:?} is not a whole number from {min} to {max}")).parameter(parameter)
    })
}
