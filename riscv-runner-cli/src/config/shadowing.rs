//! Rules that no job can reach, because an earlier rule takes everything that they would take.

use riscv_runner_core::ids::RepoName;
use riscv_runner_core::routing::{EntityPattern, LabelMatch, RepoPattern, Route};

use super::{problem::Problems, routes::PlacedRoute};

/// Notes an error for every rule that an earlier one always shadows.
pub(crate) fn check(routes: &[PlacedRoute], problems: &Problems) {
    for (n, later) in routes.iter().enumerate() {
        if let Some(earlier) = routes[..n].iter().find(|earlier| covers(&earlier.route, &later.route)) {
            let problem = format!(
                "can never match: {} ({}) takes every job that it would take",
                earlier.key, earlier.origin
            );
            let hint = "move it before that rule, or remove it".to_owned();
            problems.error(&later.origin, &later.key, problem, Some(hint));
        }
    }
}

/// Whether every job that `later` matches, `earlier` matches too.
fn covers(earlier: &Route, later: &Route) -> bool {
    labels_cover(earlier, later)
        && earlier.app.is_none_or(|app| later.app == Some(app))
        && all_covered(&earlier.entities, &later.entities, entity_covers)
        && all_covered(&earlier.repositories, &later.repositories, repo_covers)
}

fn labels_cover(earlier: &Route, later: &Route) -> bool {
    match (earlier.label_match, later.label_match) {
        (LabelMatch::Subset, _) => later.labels.is_subset(&earlier.labels),
        (LabelMatch::Exact, LabelMatch::Exact) => earlier.labels == later.labels,
        // A set of one label has no other subset that a job could ask for.
        (LabelMatch::Exact, LabelMatch::Subset) => {
            earlier.labels == later.labels && later.labels.labels().len() == 1
        }
    }
}

/// An empty condition holds for every job.
fn all_covered<T>(earlier: &[T], later: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    earlier.is_empty()
        || (!later.is_empty() && later.iter().all(|one| earlier.iter().any(|other| covers(other, one))))
}

fn entity_covers(earlier: &EntityPattern, later: &EntityPattern) -> bool {
    match (earlier, later) {
        (EntityPattern::Id(a), EntityPattern::Id(b)) => a == b,
        (EntityPattern::Login(a), EntityPattern::Login(b)) => a.as_str().eq_ignore_ascii_case(b.as_str()),
        (EntityPattern::Id(_), EntityPattern::Login(_)) | (EntityPattern::Login(_), EntityPattern::Id(_)) => {
            false
        }
    }
}

fn repo_covers(earlier: &RepoPattern, later: &RepoPattern) -> bool {
    let (wide, narrow) = (String::from(earlier.clone()), String::from(later.clone()));
    if wide.eq_ignore_ascii_case(&narrow) || wide == "*/*" {
        return true;
    }
    // A pattern without wildcards is a name, which the earlier pattern can be asked about.
    !narrow.contains(['*', '?', '[', '{', '\\'])
        && RepoName::new(&narrow).is_ok_and(|name| earlier.matches(&name))
}
