//! What is wrong with a configuration, and where. Never holds the value of a secret.

use std::{cell::RefCell, fmt, path::Path, sync::Arc};

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A line of the file, from 1.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Variable(Arc<str>),
    /// It was not set.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Default => f.write_str("configuration"),
        }
    }
}

/// The severity of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// This configuration cannot be used.
    Error,
    /// It works, but the operator should know.
    Warning,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where the value comes from.
    pub(crate) origin: Origin,
    /// The key, such as `pools[0].image`; empty when it concerns the whole file.
    pub(crate) key: String,
    /// What is wrong.
    pub(crate) problem: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// Its severity.
    pub(crate) severity: Severity,
    /// Whether the problem is that a secret's file is not on this machine.
    pub(crate) is_missing_secret: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

/// All problems, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Adds an error.
    pub(crate) fn error(&self, origin: &Origin, key: &str, problem: impl Into<String>, hint: Option<String>) {
        self.add(origin, key, problem.into(), hint, Severity::Error);
    }

    /// Adds a warning.
    pub(crate) fn warn(&self, origin: &Origin, key: &str, problem: impl Into<String>, hint: Option<String>) {
        self.add(origin, key, problem.into(), hint, Severity::Warning);
    }

    /// Adds a warning that a secret's file is not on this machine.
    pub(crate) fn missing_secret(&self, origin: &Origin, key: &str, problem: String, hint: Option<String>) {
        self.add(origin, key, problem, hint, Severity::Warning);
        if let Some(problem) = self.0.borrow_mut().last_mut() {
            problem.is_missing_secret = true;
        }
    }

    fn add(&self, origin: &Origin, key: &str, problem: String, hint: Option<String>, severity: Severity) {
        let (origin, key) = (origin.clone(), key.to_owned());
        let problem = Problem { origin, key, problem, hint, severity, is_missing_secret: false };
        self.0.borrow_mut().push(problem);
    }

    /// All of them, by origin.
    pub(crate) fn into_sorted(self) -> Vec<Problem> {
        let mut all = self.0.into_inner();
        all.sort_by(|a, b| a.origin.cmp(&b.origin));
        all
    }
}
