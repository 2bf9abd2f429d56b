//! Pages: by number, and by cursor.

use std::fmt::Write as _;

use super::{Shared, routes::Question};

/// What was asked for, and where the rest is.
pub(super) struct Page<'a> {
    pub(super) items: &'a [usize],
    pub(super) link: Option<String>,
}

/// How many items a page has.
pub(super) fn size(shared: &Shared, question: &Question) -> usize {
    let asked = question.query("per_page").map_or(Some(30), |text| text.parse::<usize>().ok());
    let Some(asked @ 1..=100) = asked else {
        shared.violation(format!("{}: per_page must be 1 to 100", question.path));
        return 30;
    };
    asked.min(shared.config.page_limit)
}

/// The page of `all` that was asked for by number (from 1).
pub(super) fn by_number<'a>(shared: &Shared, question: &Question, all: &'a [usize]) -> Page<'a> {
    let size = size(shared, question);
    let page = question.query("page").and_then(|text| text.parse::<usize>().ok()).unwrap_or(1).max(1);
    let begin = all.len().min((page - 1) * size);
    let end = all.len().min(begin + size);
    let last = all.len().div_ceil(size).max(1);
    let link = (page < last).then(|| {
        let at = |page: usize| address(shared, question, "page", &page.to_string());
        format!("<{}>; rel=\"next\", <{}>; rel=\"last\"", at(page + 1), at(last))
    });
    Page { items: &all[begin..end], link }
}

/// The question's own address with one parameter changed.
pub(super) fn address(shared: &Shared, question: &Question, parameter: &str, value: &str) -> String {
    let mut text = format!("{}{}?{parameter}={value}", shared.root, question.path);
    for (name, value) in question.queries.iter().filter(|(name, _)| name != parameter) {
        let _ = write!(text, "&{name}={value}");
    }
    text
}
