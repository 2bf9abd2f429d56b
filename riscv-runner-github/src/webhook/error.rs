//! What can be wrong with a delivery, described so that its sender can find it.

use serde_json::error::Category;

/// Why a delivery was not understood; the answer is 400 and names the fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// A header is missing.
    #[error("the header {name} is missing")]
    MissingHeader {
        /// Its name, as GitHub writes it.
        name: &'static str,
    },
    /// A header's value is rejected.
    #[error("the header {name} is not understood: {problem}")]
    BadHeader {
        /// Its name, as GitHub writes it.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The body is not UTF-8.
    #[error("the body is not UTF-8 from byte {valid_up_to} on")]
    Utf8 {
        /// How many bytes of it are.
        valid_up_to: usize,
    },
    /// The body is not JSON.
    #[error("the body is not JSON: {problem} at line {line} column {column}")]
    Json {
        /// The parser's message.
        problem: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The body is JSON that cannot be stored.
    #[error("the body cannot be stored: {problem} at line {line} column {column}")]
    Unstorable {
        /// Why it cannot be stored.
        problem: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A field is missing.
    #[error("the payload has no field {path}")]
    MissingField {
        /// Where it should be: `workflow_job.id`.
        path: String,
    },
    /// A field has the wrong type or an impossible value.
    #[error("the payload's field {path} is not understood: {problem}")]
    BadField {
        /// Where it is: `workflow_job.id`.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl WebhookError {
    /// The field or header at fault, where there is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::MissingHeader { name } | Self::BadHeader { name, .. } => Some(name),
            Self::MissingField { path } | Self::BadField { path, .. } => Some(path),
            Self::Utf8 { .. } | Self::Json { .. } | Self::Unstorable { .. } => None,
        }
    }

    pub(super) fn from_json(error: &serde_json::Error) -> Self {
        Self::Json { problem: complaint(error), line: error.line(), column: error.column() }
    }

    pub(super) fn from_path(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            Category::Data => Self::from_data(&path, &complaint(&error)),
            Category::Io | Category::Syntax | Category::Eof => Self::from_json(&error),
        }
    }

    fn from_data(path: &str, problem: &str) -> Self {
        let missing = problem.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        match missing {
            Some(field) if path == "." => Self::MissingField { path: field.to_owned() },
            Some(field) => Self::MissingField { path: format!("{path}.{field}") },
            None => Self::BadField { path: path.to_owned(), problem: problem.to_owned() },
        }
    }
}

/// The parser's message without the position, which is reported separately.
fn complaint(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
