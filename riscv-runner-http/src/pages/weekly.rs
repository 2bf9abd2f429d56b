//! `/stats/weekly-usage`: how long each account had boards, week by week.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use axum::{extract::State, response::Response};
use http::StatusCode;
use jiff::{Timestamp, ToSpan, civil::Date};
use maud::{Markup, html};
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, Login},
    ports::{Page, ReportWindow, WeekRow},
};
use serde::Serialize;

use super::{
    chart::{self, Bar, grouped},
    layout, listing,
    paging::Paging,
    visitor::Visitor,
};
use crate::{state::AppState, views::Part};

/// What is shown when no window is asked for: twelve weeks and the current one.
const DEFAULT_DAYS: i64 = 7 * 12;
/// The longest window: two years; a wider chart tells nothing.
const MAX_WEEKS: i64 = 106;
/// The last series of the chart is everybody else.
const NAMED: usize = chart::SERIES - 1;

#[derive(Debug, Serialize)]
struct WeeklyJson {
    start: Timestamp,
    end: Timestamp,
    /// What is counted: from reservation to end, those that still live until `as_of`.
    unit: &'static str,
    weeks: Vec<WeekJson>,
    /// Which of the accounts these are, also in the weeks; every sum is over all.
    #[serde(flatten)]
    part: Part,
    totals: Vec<AccountJson>,
    minutes: f64,
    as_of: Timestamp,
}

#[derive(Debug, Serialize)]
struct WeekJson {
    /// The Monday with which it begins, in UTC.
    week: Date,
    minutes: f64,
    accounts: Vec<AccountJson>,
}

#[derive(Debug, Clone, Serialize)]
struct AccountJson {
    entity_id: EntityId,
    entity_name: Login,
    entity_type: EntityKind,
    workers: u64,
    minutes: f64,
    #[serde(skip)]
    seconds: u64,
}

