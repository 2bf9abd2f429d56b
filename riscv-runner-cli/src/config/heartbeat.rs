//! `[heartbeat]`: a URL that a healthy leader calls, so that its silence is noticed.

use std::time::Duration;

use secrecy::SecretString;

use super::{reader::Section, retention::not_acted_on};

/// Uptime monitors expect a call a minute.
const EVERY: Duration = Duration::from_secs(60);

/// Whom a healthy leader calls.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    /// The URL, which holds a token.
    pub(crate) url: Option<SecretString>,
    /// How often.
    pub(crate) every: Duration,
}

impl Heartbeat {
    /// Reads `[heartbeat]`.
    pub(crate) fn read(section: Section<'_>) -> Self {
        let heartbeat =
            Self { url: section.secret("url", "url_file").get(), every: section.or("every", EVERY) };
        if heartbeat.every < Duration::from_secs(1) {
            section.error("every", "must be at least 1s: it is somebody else's server", None);
        }
        not_acted_on(&section);
        section.done();
        heartbeat
    }
}
