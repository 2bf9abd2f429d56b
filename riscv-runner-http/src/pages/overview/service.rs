//! The overview's facts about the service itself.

use maud::{Markup, html};

use super::OverviewJson;
use crate::{pages::text, readiness::PeerState};

/// Who leads, and whether those outside answer.
pub(super) fn facts(overview: &OverviewJson<'_>) -> Markup {
    html! {
        dl class="facts" {
            dt { "Leader" }
            dd { (text::or_nothing(overview.status.leader.as_ref().map(|leader| leader.name.as_ref()))) }
            dt { "Cluster" } dd { (peer(overview.cluster)) }
            dt { "GitHub" } dd { (peer(overview.github)) }
        }
    }
}

fn peer(state: PeerState) -> Markup {
    html! {
        @match state.reachable {
            Some(true) => { "answers" }
            Some(false) => { strong { "does not answer" } }
            None => { "not asked by this process" }
        }
        @if let Some(seen) = state.last_seen { ", last seen " (text::time(Some(seen))) " UTC" }
    }
}
