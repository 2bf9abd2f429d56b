//! The headers that say what a delivery is.
//!
//! Signature checking does not happen here; these are read only after it.

use http::HeaderMap;
use riscv_runner_core::ids::{AppId, DeliveryGuid};

use super::WebhookError;

/// The event's name.
pub const EVENT_HEADER: &str = "X-GitHub-Event";
/// The GUID of the delivery, the same on a redelivery.
pub const DELIVERY_HEADER: &str = "X-GitHub-Delivery";
/// The App that the delivery is for.
pub const TARGET_HEADER: &str = "X-GitHub-Hook-Installation-Target-ID";

/// Longer than any event's name that GitHub has.
const MAX_EVENT_LEN: usize = 100;

/// What the headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookHeaders {
    /// The event's name: `workflow_job`.
    pub event: String,
    /// The delivery's GUID.
    pub guid: DeliveryGuid,
    /// The App that it is for.
    pub app: AppId,
}

impl WebhookHeaders {
    /// Parses the three values.
    ///
    /// # Errors
    /// A value outside the form of its header.
    pub fn new(event: &str, guid: &str, target_id: &str) -> Result<Self, WebhookError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if event.is_empty() || event.len() > MAX_EVENT_LEN || !event.bytes().all(plain) {
            return Err(WebhookError::BadHeader {
                name: EVENT_HEADER,
                problem: "it must be the name of an event, as in workflow_job".into(),
            });
        }
        Ok(Self {
            event: event.to_owned(),
            guid: DeliveryGuid::new(guid).map_err(|error| bad(DELIVERY_HEADER, &error))?,
            app: target_id.parse().map_err(|error| bad(TARGET_HEADER, &error))?,
        })
    }

    /// Reads them from a request.
    ///
    /// # Errors
    /// A header that is missing or outside its form.
    pub fn from_map(headers: &HeaderMap) -> Result<Self, WebhookError> {
        let event = text(headers, EVENT_HEADER)?;
        let guid = text(headers, DELIVERY_HEADER)?;
        let target = text(headers, TARGET_HEADER)?;
        Self::new(event, guid, target)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, WebhookError> {
    headers
        .get(name)
        .ok_or(WebhookError::MissingHeader { name })?
        .to_str()
        .map_err(|_| WebhookError::BadHeader { name, problem: "it must be visible ASCII".into() })
}

fn bad(name: &'static str, error: &dyn std::error::Error) -> WebhookError {
    WebhookError::BadHeader { name, problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn each_missing_header_is_named() {
        let all = [(EVENT_HEADER, "ping"), (DELIVERY_HEADER, "g"), (TARGET_HEADER, "5")];
        assert_eq!(WebhookHeaders::from_map(&map(&all)).unwrap().app.get(), 5);
        for left_out in 0..all.len() {
            let mut some = all.to_vec();
            let (name, _) = some.remove(left_out);
            let error = WebhookHeaders::from_map(&map(&some)).unwrap_err();
            assert_eq!(error, WebhookError::MissingHeader { name });
        }
    }

    #[test]
    fn values_outside_their_form_are_refused() {
        for (event, guid, target) in [
            ("", "g", "5"),
            ("Ping\u{1b}", "g", "5"),
            ("ping", "", "5"),
            ("ping", "g", "five"),
            ("ping", "g", "-5"),
        ] {
            assert!(WebhookHeaders::new(event, guid, target).is_err(), "{event:?} {guid:?} {target:?}");
        }
    }
}
