//! A moment as an operator writes it: a time, a day, or how long ago.

use std::str::FromStr;

use jiff::{Span, SpanRelativeTo, Timestamp, civil::Date, tz::TimeZone};

/// A moment, fixed once the time is known.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// At this time.
    At(Timestamp),
    /// This long before now; days have 24 hours.
    Ago(Span),
}

impl When {
    /// The moment, when it is now `now`.
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => span
                .to_duration(SpanRelativeTo::days_are_24_hours())
                .ok()
                .and_then(|span| now.checked_sub(span.abs()).ok())
                .unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        // A time of day without an offset would be read as its day.
        let day = text.parse::<Date>().ok().filter(|_| !text.contains(['T', 't', ' ']));
        if let Some(at) = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok()) {
            return Ok(Self::At(at.timestamp()));
        }
        let ago = text.strip_prefix('-').and_then(|span| span.parse::<Span>().ok());
        match ago {
            Some(span) if span.get_years() == 0 && span.get_months() == 0 => Ok(Self::Ago(span)),
            Some(_) | None => Err(
                "write a time (2026-11-21T10:00:00Z), a day (2026-11-21, UTC), or how long ago (-2h, -3d)"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_a_day_and_how_long_ago_are_understood() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z"),
            ("2026-11-20T08:00:00+02:00", "2026-11-20T06:00:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("-2h", "2026-11-21T08:00:00Z"),
            ("-1d 30m", "2026-11-20T09:30:00Z"),
            ("-2w", "2026-11-07T10:00:00Z"),
        ] {
            let when: When = text.parse().unwrap();
            assert_eq!(when.at(now), expected.parse().unwrap(), "{text}");
        }
        for text in ["", "yesterday", "2h", "-", "-1month", "2026-13-01", "2026-11-21T10:00"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }
}
