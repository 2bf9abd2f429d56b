//! One statement, and how long to wait for its answer: a connection may die unnoticed.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    Connection, Encode, Executor, PgConnection, Postgres, Type,
    postgres::{PgArguments, PgQueryResult, PgRow},
    query::Query,
};
use tokio::time::{Instant, timeout};

/// How long an answer to nothing at all may take.
const PROBE: Duration = Duration::from_secs(2);
/// For so long after a silence each connection is tried before it goes back to the pool.
const SUSPICION: Duration = Duration::from_secs(60);

/// How long answers are waited for, and whether one did not come lately.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    place: String,
    silent_at: Mutex<Option<Instant>>,
}

impl Patience {
    pub(crate) const fn new(limit: Duration, place: String) -> Self {
        Self { limit, place, silent_at: Mutex::new(None) }
    }

    /// Waits for an answer. Without one in time the connection is in an unknown state, and the pool does
    /// not take it back.
    pub(crate) async fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        // It is dropped after the silence was noted: the pool looks at its connection at once.
        let mut answer = pin!(answer);
        match timeout(self.limit, answer.as_mut()).await {
            Ok(answered) => answered,
            Err(_) => {
                *self.silent_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                Err(self.silence(self.limit))
            }
        }
    }

    /// Whether a connection answers.
    pub(crate) async fn probe(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let limit = PROBE.min(self.limit);
        timeout(limit, connection.ping()).await.unwrap_or_else(|_| Err(self.silence(limit)))
    }

    /// Whether connections are to be tried before the pool takes them back.
    pub(crate) fn is_suspicious(&self) -> bool {
        let silent_at = *self.silent_at.lock().unwrap_or_else(PoisonError::into_inner);
        silent_at.is_some_and(|at| at.elapsed() < SUSPICION)
    }

    fn silence(&self, limit: Duration) -> sqlx::Error {
        let text = format!(
            "{} has not answered within {limit:?}: check the network on the way there; the connection is given up",
            self.place
        );
        sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
    }
}

/// A statement with its arguments.
pub(crate) struct Statement {
    query: Query<'static, Postgres, PgArguments>,
    patience: Arc<Patience>,
}

impl Statement {
    pub(crate) fn new(sql: &'static str, patience: Arc<Patience>) -> Self {
        Self { query: sqlx::query(sql), patience }
    }

    pub(crate) fn bind<'t, T: Encode<'t, Postgres> + Type<Postgres>>(self, value: T) -> Self {
        Self { query: self.query.bind(value), patience: self.patience }
    }

    pub(crate) async fn execute<'e, 'c: 'e, E>(self, executor: E) -> Result<PgQueryResult, sqlx::Error>
    where
        E: 'e + Executor<'c, Database = Postgres>,
    {
        self.patience.wait(self.query.execute(executor)).await
    }

    pub(crate) async fn fetch_all<'e, 'c: 'e, E>(self, executor: E) -> Result<Vec<PgRow>, sqlx::Error>
    where
        E: 'e + Executor<'c, Database = Postgres>,
    {
        self.patience.wait(self.query.fetch_all(executor)).await
    }

    pub(crate) async fn fetch_one<'e, 'c: 'e, E>(self, executor: E) -> Result<PgRow, sqlx::Error>
    where
        E: 'e + Executor<'c, Database = Postgres>,
    {
        self.patience.wait(self.query.fetch_one(executor)).await
    }

    pub(crate) async fn fetch_optional<'e, 'c: 'e, E>(self, executor: E) -> Result<Option<PgRow>, sqlx::Error>
    where
        E: 'e + Executor<'c, Database = Postgres>,
    {
        self.patience.wait(self.query.fetch_optional(executor)).await
    }
}
