//! `rrctl retention`: removes expired rows, or says how many there are.

use std::time::Duration;

use riscv_runner_core::{
    ports::{Platform, Remover, RetentionStore},
    retention::{BATCH, Cutoff, Expiring, pause_after},
};
use riscv_runner_pg::PgStore;
use serde::Serialize;

use crate::{
    args::Retention,
    config::{self, Need, Sources},
    failure::Failure,
    moment::short,
    platform::TokioPlatform,
    printer::{Printer, Value},
    progress, wire,
};

/// One kind of row.
#[derive(Serialize)]
struct Row {
    kind: Expiring,
    older_than: jiff::Timestamp,
    #[serde(skip)]
    kept: Duration,
    /// Expired rows: those that were removed, or, in a dry run, would be.
    rows: u64,
}

#[derive(Serialize)]
struct Answer {
    dry_run: bool,
    removed: Vec<Row>,
}

/// Runs `rrctl retention`.
pub(crate) async fn run(retention: Retention, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let timeouts = &config.policy.timeouts;
    let mut removed = Vec::new();
    for kind in Expiring::ALL {
        let cutoff = kind.cutoff(TokioPlatform.now(), timeouts);
        let over = store.count_expired(kind, cutoff).await?;
        let rows = if retention.dry_run { over } else { remove(&store, kind, cutoff, over).await? };
        removed.push(Row { kind, older_than: cutoff.before, kept: kind.kept(timeouts), rows });
    }
    let answer = Answer { dry_run: retention.dry_run, removed };
    printer.data(retention.output.format, &answer, || {
        let header = ["rows", "kept for", if answer.dry_run { "would go" } else { "removed" }];
        let cells = |row: &Row| {
            vec![row.kind.as_str().into(), short(row.kept).as_str().into(), Value::number(&row.rows)]
        };
        printer.table(&header, answer.removed.iter().map(cells))
    })
}

/// Removes batch by batch, with pauses for other work.
async fn remove(store: &PgStore, kind: Expiring, cutoff: Cutoff, over: u64) -> Result<u64, Failure> {
    let bar = progress::bar(kind.as_str(), over);
    let mut removed = 0;
    loop {
        let begun = std::time::Instant::now();
        let rows = store.remove_expired(Remover::Operator, kind, cutoff, BATCH).await?;
        removed += rows;
        bar.inc(rows);
        if rows < u64::from(BATCH) {
            bar.finish_and_clear();
            return Ok(removed);
        }
        tokio::time::sleep(pause_after(begun.elapsed())).await;
    }
}
