//! The two text formats in which a scrape is answered.

use std::collections::BTreeSet;

use http::{HeaderMap, header::ACCEPT};

/// The content type of OpenMetrics.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of Prometheus' older format, which every scraper reads.
pub(super) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0, <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
    OpenMetrics,
    /// The older format of Prometheus.
    Plain,
}

impl Exposition {
    /// OpenMetrics for scrapers that ask for it by name, as Prometheus does; else the older format.
    #[must_use]
    pub fn asked(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut ranges = ranges.flat_map(|value| value.split(','));
        let wants = ranges.any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named =
                parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
            let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            named && !refused
        });
        if wants { Self::OpenMetrics } else { Self::Plain }
    }

    /// Its content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => OPEN_METRICS,
            Self::Plain => PLAIN,
        }
    }
}

/// The same metrics in the older format: there a counter is named with its `_total`, and units and the
/// end have no lines.
pub(super) fn plain(open_metrics: &str) -> String {
    let counters: BTreeSet<&str> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let described = ["# HELP ", "# TYPE "].into_iter().find_map(|kind| {
            let (name, rest) = line.strip_prefix(kind)?.split_once(' ')?;
            counters.contains(name).then(|| format!("{kind}{name}_total {rest}"))
        });
        text.push_str(described.as_deref().unwrap_or(line));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(accept: Option<&'static str>, expected: Exposition) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        assert_eq!(Exposition::asked(&headers), expected, "{accept:?}");
    }

    #[test]
    fn open_metrics_is_for_those_who_name_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        check(Some(prometheus), Exposition::OpenMetrics);
        check(Some("text/plain;version=0.0.4"), Exposition::Plain);
        check(Some("application/openmetrics-text;q=0"), Exposition::Plain);
        check(Some("*/*"), Exposition::Plain);
        check(None, Exposition::Plain);
    }

    #[test]
    fn a_counter_gets_its_full_name_in_the_older_format() {
        let open_metrics = "# HELP x_y Things.\n# TYPE x_y counter\nx_y_total{a=\"b\"} 1\n\
                            # HELP t_seconds Time.\n# TYPE t_seconds gauge\n# UNIT t_seconds seconds\nt_seconds 2.0\n# EOF\n";
        let expected = "# HELP x_y_total Things.\n# TYPE x_y_total counter\nx_y_total{a=\"b\"} 1\n\
                        # HELP t_seconds Time.\n# TYPE t_seconds gauge\nt_seconds 2.0\n";
        assert_eq!(plain(open_metrics), expected);
    }
}
