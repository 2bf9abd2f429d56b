//! The schema that `rrctl serve` works on: compared, or brought up to date while the process answers its probes.

use std::sync::Arc;

use riscv_runner_http::router_while_migrating;
use riscv_runner_pg::pending_migrations;
use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    commands::migrate::migrate,
    config::Config,
    failure::{Failure, count},
    server::{self, Entrance},
    signals::Signals,
    wire,
};

/// How an attempt to bring the schema up to date ended, where it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Migration {
    /// The schema is the one of this program.
    Done,
    /// The process was asked to stop; the step in flight is undone.
    Stopped,
}

/// Brings the schema up to date. A step may take minutes on a large table: meanwhile probes must see that the
/// process is live and not ready, and it must be possible to stop it.
pub(super) async fn bring_up_to_date(
    config: &Config,
    listener: &Arc<TcpListener>,
    signals: &Signals,
) -> Result<Migration, Failure> {
    let (done, over) = oneshot::channel::<()>();
    let entrance = Entrance::of(&config.server)?;
    let probes = server::serve(Arc::clone(listener), router_while_migrating(), entrance, async {
        // Dropping the sender says so.
        let _ = over.await;
    });
    let probes = tokio::spawn(probes);
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "bringing the schema up to date");
    }
    let outcome = tokio::select! {
        report = Box::pin(migrate(config)) => Some(report),
        () = signals.stopped() => None,
    };
    drop(done);
    // It ends with the last request that it answers, for which nobody waits.
    drop(probes);
    let Some(report) = outcome else {
        tracing::info!("stopped while the schema was being brought up to date; the next migration continues");
        return Ok(Migration::Stopped);
    };
    tracing::info!(applied = report?.applied.len(), "the schema is up to date");
    Ok(Migration::Done)
}

/// Refuses a schema that lacks something.
pub(super) async fn require_up_to_date(config: &Config) -> Result<(), Failure> {
    let pending = pending_migrations(&wire::store_config(config, false)?).await?;
    if pending.is_empty() {
        return Ok(());
    }
    let what = format!("the database lacks {} of this version", count(pending.len(), "migration"));
    Err(Failure::failed(what).hint("run `rrctl migrate`, or `rrctl serve --migrate`"))
}
