//! `rrctl usage`: demand and supply by account, pool and labels.

use riscv_runner_core::ports::{ReportStore, RowFilter, UsageRow};
use riscv_runner_http::views::{Totals, UsageView};

use super::narrowing::{Narrowing, Place};
use crate::{
    args::Filtered,
    config::{self, Need, Sources},
    failure::Failure,
    printer::{Column, Printer, Value},
    whole, wire,
};

/// Runs `rrctl usage`.
pub(crate) async fn run(asked: &Filtered, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let (pool, entity) = (asked.pool.as_ref(), asked.entity.as_ref());
    let usage: UsageView = match asked.reading.remote.connect_as_anybody(sources)? {
        Some(server) => {
            let narrowing = Narrowing::of_server(pool, entity, &server).await?;
            let usage: UsageView = whole::read(&server, &narrowing.query()).await?;
            if usage.usage.is_empty() {
                narrowing.explain_empty(Place::Server(&server), printer).await?;
            }
            usage
        }
        None => {
            let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
            let store = wire::store(&wire::store_config(&config, false)?).await?;
            let narrowing = Narrowing::of_store(pool, entity, &store).await?;
            let filter =
                RowFilter { pool: narrowing.pool.clone(), entity: narrowing.entity.clone(), status: None };
            let usage = UsageView::shown(store.usage().await?, &filter, None);
            if usage.usage.is_empty() {
                narrowing.explain_empty(Place::Store(&store, &config), printer).await?;
            }
            usage
        }
    };
    printer.data(asked.reading.output.format, &usage, || {
        let header = [
            Column::always("account"),
            Column::rank(1, "kind"),
            Column::always("pool"),
            Column::rank(2, "labels"),
            Column::always("jobs waiting"),
            Column::always("jobs running"),
            Column::always("workers starting"),
            Column::always("workers running"),
        ];
        printer.table(&header, usage.usage.iter().map(cells))
    })
}

fn cells(row: &UsageRow) -> Vec<Value> {
    let Totals { jobs_pending, jobs_running, workers_pending, workers_running } = Totals::of([row]);
    vec![
        row.entity_name.as_str().into(),
        row.entity_type.as_str().into(),
        row.k8s_pool.as_str().into(),
        row.job_labels.originals().join(", ").into(),
        Value::number(&jobs_pending),
        Value::number(&jobs_running),
        Value::number(&workers_pending),
        Value::number(&workers_running),
    ]
}
