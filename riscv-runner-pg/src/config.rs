//! How the server is reached: URL and schema. Never shows the password.

use std::{fmt, str::FromStr, time::Duration};

use crate::reserved_words;
use riscv_runner_core::ports::{PortError, PortErrorKind, PortResult};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{error::DatabaseError, postgres::PgConnectOptions};

/// PostgreSQL cuts identifiers at 63 bytes; `_queue_event` is added to make the channel's name.
const MAX_SCHEMA_BYTES: usize = 63 - CHANNEL_SUFFIX.len();
const CHANNEL_SUFFIX: &str = "_queue_event";

/// The name of a schema: lower-case letters, digits and `_`, so that it needs no quotes anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName(String);

impl SchemaName {
    /// Checks the name.
    ///
    /// # Errors
    /// Empty or overlong names, those outside the alphabet, and those that PostgreSQL reserves.
    pub fn new(name: impl Into<String>) -> Result<Self, SchemaNameError> {
        let name = name.into();
        let alphabet = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let problem = if name.is_empty() {
            "must not be empty"
        } else if name.len() > MAX_SCHEMA_BYTES {
            "must be at most 51 characters long"
        } else if !alphabet || name.as_bytes()[0].is_ascii_digit() {
            "must consist of lower-case letters, digits and '_', and not begin with a digit"
        } else if name.starts_with("pg_") {
            "must not begin with pg_, which PostgreSQL reserves"
        } else if reserved_words::is_reserved(&name) {
            "must not be a word that SQL reserves: it would need quotes in every query"
        } else {
            return Ok(Self(name));
        };
        Err(SchemaNameError { name, problem })
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The channel on which writers wake schedulers: `{schema}_queue_event`.
    #[must_use]
    pub fn channel(&self) -> String {
        format!("{}{CHANNEL_SUFFIX}", self.0)
    }

    /// The channel on which operators' orders wake all listeners: `{schema}_orders`.
    #[must_use]
    pub fn orders_channel(&self) -> String {
        format!("{}_orders", self.0)
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for SchemaName {
    type Err = SchemaNameError;
    fn from_str(name: &str) -> Result<Self, SchemaNameError> {
        Self::new(name)
    }
}

/// Why a name was rejected as a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema name {name:?} {problem}")]
pub struct SchemaNameError {
    name: String,
    problem: &'static str,
}

/// How to reach the store.
#[derive(Debug, Clone)]
pub struct PgConfig {
    /// `postgres://user:password@host:port/database?options`, with the usual options of libpq
    /// (`sslmode`, `sslrootcert`, `host=/socket/dir`, `options`, …).
    pub url: SecretString,
    /// The schema of our tables; set as the search path of every connection.
    pub schema: SchemaName,
    /// The most connections held at once.
    pub max_connections: u32,
    /// Whether a commit that gives the scheduler work notifies the schema's channel. Off where
    /// intake and scheduler share a process: a `NOTIFY` takes a lock of the whole database server.
    pub notify: bool,
    /// After how long the server cancels a statement.
    pub statement_limit: Duration,
    /// How long to wait for the answer to one statement: longer than the server's limit, because no answer by
    /// then means a lost connection.
    pub answer_limit: Duration,
}

const STATEMENT_LIMIT: Duration = Duration::from_secs(30);
/// A little longer than the server's own limit.
const ANSWER_LIMIT: Duration = Duration::from_secs(35);

impl PgConfig {
    /// The defaults: 10 connections, no notification, 30 s for a statement and 35 s for its answer.
    #[must_use]
    pub const fn new(url: SecretString, schema: SchemaName) -> Self {
        Self {
            url,
            schema,
            max_connections: 10,
            notify: false,
            statement_limit: STATEMENT_LIMIT,
            answer_limit: ANSWER_LIMIT,
        }
    }

    /// The options of one connection.
    pub(crate) fn connect_options(&self) -> PortResult<PgConnectOptions> {
        let options = PgConnectOptions::from_str(self.url.expose_secret()).map_err(|error| {
            // A URL that cannot be parsed may end up in the message of the parser with its password.
            let text = error.to_string();
            let reason = if text.contains(self.url.expose_secret()) { String::new() } else { text };
            PortError::new(
                PortErrorKind::Denied,
                "read the URL of PostgreSQL",
                format!("store.url must look like postgres://user:password@host:port/database; {reason}"),
            )
        })?;
        Ok(options.application_name("riscv-runner").options([
            ("search_path", self.schema.as_str()),
            // A paused process must not hold row locks for ever: a new leader would wait for them.
            ("idle_in_transaction_session_timeout", "10s"),
            // Statements are short and repeated: compiling them costs more than it gives.
            ("jit", "off"),
            // The heads of the queues are read in the order of an index. How many rows that takes is
            // not known when the statement is planned, and a wrong guess would sort the backlog.
            ("enable_sort", "off"),
            ("enable_incremental_sort", "off"),
        ]))
    }
}

/// Where the options lead to, without the password.
pub(crate) fn place(options: &PgConnectOptions) -> String {
    let host = options
        .get_socket()
        .map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string());
    format!(
        "{}@{host}:{}/{}",
        options.get_username(),
        options.get_port(),
        options.get_database().unwrap_or_else(|| options.get_username())
    )
}

pub(crate) fn unreachable(place: &str, error: sqlx::Error) -> PortError {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let advice = match code.as_deref() {
        Some("28P01" | "28000") => "check the user and password in store.url and the server's pg_hba.conf",
        Some("3D000") => "create the database, or correct its name in store.url",
        Some("53300") => "raise the server's max_connections, or lower store.max_connections",
        Some("57P03") => "the server is starting or stopping; try again in a moment",
        Some(_) => "see the server's message",
        None if matches!(error, sqlx::Error::Tls(_)) => "check sslmode and sslrootcert in store.url",
        None => "check that the server runs and that store.url names the right host and port",
    };
    PortError::new(crate::error::kind(&error), "connect to PostgreSQL", format!("{place}; {advice}"))
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> PgConfig {
        PgConfig::new(url.to_owned().into(), SchemaName::new("prod").unwrap())
    }

    #[test]
    fn schema_names_need_no_quotes() {
        assert_eq!(SchemaName::new("prod").unwrap().channel(), "prod_queue_event");
        for name in ["", "Prod", "a-b", "a b", "1a", "pg_x", "a;drop", &"x".repeat(52)] {
            assert!(SchemaName::new(name).is_err(), "{name}");
        }
        assert!(SchemaName::new("x".repeat(51)).unwrap().channel().len() <= 63);
    }

    #[test]
    fn the_password_is_never_shown() {
        let config = config("postgres://u:s3cret@db.example:5433/rr?sslmode=disable");
        assert!(!format!("{config:?}").contains("s3cret"));
        let options = config.connect_options().unwrap();
        assert_eq!(place(&options), "u@db.example:5433/rr");
    }

    #[test]
    fn a_bad_url_is_explained_without_being_repeated() {
        for url in ["postgres://u:s3cret@host:port/db", "s3cret", "mysql//:s3cret@"] {
            if let Err(error) = config(url).connect_options() {
                assert!(error.to_string().contains("store.url"), "{error}");
                assert!(!error.chain().contains("s3cret"), "{error}");
            }
        }
        assert!(config("postgres://u:s3cret@host:port/db").connect_options().is_err());
    }
}
