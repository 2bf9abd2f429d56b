//! `rrctl jobs` and `rrctl workers`: pages of rows, newest first. They differ in their rows alone.

use jiff::Timestamp;
use riscv_runner_core::{
    policy::NamePrefix,
    ports::{Page, Platform, PortResult, ReportWindow, RowFilter, Total},
};
use riscv_runner_http::views::last_days;
use riscv_runner_pg::PgStore;
use serde::{Serialize, de::DeserializeOwned};

use super::narrowing::{Narrowing, Place};
use crate::{
    args::{self, RowStatus},
    config::{self, Need, Sources},
    failure::Failure,
    platform::TokioPlatform,
    printer::{Column, Printer, Value},
    wire,
};

/// The requested list.
pub(crate) struct Asked {
    /// Rows created in it.
    pub(crate) window: ReportWindow,
    /// Only the rows that match.
    pub(crate) filter: RowFilter<RowStatus>,
    /// The page of these rows.
    pub(crate) page: Page,
    /// The time that ages count from.
    pub(crate) now: Timestamp,
}

impl Asked {
    /// The filter, with the status as the rows have it.
    pub(crate) fn filter<S>(&self, parse: fn(&str) -> Option<S>) -> RowFilter<S> {
        let RowFilter { status, pool, entity } = self.filter.clone();
        RowFilter { status: status.and_then(|status| parse(status.as_str())), pool, entity }
    }
}

/// A page of rows.
pub(crate) trait Listed: Serialize + DeserializeOwned {
    /// The path at which a server shows it.
    const PATH: &'static str;
    /// The columns of the table.
    const COLUMNS: &'static [Column];

    /// Reads it from the store.
    async fn read(store: &PgStore, asked: &Asked, ours: &NamePrefix) -> PortResult<Self>;
    /// How many rows there are on all pages.
    fn total(&self) -> Total;
    /// The cells of each row.
    fn cells(&self) -> Vec<Vec<Value>>;
}

/// Reads a page of rows, and writes it.
pub(crate) async fn run<L: Listed>(
    listing: &args::Listing,
    sources: &Sources,
    printer: &Printer,
) -> Result<(), Failure> {
    let (pool, entity) = (listing.pool.as_ref(), listing.entity.as_ref());
    let listed: L = match listing.reading.remote.connect_as_anybody(sources)? {
        Some(server) => {
            let narrowing = Narrowing::of_server(pool, entity, &server).await?;
            let query = [
                ("start", format!("-{}d", listing.days)),
                ("page", listing.page.to_string()),
                ("per_page", listing.per_page.to_string()),
            ];
            let status = listing.status.map(|status| ("status", status.as_str().to_owned()));
            let query: Vec<_> = query.into_iter().chain(status).chain(narrowing.query()).collect();
            let listed: L = server.get(&[L::PATH], &query).await?;
            if listed.total() == Total::Exactly(0) {
                narrowing.explain_empty(Place::Server(&server), printer).await?;
            }
            listed
        }
        None => {
            let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
            let store = wire::store(&wire::store_config(&config, false)?).await?;
            let narrowing = Narrowing::of_store(pool, entity, &store).await?;
            let now = TokioPlatform.now();
            let asked = Asked {
                window: last_days(listing.days, now),
                filter: RowFilter {
                    status: listing.status,
                    pool: narrowing.pool.clone(),
                    entity: narrowing.entity.clone(),
                },
                page: Page { page: listing.page, per_page: listing.per_page },
                now,
            };
            let listed = L::read(&store, &asked, &config.policy.name_prefix).await?;
            if listed.total() == Total::Exactly(0) {
                narrowing.explain_empty(Place::Store(&store, &config), printer).await?;
            }
            listed
        }
    };
    printer.data(listing.reading.output.format, &listed, || {
        let rows = listed.cells();
        let note = part(rows.len(), listing, listed.total());
        printer.table(L::COLUMNS, rows)?;
        printer.note(&note);
        Ok(())
    })
}

/// Which part of the rows these are.
fn part(shown: usize, listing: &args::Listing, total: Total) -> String {
    let before = u64::from(listing.page) * u64::from(listing.per_page);
    let (known, rows) = match total {
        Total::Exactly(rows) => (rows, rows.to_string()),
        Total::AtLeast(rows) => (rows, format!("{rows} or more")),
    };
    match shown as u64 {
        0 if known > 0 => format!("no rows on page {}; there are {rows}", listing.page),
        shown if total == Total::Exactly(shown) => format!("{shown} of {rows}"),
        shown => format!("{} to {} of {rows} (--page {})", before + 1, before + shown, listing.page),
    }
}
