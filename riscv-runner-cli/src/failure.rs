//! How a command can fail, and the exit status that says so.

use std::{error::Error, io, process::ExitCode};

use riscv_runner_core::ports::{PortError, chain};

use crate::{
    config::{Problem, Severity},
    printer::Printer,
};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration is wrong: all its problems.
    Configuration(Vec<Problem>),
    /// The command was used wrongly.
    Usage {
        /// What is wrong.
        what: String,
        /// What would be right.
        hint: Option<String>,
    },
    /// It was tried, and failed.
    Failed {
        /// What failed, with its causes.
        what: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// Standard output cannot be written.
    Output(io::Error),
}

impl Failure {
    /// Something failed.
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), hint: None }
    }

    /// The command was used wrongly.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: None }
    }

    /// The same with what to do next.
    pub(crate) fn hint(self, text: impl Into<String>) -> Self {
        let text = Some(text.into());
        match self {
            same @ (Self::Configuration(_) | Self::Output(_)) => same,
            Self::Usage { what, .. } => Self::Usage { what, hint: text },
            Self::Failed { what, .. } => Self::Failed { what, hint: text },
        }
    }

    /// Something failed because of an error, which is shown with its causes.
    pub(crate) fn because(what: &str, error: &(dyn Error + 'static)) -> Self {
        Self::failed(format!("{what}: {}", chain(error)))
    }

    /// What is wrong, in one text.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Configuration(problems) => {
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
            Self::Usage { what, .. } | Self::Failed { what, .. } => what.clone(),
            Self::Output(error) => format!("cannot write to standard output: {error}"),
        }
    }

    /// Reports it to the operator.
    pub(crate) fn report(&self, printer: &Printer) -> ExitCode {
        match self {
            Self::Configuration(problems) => {
                report_problems(printer, problems);
                let n = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
                printer.error(&format!("the configuration has {}", count(n, "problem")));
                ExitCode::from(2)
            }
            Self::Usage { what, hint } => {
                printer.error(what);
                printer.hint(hint.as_deref());
                ExitCode::from(2)
            }
            Self::Failed { what, hint } => {
                printer.error(what);
                printer.hint(hint.as_deref());
                ExitCode::FAILURE
            }
            // A reader that goes away, such as `head`, has seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(_) => {
                printer.error(&self.what());
                ExitCode::FAILURE
            }
        }
    }
}

/// Reports the problems of a configuration.
pub(crate) fn report_problems(printer: &Printer, problems: &[Problem]) {
    for problem in problems {
        match problem.severity {
            Severity::Error => printer.error(&problem.to_string()),
            Severity::Warning => printer.warning(&problem.to_string()),
        }
        printer.hint(problem.hint.as_deref());
    }
}

/// `1 problem`, `2 problems`.
pub(crate) fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        let failure = Self::failed(error.chain());
        match riscv_runner_pg::remedy(&error) {
            Some(remedy) => failure.hint(remedy),
            None => failure,
        }
    }
}
