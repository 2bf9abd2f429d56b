//! `[heartbeat]`: a URL that a healthy leader calls, so that its silence is noticed. Checked only: nobody
//! calls it yet.

use std::time::Duration;

use super::{reader::Section, retention::not_acted_on};

/// Uptime monitors expect a call a minute.
const EVERY: Duration = Duration::from_secs(60);
/// It is somebody else's server.
const SHORTEST: Duration = Duration::from_secs(1);

/// Checks `[heartbeat]`: the URL holds a token.
pub(crate) fn check(section: Section<'_>) {
    section.secret("url", "url_file");
    if section.or("every", EVERY) < SHORTEST {
        section.error("every", "must be at least 1s: it is somebody else's server", None);
    }
    not_acted_on(&section);
    section.done();
}
