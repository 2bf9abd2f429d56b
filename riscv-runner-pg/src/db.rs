//! The pool, and the count of what is asked of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use riscv_runner_core::ports::PortResult;
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction, postgres::PgPoolOptions};

use crate::{
    config::{PgConfig, SchemaName, place, unreachable},
    error::port_error,
    installations::Heard,
    statement::{Patience, Statement},
};

/// A webhook must be answered within 10 s (GitHub's limit), so waiting for a connection ends well before.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection unused for longer is tried before it is trusted: the server may have restarted. One
/// that was just used is not, for that would cost every statement a round-trip.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// The database, as the modules of this crate see it.
#[derive(Debug)]
pub(crate) struct Db {
    pub(crate) pool: PgPool,
    pub(crate) schema: SchemaName,
    /// The channel to notify; `None` when nobody listens.
    pub(crate) channel: Option<String>,
    pub(crate) installations: Heard,
    statements: AtomicU64,
    patience: Arc<Patience>,
}

impl Db {
    /// Connects once, so that a fault shows at once and with its cause, and opens the pool.
    pub(crate) async fn connect(config: &PgConfig) -> PortResult<Self> {
        let limit = format!("{}ms", config.statement_limit.as_millis());
        let options = config.connect_options()?.options([("statement_timeout", limit)]);
        let place = place(&options);
        let first = PgConnection::connect_with(&options).await.map_err(|error| unreachable(&place, error))?;
        let _ = first.close().await;
        let patience = Arc::new(Patience::new(config.answer_limit, place));
        let (trying, suspecting) = (Arc::clone(&patience), Arc::clone(&patience));
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let patience = Arc::clone(&trying);
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_IDLE {
                        patience.probe(connection).await?;
                    }
                    Ok(true)
                })
            })
            .after_release(move |connection, _| {
                let patience = Arc::clone(&suspecting);
                Box::pin(async move {
                    if patience.is_suspicious() {
                        patience.probe(connection).await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            schema: config.schema.clone(),
            channel: config.notify.then(|| config.schema.channel()),
            installations: Heard::default(),
            statements: AtomicU64::new(0),
            patience,
        })
    }

    /// A statement, counted.
    pub(crate) fn query(&self, sql: &'static str) -> Statement {
        self.statements.fetch_add(1, Ordering::Relaxed);
        Statement::new(sql, Arc::clone(&self.patience))
    }

    /// A transaction. Beginning and committing are not counted as statements.
    pub(crate) async fn begin(&self, operation: &'static str) -> PortResult<Transaction<'static, Postgres>> {
        self.patience.wait(self.pool.begin()).await.map_err(|error| port_error(operation, error))
    }

    /// Commits what was begun.
    pub(crate) async fn commit(
        &self,
        operation: &'static str,
        transaction: Transaction<'static, Postgres>,
    ) -> PortResult<()> {
        self.patience.wait(transaction.commit()).await.map_err(|error| port_error(operation, error))
    }

    pub(crate) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }
}
