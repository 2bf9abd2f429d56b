//! How far GitHub's clock is from ours, as its answers date themselves.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use reqwest::header::{DATE, HeaderMap};

/// `Date` is cut to whole seconds, so on average it is this much behind.
const CUT: SignedDuration = SignedDuration::from_millis(500);

/// The last difference seen.
#[derive(Debug, Default)]
pub(super) struct Skew(Mutex<Option<SignedDuration>>);

impl Skew {
    /// Takes an answer into account, which came to a request sent at `sent`.
    pub(super) fn learn(&self, headers: &HeaderMap, sent: Timestamp, received: Timestamp) {
        let Some(ahead) = ahead(headers, sent, received) else { return };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
    }

    /// How far GitHub is ahead of us.
    pub(super) fn get(&self) -> Option<SignedDuration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ahead(headers: &HeaderMap, sent: Timestamp, received: Timestamp) -> Option<SignedDuration> {
    let date = rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?.timestamp();
    let ours = sent.checked_add(received.duration_since(sent) / 2).ok()?;
    Some(date.duration_since(ours) + CUT)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_difference_is_taken_at_the_middle_of_the_exchange() {
        let mut headers = HeaderMap::new();
        let skew = Skew::default();
        skew.learn(&headers, at("2026-05-04T10:00:00Z"), at("2026-05-04T10:00:02Z"));
        assert_eq!(skew.get(), None);
        headers.insert(DATE, HeaderValue::from_static("Mon, 04 May 2026 10:01:00 GMT"));
        skew.learn(&headers, at("2026-05-04T10:00:00Z"), at("2026-05-04T10:00:02Z"));
        assert_eq!(skew.get(), Some(SignedDuration::from_millis(59_500)));
        headers.insert(DATE, HeaderValue::from_static("yesterday"));
        skew.learn(&headers, at("2026-05-04T10:00:00Z"), at("2026-05-04T10:00:02Z"));
        assert_eq!(skew.get(), Some(SignedDuration::from_millis(59_500)), "nothing new was learnt");
    }
}
