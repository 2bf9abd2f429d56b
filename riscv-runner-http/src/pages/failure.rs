//! Why a worker failed, in words: the reason first, the details on demand.

use maud::{Markup, html};
use riscv_runner_core::failure::{
    ContainerEnd, Diagnostics, FailureInfo, FailureReason, PodEvent, PodFailure,
};

use super::text;

/// More events than these are in the JSON twin only.
const MAX_EVENTS: usize = 20;
/// A page has a hundred rows, and each may have several logs; the rest is in the JSON twin.
const MAX_LOG_BYTES: usize = 8 * 1024;

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// A row of many: the latest events, and the end of each log, folded.
    Row,
    /// A page of its own: everything, unfolded.
    Page,
}

/// The reason, and what is known about it, folded where it is long.
pub(crate) fn brief(reason: FailureReason, info: &FailureInfo) -> Markup {
    html! {
        strong { (reason) }
        @match info {
            FailureInfo::V1(plain) => { p class="message" { (plain.message) } }
            FailureInfo::V2(pod) => { (details(pod, Space::Row)) }
            FailureInfo::Other(_) => { p class="message" { "The details are on the worker's page." } }
        }
    }
}

/// The reason, and everything known about it, at full length.
pub(crate) fn whole(reason: FailureReason, info: &FailureInfo) -> Markup {
    html! {
        p { strong { (text::words(reason.as_str())) } }
        @match info {
            FailureInfo::V1(plain) => { p class="message" { (plain.message) } }
            FailureInfo::V2(pod) => { (details(pod, Space::Page)) }
            FailureInfo::Other(told) => { pre tabindex="0" { (format!("{told:#}")) } }
        }
    }
}

/// What is known of a pod that has not failed.
pub(crate) fn so_far(seen: &Diagnostics) -> Markup {
    diagnostics(seen, Space::Page)
}

fn details(pod: &PodFailure, space: Space) -> Markup {
    html! {
        @if let Some(note) = &pod.note { p class="message" { bdi { (note) } } }
        (diagnostics(&pod.diagnostics, space))
    }
}

fn diagnostics(seen: &Diagnostics, space: Space) -> Markup {
    html! {
        @if seen.pod_reason.is_some() || seen.pod_message.is_some() {
            p class="message" {
                "Pod: " (seen.pod_reason.as_deref().unwrap_or("no reason"))
                @if let Some(message) = &seen.pod_message { ": " (message) }
            }
        }
        @for (name, end) in &seen.containers { (container(name, end, space)) }
        @if !seen.events.is_empty() { (events(&seen.events, space)) }
        @if let Some(error) = &seen.collect_error { p class="message" { "Not everything could be collected: " (error) } }
    }
}

fn container(name: &str, end: &ContainerEnd, space: Space) -> Markup {
    html! {
        p class="message" {
            "Container " (name) ": "
            @match end.exit_code {
                Some(code) => { "exit code " (code) }
                None => { "not ended" }
            }
            @if let Some(reason) = &end.reason { ", " (reason) }
            @if let Some(message) = &end.message { ": " (message) }
        }
        @if let Some(logs) = &end.logs {
            @let end = if space == Space::Page { logs } else { tail(logs) };
            details open[space == Space::Page] {
                summary {
                    "Log of container " (name)
                    @if end.len() < logs.len() { ", the last " (MAX_LOG_BYTES / 1024) " KiB" }
                }
                pre tabindex="0" { (end) }
            }
        }
    }
}

fn tail(log: &str) -> &str {
    let start = log.ceil_char_boundary(log.len().saturating_sub(MAX_LOG_BYTES));
    &log[start..]
}

fn events(events: &[PodEvent], space: Space) -> Markup {
    let shown = if space == Space::Page { events.len() } else { MAX_EVENTS };
    html! {
        details open[space == Space::Page] {
            summary { "Pod events (" (events.len()) ")" }
            ul {
                @for event in events.iter().skip(events.len().saturating_sub(shown)) {
                    li {
                        (text::time(event.last_seen)) " " (event.kind) " " (event.reason) ": " (event.message)
                        @if event.count > 1 { " (" (event.count) " times)" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_shows_its_end_and_says_so() {
        let log = format!("begin{}end", "ü".repeat(MAX_LOG_BYTES));
        assert!(tail(&log).len() <= MAX_LOG_BYTES && tail(&log).len() >= MAX_LOG_BYTES - 1);
        let end = ContainerEnd { logs: Some(log), ..ContainerEnd::default() };
        let markup = container("runner", &end, Space::Row).into_string();
        assert!(markup.contains("the last 8 KiB") && markup.contains("end</pre>"), "{markup}");
        assert!(!markup.contains("begin"), "{markup}");
        let whole = container("runner", &end, Space::Page).into_string();
        assert!(whole.contains("begin") && whole.contains("<details open"), "a page of its own has it all");
    }
}