pub(super) async fn show(State(state): State<AppState>, visitor: Visitor) -> Response {
    let now = state.0.platform.now();
    let window = match listing::window(&visitor.query, now, DEFAULT_DAYS, Some(MAX_WEEKS * 7)) {
        Ok(window) => window,
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let paging = match Paging::asked(&visitor.query) {
        Ok(mut paging) => {
            paging.repeat_window(&visitor.query);
            paging
        }
        Err(fault) => return visitor.fault(StatusCode::BAD_REQUEST, &fault),
    };
    let rows = match state.read_in_turn(visitor.client, state.0.reports.weekly_usage(window, now)).await {
        Ok(rows) => rows,
        Err(error) => return visitor.unreadable(&error),
    };
    let weekly = WeeklyJson::of(&rows, window, now);
    let total = weekly.part.total_count;
    let response = if visitor.is_html() {
        visitor.html("Weekly usage", &page(&visitor, &weekly, &paging))
    } else {
        visitor.json(&weekly.paged(paging.page))
    };
    paging.link(response, &visitor, total)
}

/// Minutes to a tenth: seconds are more than anybody wants to add up.
fn minutes(seconds: u64) -> f64 {
    // Far below the 2^53 that an f64 holds exactly.
    (seconds as f64 / 6.0).round() / 10.0
}

impl AccountJson {
    fn of(row: &WeekRow) -> Self {
        Self {
            entity_id: row.entity_id,
            entity_name: row.entity_name.clone(),
            entity_type: row.entity_type,
            workers: row.workers,
            minutes: minutes(row.seconds),
            seconds: row.seconds,
        }
    }
}

impl WeeklyJson {
    fn of(rows: &[WeekRow], window: ReportWindow, now: Timestamp) -> Self {
        let mut weeks: BTreeMap<Date, Vec<AccountJson>> =
            mondays(window, now).into_iter().map(|monday| (monday, Vec::new())).collect();
        let mut totals: BTreeMap<EntityId, AccountJson> = BTreeMap::new();
        for row in rows {
            weeks.entry(row.week).or_default().push(AccountJson::of(row));
            let total = totals.entry(row.entity_id).or_insert_with(|| AccountJson {
                workers: 0,
                seconds: 0,
                ..AccountJson::of(row)
            });
            // Rows come by week, so the last name is the latest.
            total.entity_name = row.entity_name.clone();
            total.workers += row.workers;
            total.seconds += row.seconds;
            total.minutes = minutes(total.seconds);
        }
        let mut totals: Vec<_> = totals.into_values().collect();
        totals.sort_by_key(|total| (Reverse(total.seconds), total.entity_id));
        let week = |(week, accounts): (Date, Vec<AccountJson>)| WeekJson {
            week,
            minutes: minutes(accounts.iter().map(|account| account.seconds).sum()),
            accounts,
        };
        Self {
            start: window.start,
            end: window.end,
            unit: "minutes between a worker's reservation and its end",
            weeks: weeks.into_iter().map(week).collect(),
            minutes: minutes(totals.iter().map(|total| total.seconds).sum()),
            part: Part::whole(totals.len()),
            totals,
            as_of: now,
        }
    }

    /// The accounts of one page.
    fn paged(mut self, page: Page) -> Self {
        (self.part, self.totals) = Part::cut(self.totals, Some(page));
        let shown: BTreeSet<_> = self.totals.iter().map(|total| total.entity_id).collect();
        for week in &mut self.weeks {
            week.accounts.retain(|account| shown.contains(&account.entity_id));
        }
        self
    }
}

/// Every week of the window that has begun, those without any worker included.
fn mondays(window: ReportWindow, now: Timestamp) -> BTreeSet<Date> {
    let mut mondays = BTreeSet::new();
    let mut week = listing::monday(window.start);
    let last = listing::monday((window.end - 1.second()).min(now));
    while week <= last {
        mondays.insert(week);
        week = week.saturating_add(7.days());
    }
    mondays
}

fn page(visitor: &Visitor, weekly: &WeeklyJson, paging: &Paging) -> Markup {
    let rows = Part::cut(weekly.totals.iter().collect(), Some(paging.page)).1;
    let json = format!("/stats/weekly-usage.json{}", visitor.query_suffix());
    html! {
        p {
            (grouped(weekly.minutes.round())) " minutes of boards for "
            (weekly.totals.len()) @if weekly.totals.len() == 1 { " account" } @else { " accounts" }
            " in " (weekly.weeks.len()) @if weekly.weeks.len() == 1 { " week" } @else { " weeks" }
            "; a worker counts from its reservation to its end, or until now if it is still live."
        }
        @if weekly.totals.is_empty() {
            p { "There were no workers in these weeks." }
        } @else {
            div class="scroll plain" role="region" aria-label="Chart" tabindex="0" { (drawn(weekly)) }
            (legend(weekly))
            (table(weekly, &rows))
            (paging.navigation(visitor, weekly.part.total_count))
        }
        p class="quiet" {
            "Weeks begin on Monday, UTC. Other weeks: "
            code { "?start=YYYY-MM-DD&end=YYYY-MM-DD" } " or " code { "?start=-Nd" } " · "
            a href=(visitor.address(&json)) { "This as JSON" }
        }
    }
}

/// The place of an account in the chart: the largest have one of their own.
fn series(weekly: &WeeklyJson, account: EntityId) -> usize {
    let place = weekly.totals.iter().position(|total| total.entity_id == account);
    if weekly.totals.len() <= chart::SERIES {
        return place.unwrap_or(NAMED);
    }
    place.unwrap_or(NAMED).min(NAMED)
}

fn drawn(weekly: &WeeklyJson) -> Markup {
    let bar = |week: &WeekJson| {
        let mut by_series: BTreeMap<usize, u64> = BTreeMap::new();
        for account in &week.accounts {
            *by_series.entry(series(weekly, account.entity_id)).or_default() += account.seconds;
        }
        let part = |(series, seconds): (usize, u64)| {
            let what = format!(
                "{}, week of {}: {} minutes",
                series_name(weekly, series),
                week.week,
                grouped(minutes(seconds).round())
            );
            (series, seconds.div_ceil(60), what)
        };
        Bar {
            name: week.week.strftime("%m-%d").to_string(),
            parts: by_series.into_iter().map(part).collect(),
        }
    };
    let bars: Vec<_> = weekly.weeks.iter().map(bar).collect();
    let busiest = weekly.weeks.iter().max_by(|a, b| a.minutes.total_cmp(&b.minutes));
    let description = busiest.map_or_else(String::new, |week| {
        let most = weekly.totals.first().map_or("nobody", |total| total.entity_name.as_str());
        format!(
            "{} minutes in all, most of them for {most}; the busiest week began on {} with {} minutes. \
             The table below has every figure.",
            grouped(weekly.minutes.round()),
            week.week,
            grouped(week.minutes.round())
        )
    });
    chart::stacked("weekly", "Minutes of boards by week and account", &description, "minutes", &bars)
}

fn series_name(weekly: &WeeklyJson, series: usize) -> String {
    if series == NAMED && weekly.totals.len() > chart::SERIES {
        return format!("{} others", weekly.totals.len() - NAMED);
    }
    weekly.totals.get(series).map_or_else(|| "others".to_owned(), |total| total.entity_name.to_string())
}

fn legend(weekly: &WeeklyJson) -> Markup {
    html! {
        ul class="legend" aria-label="Colours of the chart" {
            @for series in 0..weekly.totals.len().min(chart::SERIES) {
                li {
                    svg class="swatch" width="12" height="12" aria-hidden="true" {
                        rect class={ "series-" (series) } width="12" height="12" {}
                    }
                    (series_name(weekly, series))
                }
            }
        }
    }
}

fn table(weekly: &WeeklyJson, totals: &[&AccountJson]) -> Markup {
    let mut columns = vec!["Account".to_owned(), "Total".to_owned(), "Workers".to_owned()];
    columns.extend(weekly.weeks.iter().rev().map(|week| week.week.to_string()));
    let columns: Vec<_> = columns.iter().map(String::as_str).collect();
    let of_week = |week: &WeekJson, account| {
        week.accounts.iter().find(|found| found.entity_id == account).map(|found| found.minutes)
    };
    let rows = html! {
        @for total in totals {
            tr {
                th scope="row" { (total.entity_name) }
                td class="number total" { (figure(Some(total.minutes))) }
                td class="number" { (grouped(total.workers)) }
                @for week in weekly.weeks.iter().rev() {
                    td class="number" { (figure(of_week(week, total.entity_id))) }
                }
            }
        }
        tr class="total" {
            th scope="row" { "Total" }
            td class="number" { (figure(Some(weekly.minutes))) }
            td class="number" { (grouped(weekly.totals.iter().map(|total| total.workers).sum::<u64>())) }
            @for week in weekly.weeks.iter().rev() { td class="number" { (figure(Some(week.minutes))) } }
        }
    };
    let caption = html! { "Minutes by account, largest first; the latest week is on the left" };
    layout::table("Minutes by account and week", &caption, &columns, &rows)
}

fn figure(minutes: Option<f64>) -> Markup {
    html! {
        @match minutes {
            Some(minutes) if minutes > 0.0 && minutes < 1.0 => { "< 1" }
            Some(minutes) => { (grouped(minutes.round())) }
            None => { (super::text::nothing()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::views::midnight;

    fn row(week: Date, account: i64, seconds: u64) -> WeekRow {
        WeekRow {
            week,
            entity_id: EntityId::new(account).unwrap(),
            entity_name: Login::new(format!("account-{account}")).unwrap(),
            entity_type: EntityKind::Organization,
            workers: 2,
            seconds,
        }
    }

    #[test]
    fn weeks_without_workers_are_shown_and_many_accounts_share_the_last_colour() {
        let (first, third) = (date(2026, 6, 1), date(2026, 6, 15));
        let mut rows: Vec<_> = (1..=10).map(|n| row(first, n, 60 * n.unsigned_abs())).collect();
        rows.push(row(third, 1, 6000));
        let at = |day: Date| midnight(day);
        let window = ReportWindow { start: at(first), end: at(date(2026, 6, 22)) };
        let weekly = WeeklyJson::of(&rows, window, at(date(2026, 6, 17)));
        let weeks: Vec<_> = weekly.weeks.iter().map(|week| (week.week.day(), week.minutes)).collect();
        assert_eq!(weeks, [(1, 55.0), (8, 0.0), (15, 100.0)]);
        assert_eq!((weekly.minutes, weekly.totals[0].minutes), (155.0, 101.0));
        assert_eq!(weekly.totals[1].entity_id.get(), 10);
        assert_eq!(series(&weekly, EntityId::new(1).unwrap()), 0);
        assert_eq!(series(&weekly, EntityId::new(2).unwrap()), NAMED);
        assert_eq!(series_name(&weekly, NAMED), "3 others");
        let chart = drawn(&weekly).into_string();
        assert!(chart.contains("3 others, week of 2026-06-01: 9 minutes"), "{chart}");
    }
}
