//! The frame of every page: head, navigation, and the parts that pages share.

use axum::response::Response;
use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::visitor::Visitor;
use crate::{
    answer::{self, Fault},
    views::Reader,
};

/// Path and name of each page in the navigation.
const PAGES: [(&str, &str); 10] = [
    ("/", "Overview"),
    ("/queue", "Queue"),
    ("/pools", "Pools"),
    ("/boards", "Boards"),
    ("/jobs", "Jobs"),
    ("/workers", "Workers"),
    ("/usage", "Usage"),
    ("/stats/weekly-usage", "Weekly usage"),
    ("/controls", "Controls"),
    (CHECK, "Check"),
];

/// The page that only a process that may ask GitHub shows.
const CHECK: &str = "/check";

/// Those that only a process with a scheduler shows.
const SEEN: [&str; 2] = ["/queue", "/boards"];

/// Columns of figures, on whatever page; their headings stand above the figures, at the right. So do weeks.
const FIGURES: [&str; 12] = [
    "Boards",
    "Jobs",
    "Jobs running",
    "Jobs waiting",
    "Running",
    "Slots",
    "Slots free",
    "Total",
    "Waiting",
    "Workers",
    "Workers running",
    "Workers starting",
];

/// Pages that are served below a second path.
const ALIASES: [(&str, &str); 2] = [("/", "/status"), ("/jobs", "/history")];

/// How often a page of what changes by the second reloads itself, in seconds: slow enough to read.
const REFRESH: u32 = 15;

/// A whole page.
pub(crate) fn page(status: StatusCode, visitor: &Visitor, title: &str, content: &Markup) -> Response {
    written(status, &framed(visitor, title, content, &html! {}))
}

/// A part of a page that is replaced when it changes.
pub(crate) struct Part {
    /// Which part.
    pub(crate) name: &'static str,
    /// What it shows now.
    pub(crate) content: Markup,
}

impl Part {
    /// The part, named so that the script finds it.
    pub(crate) fn markup(&self) -> Markup {
        html! { section data-part=(self.name) { (self.content) } }
    }
}

/// A whole page whose parts are kept up to date by the stream at `source`; without script it loads
/// itself anew.
pub(crate) fn watched_page(
    visitor: &Visitor,
    title: &str,
    source: &str,
    parts: &[Part],
    as_of: &Part,
) -> Response {
    let head = html! {
        noscript { meta http-equiv="refresh" content=(REFRESH); }
        script src=(visitor.address("/live.js")) defer {}
    };
    let content = html! {
        div data-live=(visitor.address(source)) {
            @for part in parts { (part.markup()) }
            (as_of.markup())
        }
        p class="quiet" id="live-status" role="status" {}
    };
    written(StatusCode::OK, &framed(visitor, title, &content, &head))
}

/// A whole page that reloads itself.
pub(crate) fn live_page(visitor: &Visitor, title: &str, content: &Markup) -> Response {
    written(
        StatusCode::OK,
        &framed(visitor, title, content, &html! { meta http-equiv="refresh" content=(REFRESH); }),
    )
}

fn written(status: StatusCode, markup: &Markup) -> Response {
    answer::typed(status, "text/html; charset=utf-8", markup.0.clone())
}

fn framed(visitor: &Visitor, title: &str, content: &Markup, head: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                (head)
                title { (title) " · RISC-V runners" }
                link rel="icon" type="image/svg+xml" href=(visitor.address("/icon.svg"));
                link rel="stylesheet" href=(visitor.address("/style.css"));
            }
            body {
                a class="skip" href="#content" { "Skip to the content" }
                header {
                    p class="name" { "RISC-V runners" }
                    nav aria-label="Pages" { ul { (navigation(visitor)) } }
                }
                main id="content" tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
            }
        }
    }
}

fn navigation(visitor: &Visitor) -> Markup {
    html! {
        @for (path, name) in PAGES {
            @let shown = if path == CHECK { visitor.inspects } else { visitor.sees_queue || !SEEN.contains(&path) };
            @if shown { li { (link(visitor, path, name)) } }
        }
    }
}

fn link(visitor: &Visitor, path: &str, name: &str) -> Markup {
    let current = visitor.path == path || ALIASES.contains(&(path, visitor.path.as_str()));
    html! {
        a href=(visitor.address(path)) aria-current=[current.then_some("page")] { (name) }
    }
}

/// What was wrong, as HTML.
pub(crate) fn fault(fault: &Fault) -> Markup {
    html! {
        p role="alert" {
            @if let Some(parameter) = fault.parameter { code { (parameter) } ": " }
            (fault.error)
        }
        @if let Some(hint) = &fault.hint { p class="quiet" { "Hint: " (hint) } }
    }
}

/// A wide table that scrolls by itself on a narrow screen, reachable by keyboard.
pub(crate) fn table(name: &str, caption: &Markup, columns: &[&str], rows: &Markup) -> Markup {
    tabled("plain-table", name, caption, columns, rows)
}

/// A table whose rows are cards on a narrow screen; each `td` has the name of its column in `data-name`.
pub(crate) fn cards(name: &str, caption: &Markup, columns: &[&str], rows: &Markup) -> Markup {
    tabled("cards", name, caption, columns, rows)
}

fn tabled(class: &str, name: &str, caption: &Markup, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        div class="scroll" role="region" aria-label=(name) tabindex="0" {
            table class=(class) {
                caption { (caption) }
                thead {
                    tr { @for column in columns { th scope="col" class=[holds_figures(column)] { (column) } } }
                }
                tbody { (rows) }
            }
        }
    }
}

/// The class of a column's heading, if it holds figures.
fn holds_figures(column: &str) -> Option<&'static str> {
    let is_week = column.starts_with(|first: char| first.is_ascii_digit());
    (is_week || FIGURES.contains(&column)).then_some("number")
}

/// What an anonymous reader does not see.
pub(crate) fn concealed_note(visitor: &Visitor, what: &str) -> Markup {
    html! {
        @if visitor.reader == Reader::Anonymous {
            p class="quiet" {
                (what) " are shown to authenticated readers only. "
                a href=(visitor.address("/sign-in")) { "Sign in" }
            }
        }
    }
}
