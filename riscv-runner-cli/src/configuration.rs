//! Reading a configuration file without running a command: for fuzzing, and for checking files in another
//! program. The command itself is in `main.rs`.

#[expect(dead_code, unused_imports, reason = "what only the command uses is in the same rooms")]
mod config;

use std::path::Path;

use config::{Need, Origin, Problem, Severity, Shown, Sources};

/// A problem in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The line, from 1; `None` when it concerns no line.
    pub line: Option<usize>,
    /// Where, what, and how to fix it. Never holds a secret.
    pub text: String,
}

impl Complaint {
    fn of(problem: &Problem) -> Self {
        let line = match &problem.origin {
            Origin::File { line, .. } => Some(*line),
            Origin::Variable(_) | Origin::Default => None,
        };
        let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        Self { line, text: format!("{problem}{hint}") }
    }
}

/// The configuration in force, line by line, as `rrctl config show` has it: without secrets.
///
/// # Errors
/// Everything that is wrong with the file, for a command that needs all of it. The environment is not
/// looked at.
pub fn check(file: &Path) -> Result<Vec<String>, Vec<Complaint>> {
    let sources = Sources { flag: Some(file.to_path_buf()), ..Sources::default() };
    let complaints = |problems: &[Problem]| problems.iter().map(Complaint::of).collect::<Vec<_>>();
    let config = config::load(&sources, Need::All).map_err(|problems| complaints(&problems))?;
    let warned = config.warnings.iter().all(|problem| problem.severity == Severity::Warning);
    debug_assert!(warned, "what was accepted has an error");
    let line = |shown: &Shown| match shown {
        Shown::Header(header) => header.clone(),
        Shown::Key { key, value, .. } => format!("{key} = {value}"),
    };
    Ok(config.shown.iter().map(line).collect())
}
