//! Small pieces of pages: times, statuses, labels, and links that are safe to follow.

use jiff::{Timestamp, Unit};
use maud::{Markup, html};
use riscv_runner_core::{ids::WorkerName, labels::LabelSet};

use super::visitor::Visitor;

/// A time, readable and machine-readable; nothing for an unknown time.
pub(crate) fn time(at: Option<Timestamp>) -> Markup {
    html! {
        @match at {
            Some(at) => { time datetime=(at) { (at.strftime("%Y-%m-%d %H:%M:%S")) } }
            None => { (nothing()) }
        }
    }
}

/// The time between two times, coarse enough to read at a glance.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> String {
    seconds(to.since(from).ok().and_then(|span| span.total(Unit::Second).ok()).unwrap_or(0.0))
}

/// So many seconds, coarse enough to read at a glance.
pub(crate) fn seconds(seconds: f64) -> String {
    // Whole seconds of less than 10,000 years fit.
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A name of a closed list, as words.
pub(crate) fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A status as a word, with a colour that only repeats it.
pub(crate) fn status(status: &str) -> Markup {
    html! { span class={ "status " (status) } { (status) } }
}

/// Labels as their author wrote them.
pub(crate) fn labels(labels: &LabelSet) -> Markup {
    html! {
        ul class="labels" { @for label in labels.labels() { li { (label.original()) } } }
    }
}

/// A worker, as a link to all that is known of it.
pub(crate) fn worker(visitor: &Visitor, name: &WorkerName) -> Markup {
    html! { a href=(visitor.address(&format!("/worker/{name}"))) { (name) } }
}

/// A cell without a value.
pub(crate) fn nothing() -> Markup {
    html! { span class="quiet nothing" { "–" } }
}

/// A value, or a cell without one.
pub(crate) fn or_nothing(value: Option<&str>) -> Markup {
    html! {
        @match value {
            Some(value) => { (value) }
            None => { (nothing()) }
        }
    }
}

/// A link to a page outside; only `https` is followed, because the address is untrusted.
pub(crate) fn outside_link(address: Option<&str>, text: &str) -> Markup {
    html! {
        @match address.filter(|address| address.starts_with("https://")) {
            Some(address) => { a href=(address) rel="noreferrer noopener" { (text) } }
            None => { (text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_coarse() {
        let from = Timestamp::UNIX_EPOCH;
        let check = |seconds, expected: &str| {
            assert_eq!(span(from, Timestamp::from_second(seconds).unwrap()), expected);
        };
        check(0, "0 s");
        check(59, "59 s");
        check(61, "1 min 1 s");
        check(3_660, "1 h 1 min");
        check(90_000, "1 d 1 h");
        assert_eq!(span(Timestamp::from_second(5).unwrap(), from), "0 s");
    }

    #[test]
    fn an_address_with_script_is_not_a_link() {
        let markup = outside_link(Some("javascript:alert(1)"), "7").into_string();
        assert_eq!(markup, "7");
        let markup = outside_link(Some("https://github.com/a\"><script>"), "7").into_string();
        assert!(!markup.contains("<script>"), "{markup}");
    }
}
