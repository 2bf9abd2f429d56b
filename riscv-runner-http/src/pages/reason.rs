//! Why a job waits, in words.

use maud::{Markup, html};

use super::text;
use crate::views::ReasonView;

/// A short text with its explanation.
pub(super) fn words(reason: &ReasonView) -> Markup {
    html! { strong { (text::words(&reason.name)) } ": " bdi { (reason.sentence) } }
}
