//! `rrctl jobs` and `rrctl workers`: listings, newest first. They differ in their rows alone.

use jiff::Timestamp;
use riscv_runner_core::ports::{Page, Platform, PortResult, ReportWindow};
use riscv_runner_pg::PgStore;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    args,
    config::{self, Need, Sources},
    failure::Failure,
    moment::window,
    platform::TokioPlatform,
    printer::{Printer, Value},
    wire,
};

/// A row of a listing.
pub(crate) trait Row: Serialize {
    /// What the rows are, as JSON names the list.
    const NAME: &'static str;
    /// The columns of the table.
    const COLUMNS: &'static [&'static str];
    /// The row's cells.
    fn cells(&self, now: Timestamp) -> Vec<Value>;
}

/// A page of rows, and how many there are in all.
struct Listing<R> {
    total: u64,
    rows: Vec<R>,
}

impl<R: Row> Serialize for Listing<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("total", &self.total)?;
        map.serialize_entry(R::NAME, &self.rows)?;
        map.end()
    }
}

/// Reads a page of rows, and writes it.
pub(crate) async fn run<R: Row>(
    listing: args::Listing,
    sources: &Sources,
    printer: &Printer,
    read: impl AsyncFnOnce(&PgStore, ReportWindow, Page) -> PortResult<(Vec<R>, u64)>,
) -> Result<(), Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let (window, page) = window(listing);
    let (rows, total) = read(&store, window, page).await?;
    let (now, answer) = (TokioPlatform.now(), Listing { total, rows });
    printer.data(listing.output.format, &answer, || {
        printer.table(R::COLUMNS, answer.rows.iter().map(|row| row.cells(now)));
        printer.note(&format!("{} of {total}", answer.rows.len()));
    })
}
