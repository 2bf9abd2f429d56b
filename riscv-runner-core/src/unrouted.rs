//! Labels that match no rule: which of them deserve attention, and what their author may have meant.

use std::{cmp::Reverse, collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    entity::Entity,
    policy::Policy,
    ports::UnroutedRow,
    routing::{Query, RuleVerdict, explain},
};

/// How far back such jobs are searched: GitHub cancels a queued job after a day.
pub const LOOK_BACK: Duration = Duration::from_hours(24);
/// How many rows of the log are read at most: most are of jobs for GitHub's own runners, and a busy
/// account makes thousands of them in an hour.
pub const MOST_ROWS: u32 = 20_000;

/// Jobs that asked for labels that match no rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unrouted {
    /// The jobs, summed up from the log.
    #[serde(flatten)]
    pub row: UnroutedRow,
    /// Why no rule took them.
    pub cause: Cause,
}

/// Why no rule took a label set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// A label is almost one that a rule has.
    NearlyKnown {
        /// The label as it was written.
        written: String,
        /// The label that a rule has.
        known: String,
    },
    /// A rule has these labels, but is for other accounts, repositories or Apps.
    ForOthers,
    /// No rule has similar labels; most likely they are for other runners.
    Unknown,
}

/// The order of attention: typos, then rules for others, then the rest; the latest first. Label sets that now
/// match a rule are left out.
#[must_use]
pub fn judge(policy: &Policy, rows: Vec<UnroutedRow>) -> Vec<Unrouted> {
    let known = known_labels(policy);
    let mut judged: Vec<_> = rows
        .into_iter()
        .filter_map(|row| Some(Unrouted { cause: cause(policy, &known, &row)?, row }))
        .collect();
    judged.sort_by_key(|unrouted| {
        let place = match unrouted.cause {
            Cause::NearlyKnown { .. } => 0_u8,
            Cause::ForOthers => 1,
            Cause::Unknown => 2,
        };
        (place, Reverse(unrouted.row.last_queued_at))
    });
    judged
}

/// Every label of every rule: in lower case, and as the rule spells it.
fn known_labels(policy: &Policy) -> BTreeSet<(&str, &str)> {
    let labels = policy.routes.iter().flat_map(|route| route.labels.labels());
    labels.map(|label| (label.canonical(), label.original())).collect()
}

fn cause(policy: &Policy, known: &BTreeSet<(&str, &str)>, row: &UnroutedRow) -> Option<Cause> {
    let entity = Entity { id: row.entity_id, login: row.entity_name.clone(), kind: row.entity_type };
    let query = Query { labels: &row.job_labels, entity: &entity, repo: &row.repo_full_name };
    let explanation = explain(policy, &query);
    if explanation.placement.is_some() {
        return None;
    }
    let is_for_others = |verdict: &RuleVerdict| {
        matches!(verdict, RuleVerdict::OtherEntity | RuleVerdict::OtherRepository | RuleVerdict::OtherApp)
    };
    if explanation.rules.iter().any(is_for_others) {
        return Some(Cause::ForOthers);
    }
    let nearest = row.job_labels.labels().iter().find_map(|label| {
        let (_, spelled) = nearest(known, label.canonical())?;
        Some(Cause::NearlyKnown { written: label.original().to_owned(), known: spelled.to_owned() })
    });
    Some(nearest.unwrap_or(Cause::Unknown))
}

/// The known label that differs from `written`, and by the least: at most every fifth letter, so that
/// `ubuntu-24.04` is not taken for `ubuntu-24.04-riscv`.
fn nearest<'a>(known: &BTreeSet<(&'a str, &'a str)>, written: &str) -> Option<(usize, &'a str)> {
    if known.iter().any(|(canonical, _)| *canonical == written) {
        return None;
    }
    let near = known.iter().filter_map(|(canonical, spelled)| {
        let length = canonical.chars().count().max(written.chars().count());
        let distance = strsim::osa_distance(canonical, written);
        (distance * 5 <= length).then_some((distance, *spelled))
    });
    near.min()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        entity::EntityKind,
        ids::{EntityId, ImageRef, Login, PoolName, RepoName},
        labels::LabelSet,
        policy::{Limits, NamePrefix, PoolPolicy, Timeouts},
        routing::{EntityPattern, LabelMatch, Route},
    };

    fn check(written: &str, expected: Option<&str>) {
        let known = [("ubuntu-24.04-riscv", "ubuntu-24.04-RISCV"), ("rva23", "rva23"), ("k1", "k1")].into();
        assert_eq!(nearest(&known, written).map(|(_, spelled)| spelled), expected, "{written}");
    }

    #[test]
    fn a_slip_of_the_keyboard_has_a_hint_and_another_label_has_none() {
        check("ubunut-24.04-riscv", Some("ubuntu-24.04-RISCV"));
        check("ubuntu-22.04-riscv", Some("ubuntu-24.04-RISCV"));
        check("ubuntu-24.04-riscv64", Some("ubuntu-24.04-RISCV"));
        check("rva32", Some("rva23"));
        check("ubuntu-24.04-riscv", None);
        check("ubuntu-24.04", None);
        check("ubuntu-latest", None);
        check("k3", None);
        check("macos-15", None);
    }

    fn route(labels: &str, entities: Vec<EntityPattern>) -> Route {
        Route {
            labels: LabelSet::new(labels.split(',')).unwrap(),
            label_match: LabelMatch::Exact,
            entities,
            repositories: Vec::new(),
            app: None,
            pool: PoolName::new("k1").unwrap(),
            image: None,
            max_workers: None,
            warm: 0,
        }
    }

    fn policy() -> Policy {
        let image = ImageRef::new("registry.example/runner:1").unwrap();
        let pool = PoolPolicy { node_selector: BTreeMap::new(), image, max_workers: None };
        Policy {
            pools: [(PoolName::new("k1").unwrap(), pool)].into(),
            routes: vec![
                route("ubuntu-24.04-riscv", Vec::new()),
                route("big-board", vec![EntityPattern::Id(EntityId::new(9).unwrap())]),
            ],
            entities: BTreeMap::new(),
            banned_senders: [].into(),
            staging_repositories: [].into(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            name_prefix: NamePrefix::new("rr-").unwrap(),
        }
    }

    fn row(labels: &str, last: i64) -> UnroutedRow {
        UnroutedRow {
            entity_id: EntityId::new(7).unwrap(),
            entity_name: Login::new("acme").unwrap(),
            entity_type: EntityKind::Organization,
            job_labels: LabelSet::new(labels.split(',')).unwrap(),
            repo_full_name: RepoName::new("acme/tools").unwrap(),
            jobs: 1,
            first_queued_at: Timestamp::UNIX_EPOCH,
            last_queued_at: Timestamp::from_second(last).unwrap(),
        }
    }

    #[test]
    fn typos_come_first_and_what_the_rules_take_by_now_is_left_out() {
        let rows = vec![
            row("ubuntu-latest", 9),
            row("ubuntu-24.04-riscv", 8),
            row("big-board", 7),
            row("ubuntu-24.04-riscv,ubunut-24.04-riscv", 6),
        ];
        let judged = judge(&policy(), rows);
        let causes: Vec<_> = judged.into_iter().map(|unrouted| unrouted.cause).collect();
        let typo = Cause::NearlyKnown {
            written: "ubunut-24.04-riscv".to_owned(),
            known: "ubuntu-24.04-riscv".to_owned(),
        };
        assert_eq!(causes, [typo, Cause::ForOthers, Cause::Unknown]);
    }
}
