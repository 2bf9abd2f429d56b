//! HTML or JSON: by the path's suffix, else by `Accept`.

use http::{HeaderMap, header::ACCEPT};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Representation {
    /// HTML, for reading.
    Html,
    /// JSON, for programs.
    Json,
}

impl Representation {
    /// `.json` decides; else JSON when `Accept` prefers it to HTML, else HTML.
    pub(crate) fn asked(path: &str, headers: &HeaderMap) -> Self {
        if path.ends_with(".json") {
            return Self::Json;
        }
        let (mut html, mut json) = (0, 0);
        for value in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
            for range in value.split(',') {
                let mut parts = range.split(';').map(str::trim);
                let weight = match parts.next().map(str::to_ascii_lowercase).as_deref() {
                    Some("application/json") => &mut json,
                    Some("text/html" | "application/xhtml+xml") => &mut html,
                    Some(_) | None => continue,
                };
                let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
                *weight = quality.max(*weight);
            }
        }
        if json > html { Self::Json } else { Self::Html }
    }
}

/// A quality of RFC 9110 as an integer; what cannot be read counts as unwanted.
fn thousandths(quality: &str) -> u32 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse::<u32>()) {
        ("1", Ok(_)) => 1000,
        ("0", Ok(digits)) => digits,
        (_, Ok(_) | Err(_)) => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(path: &str, accept: &str, expected: Representation) {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        }
        assert_eq!(Representation::asked(path, &headers), expected, "{path} {accept}");
    }

    #[test]
    fn the_suffix_wins_then_accept_then_html() {
        check("/jobs.json", "text/html", Representation::Json);
        check("/jobs", "", Representation::Html);
        check("/jobs", "*/*", Representation::Html);
        check("/jobs", "application/json", Representation::Json);
        check(
            "/jobs",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            Representation::Html,
        );
        check("/jobs", "text/html;q=0.5, application/json;q=0.9", Representation::Json);
        check("/jobs", "application/json;q=0.1, text/html", Representation::Html);
        check("/jobs", "application/json;q=0", Representation::Html);
        check("/jobs", "Application/JSON; q=1.0", Representation::Json);
    }
}
