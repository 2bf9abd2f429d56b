//! Errors of PostgreSQL in the words of the ports: what the caller can do about them.

use riscv_runner_core::ports::{PortError, PortErrorKind};
use sqlx::{error::DatabaseError, migrate::MigrateError};

use crate::rows::BadRow;

/// The failure of `operation` for a port.
pub(crate) fn port_error(operation: &'static str, error: sqlx::Error) -> PortError {
    PortError::new(kind(&error), operation, detail(&error)).with_source(error)
}

/// What an operator can do about an error of the store, where that is known.
#[must_use]
pub fn remedy(error: &PortError) -> Option<&'static str> {
    match Lack::of(cause(error)?)? {
        Lack::Schema => {
            Some("run `rrctl migrate`; where it changes nothing, `rrctl doctor` says what the role lacks")
        }
        Lack::Right => Some("`rrctl doctor` says which rights the role lacks, and how to grant them"),
    }
}

/// What the role lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// Tables or columns: the schema was not migrated, or the role may not access it.
    Schema,
    /// A right on a table or a sequence.
    Right,
}

impl Lack {
    fn of(error: &sqlx::Error) -> Option<Self> {
        match error.as_database_error().and_then(DatabaseError::code)?.as_ref() {
            // Undefined table, schema, column or function.
            "42P01" | "3F000" | "42703" | "42883" => Some(Self::Schema),
            "42501" => Some(Self::Right),
            _ => None,
        }
    }
}

fn detail(error: &sqlx::Error) -> &'static str {
    match Lack::of(error) {
        Some(Lack::Schema) => "the schema is not that of this version",
        Some(Lack::Right) => "the role lacks a right",
        None => "",
    }
}

/// What the database said.
fn cause(error: &PortError) -> Option<&sqlx::Error> {
    let cause = std::error::Error::source(error)?;
    if let Some(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) =
        cause.downcast_ref()
    {
        return Some(error);
    }
    cause.downcast_ref()
}

/// The refusal of a write whose proof is of an earlier epoch.
pub(crate) fn not_leader(operation: &'static str) -> PortError {
    PortError::new(PortErrorKind::NotLeader, operation, "another replica has taken over the lease")
}

/// Whether a value of the statement was refused, or a row that it found cannot be understood, so that the rest of a
/// batch may do without it.
pub(crate) fn blames_a_value(error: &PortError) -> bool {
    let source = std::error::Error::source(error);
    if source.is_some_and(<dyn std::error::Error>::is::<BadRow>) {
        return true;
    }
    let cause = cause(error);
    let code = cause.and_then(sqlx::Error::as_database_error).and_then(DatabaseError::code);
    // 22: data exception; 23: integrity; 54: a limit of the server, such as a text too long for an index.
    code.is_some_and(|code| ["22", "23", "54"].contains(&code.get(..2).unwrap_or_default()))
        || matches!(cause, Some(sqlx::Error::Encode(_)))
}

/// What the caller can do about it.
pub(crate) fn kind(error: &sqlx::Error) -> PortErrorKind {
    if let Some(database) = error.as_database_error() {
        return database.code().map_or(PortErrorKind::Bug, |code| kind_of_code(&code));
    }
    let connection_failed = matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            | sqlx::Error::Tls(_)
            // What remains of an answer when the connection breaks in its middle.
            | sqlx::Error::Protocol(_)
    );
    if connection_failed { PortErrorKind::Transient } else { PortErrorKind::Bug }
}

/// By the tables of PostgreSQL's appendix "Error Codes".
fn kind_of_code(code: &str) -> PortErrorKind {
    match code {
        "23505" | "23P01" => PortErrorKind::Conflict,
        // A standby that is not promoted yet.
        "25006" => PortErrorKind::Transient,
        // Insufficient privilege; unknown database, schema, table, column or function: somebody must mend it.
        "42501" | "3D000" | "3F000" | "42P01" | "42703" | "42883" => PortErrorKind::Denied,
        _ => match code.get(..2).unwrap_or_default() {
            "28" => PortErrorKind::Denied,
            // Connection, rollback (deadlock, serialization), resources, lock not available, intervention
            // (restart, time-out), system, and a transaction that was idle for too long.
            "08" | "40" | "53" | "55" | "57" | "58" | "25" => PortErrorKind::Transient,
            _ => PortErrorKind::Bug,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_can_be_done() {
        for (code, kind) in [
            ("23505", PortErrorKind::Conflict),
            ("40P01", PortErrorKind::Transient),
            ("57P01", PortErrorKind::Transient),
            ("53300", PortErrorKind::Transient),
            ("08006", PortErrorKind::Transient),
            ("25P03", PortErrorKind::Transient),
            ("28P01", PortErrorKind::Denied),
            ("42501", PortErrorKind::Denied),
            ("42P01", PortErrorKind::Denied),
            ("22P05", PortErrorKind::Bug),
            ("42601", PortErrorKind::Bug),
        ] {
            assert_eq!(kind_of_code(code), kind, "{code}");
        }
        assert_eq!(kind(&sqlx::Error::PoolTimedOut), PortErrorKind::Transient);
    }
}
