//! Pages of a list and its filters: the query parameters, and the `Link` header that leads through them.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header::LINK};
use jiff::Timestamp;
use maud::{Markup, html};
use riscv_runner_core::{
    ids::{IdError, Login, PoolName},
    ports::{Page, RowFilter, Total},
};

use super::{listing::window, visitor::Visitor};
use crate::answer::Fault;

const DEFAULT_PER_PAGE: u32 = 100;
const MAX_PER_PAGE: u32 = 1000;
/// Any window will do where only its spelling is looked at.
const ANY_DAYS: i64 = 1;

/// Which page of a list was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paging {
    /// The page asked for.
    pub(crate) page: Page,
    /// What else was given, to be repeated in links.
    given: Vec<(&'static str, String)>,
}

impl Paging {
    /// Reads `page` and `per_page`.
    pub(crate) fn asked(query: &str) -> Result<Self, Fault> {
        let mut page = Page { page: 0, per_page: DEFAULT_PER_PAGE };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "page" => page.page = number("page", &value, 0, u32::MAX / MAX_PER_PAGE)?,
                "per_page" => page.per_page = number("per_page", &value, 1, MAX_PER_PAGE)?,
                _ => {}
            }
        }
        Ok(Self { page, given: Vec::new() })
    }

    /// The same of a list of what is now, where `start` and `end` mean nothing; a mistyped one is a fault
    /// all the same.
    pub(crate) fn asked_now(query: &str, now: Timestamp) -> Result<Self, Fault> {
        window(query, now, ANY_DAYS, None)?;
        Self::asked(query)
    }

    /// Refuses a page that begins behind so many rows.
    pub(crate) fn must_begin_within(&self, rows: u64) -> Result<(), Fault> {
        if self.page.skipped() <= rows {
            return Ok(());
        }
        let told = format!("page {} of {} rows begins after row {rows}", self.page.page, self.page.per_page);
        Err(Fault::new(told).parameter("page").hint("ask for an earlier end: the newest rows come first"))
    }

    /// Repeats `start` and `end` in the links.
    pub(crate) fn repeat_window(&mut self, query: &str) {
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "start" => self.given.push(("start", value.into_owned())),
                "end" => self.given.push(("end", value.into_owned())),
                _ => {}
            }
        }
    }

    /// Reads `status`, one of `known`, or what is called so here, `pool` and `entity`, and repeats them in
    /// the links. Without known ones there is no status.
    pub(crate) fn filter<S: Copy>(
        &mut self,
        query: &str,
        status: &'static str,
        known: &[(&'static str, S)],
    ) -> Result<RowFilter<S>, Fault> {
        let mut filter = RowFilter::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let text = value.trim();
            // A form sends what was left empty, too.
            if text.is_empty() {
                continue;
            }
            match name.as_ref() {
                name if name == status && !known.is_empty() => {
                    let found = known.iter().find(|(name, _)| *name == text);
                    filter.status = Some(found.map(|(_, status)| *status).ok_or_else(|| {
                        let all: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                        Fault::new(format!("{text:?} is not one of {}", all.join(", "))).parameter(status)
                    })?);
                    self.given.push((status, text.to_owned()));
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

    /// What a parameter was set to; empty where it was not.
    pub(crate) fn given(&self, name: &str) -> &str {
        let found = self.given.iter().find(|(given, _)| *given == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Repeats another parameter in the links, where it was given.
    pub(crate) fn repeat<T: ToString>(&mut self, name: &'static str, value: Option<&T>) {
        self.given.extend(value.map(|value| (name, value.to_string())));
    }

    /// A filter on a page that reloads itself, where a form would lose what is typed: a link for each value.
    /// Nothing where there is nothing to choose.
    pub(crate) fn choices(&self, visitor: &Visitor, name: &'static str, values: &[&str]) -> Markup {
        let is = |value: &str| (self.given(name) == value).then_some("true");
        html! {
            @if values.len() > 1 || !self.given(name).is_empty() {
                nav class="paging choices" aria-label={ "Filter by " (name) } {
                    span class="quiet" { "By " (name) ":" }
                    a href=(self.chosen(visitor, name, "")) aria-current=[is("")] { "any" }
                    @for value in values {
                        a href=(self.chosen(visitor, name, value)) aria-current=[is(value)] {
                            (super::text::words(value))
                        }
                    }
                }
            }
        }
    }

    /// The first page with another value of one filter.
    fn chosen(&self, visitor: &Visitor, name: &'static str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.given.iter().filter(|(given, _)| *given != name));
        if !value.is_empty() {
            query.append_pair(name, value);
        }
        if self.page.per_page != DEFAULT_PER_PAGE {
            query.append_pair("per_page", &self.page.per_page.to_string());
        }
        let (path, query) = (visitor.address(&visitor.path), query.finish());
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }

    fn last_page(&self, total: u64) -> u64 {
        total.saturating_sub(1) / u64::from(self.page.per_page)
    }

    /// The other pages of the list: name of the relation, and address. The last is given where it is known.
    fn relations(&self, visitor: &Visitor, total: Total) -> Vec<(&'static str, String)> {
        let (current, last) = (u64::from(self.page.page), self.last_page(total.counted()));
        let mut relations = Vec::new();
        if current > 0 {
            relations.push(("first", self.address(visitor, 0)));
            relations.push(("prev", self.address(visitor, (current - 1).min(last))));
        }
        if current < last {
            relations.push(("next", self.address(visitor, current + 1)));
            if matches!(total, Total::Exactly(_)) {
                relations.push(("last", self.address(visitor, last)));
            }
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
    pub(crate) fn link(
        &self,
        mut response: Response,
        visitor: &Visitor,
        total: impl Into<Total>,
    ) -> Response {
        let relations = self.relations(visitor, total.into());
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

    /// Links through the pages, as HTML.
    pub(crate) fn navigation(&self, visitor: &Visitor, total: impl Into<Total>) -> Markup {
        let total = total.into();
        let relations = self.relations(visitor, total);
        html! {
            @if !relations.is_empty() {
                nav class="paging" aria-label="Pages of the list" {
                    @for (rel, address) in &relations {
                        a rel=(rel) href=(address) {
                            @match *rel { "first" => "First", "prev" => "Previous", "next" => "Next", _ => "Last" }
                        }
                    }
                    span {
                        "Page " (u64::from(self.page.page) + 1) " of " (self.last_page(total.counted()) + 1)
                        @if matches!(total, Total::AtLeast(_)) { " or more" }
                    }
                }
            }
        }
    }
}

fn number(parameter: &'static str, value: &str, min: u32, max: u32) -> Result<u32, Fault> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|number| digits && (min..=max).contains(number)).ok_or_else(|| {
        Fault::new(format!("{value:?} is not a whole number from {min} to {max}")).parameter(parameter)
    })
}
