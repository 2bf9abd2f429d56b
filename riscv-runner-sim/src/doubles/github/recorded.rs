//! What was asked, for tests to look at.

use serde_json::Value;

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// `GET`, `POST`, `DELETE`.
    pub method: String,
    /// The path below the API's root, with its values.
    pub path: String,
    /// Method and path with placeholders, as in GitHub's documentation; empty for unknown paths.
    pub template: String,
    /// The query's pairs, in order.
    pub query: Vec<(String, String)>,
    /// The body, where there was one.
    pub body: Option<Value>,
    /// The value of `User-Agent`.
    pub user_agent: Option<String>,
    /// Whether it was conditional (`If-None-Match`).
    pub conditional: bool,
    /// The status that was answered; 0 when the connection was cut.
    pub status: u16,
}
