//! `[heartbeat]`: a URL that a healthy leader calls, so that its silence is noticed.

use std::time::Duration;

use secrecy::SecretString;

use super::{notify::http_secret, reader::Section};

/// Uptime monitors expect a call a minute.
const EVERY: Duration = Duration::from_secs(60);
/// A call takes longer than that.
const SHORTEST: Duration = Duration::from_millis(100);

/// What is called, and how often.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    /// The address that the monitor hands out.
    pub(crate) url: Option<SecretString>,
    /// The time between two calls.
    pub(crate) every: Duration,
}

impl Heartbeat {
    /// Reads `[heartbeat]`: the URL holds a token.
    pub(crate) fn read(section: Section<'_>) -> Self {
        let url = http_secret(&section, "url", "url_file");
        let every = section.or("every", EVERY);
        if every < SHORTEST {
            section.error("every", "must be at least 100ms, to spare the monitor", None);
        }
        section.done();
        Self { url, every }
    }
}
