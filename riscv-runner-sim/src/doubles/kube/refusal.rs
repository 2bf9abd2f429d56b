//! The `Status` objects with which the API refuses.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// A refusal: what the server answers instead of an object.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    code: u16,
    reason: &'static str,
    message: String,
    causes: Vec<Value>,
}

impl Refusal {
    /// A refusal of this status with the reason that Kubernetes gives for it.
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        let reason = match code {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            405 => "MethodNotAllowed",
            409 => "Conflict",
            410 => "Expired",
            415 => "UnsupportedMediaType",
            422 => "Invalid",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "InternalError",
        };
        Self { code, reason, message: message.into(), causes: Vec::new() }
    }

    pub(super) fn not_found(resource: &str, name: &str) -> Self {
        Self::new(404, format!("{resource} {name:?} not found"))
    }

    pub(super) fn already_exists(resource: &str, name: &str) -> Self {
        Self { reason: "AlreadyExists", ..Self::new(409, format!("{resource} {name:?} already exists")) }
    }

    /// A field that the object must not have like this.
    pub(super) fn invalid(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let cause = json!({ "reason": "FieldValueInvalid", "field": field, "message": message });
        Self { causes: vec![cause], ..Self::new(422, format!("{field}: {message}")) }
    }

    pub(super) fn status(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
            "details": { "causes": self.causes },
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (code, Json(self.status())).into_response()
    }
}
