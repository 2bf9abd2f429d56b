//! Laws of the fold over the event log, and of the table of rules, on logs that chance writes.

#![expect(clippy::unwrap_used, reason = "what a test needs must be there, or the test fails where it stands")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use riscv_runner_core::{
    delivery::LogSource,
    entity::EntityKind,
    ids::{AppId, EntityId, EventId, InstallationId, Login, RepoId, RepoName},
    ports::LoggedEvent,
    trace::{
        Diagnosis, Question, RULES, RepoSaid, Says, Selection, Standing, TraceEvent, diagnose, state_at,
    },
};

const ACCOUNT: i64 = 7;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

fn repo(n: i64) -> RepoSaid {
    RepoSaid { id: RepoId::new(n).unwrap(), name: RepoName::new(format!("acme/r{n}")).unwrap() }
}

fn event(id: i64, second: i64, installation: i64, says: Says) -> TraceEvent {
    let scheduler = matches!(says, Says::AuthFailed { .. });
    TraceEvent {
        row: LoggedEvent {
            id: EventId::new(id).unwrap(),
            source: if scheduler { LogSource::Scheduler } else { LogSource::Webhook },
            event: "any".to_owned(),
            outcome: "ok".to_owned(),
            installation_id: Some(InstallationId::new(installation).unwrap()),
            app_id: Some(AppId::new(1).unwrap()),
            entity_type: Some(EntityKind::Organization),
            entity_id: Some(EntityId::new(ACCOUNT).unwrap()),
            entity_name: Some(Login::new("acme").unwrap()),
            job_id: None,
            repo_full_name: None,
            delivery_guid: None,
            received_at: at(second),
        },
        says,
    }
}

fn any_selection() -> impl Strategy<Value = Option<Selection>> {
    prop_oneof![Just(None), Just(Some(Selection::All)), Just(Some(Selection::Selected))]
}

fn any_repos() -> impl Strategy<Value = Vec<RepoSaid>> {
    prop::collection::vec((1..5_i64).prop_map(repo), 0..3)
}

fn any_says() -> impl Strategy<Value = Says> {
    prop_oneof![
        (any_selection(), any_repos()).prop_map(|(selection, repositories)| Says::Created {
            app: AppId::new(1).ok(),
            selection,
            repositories
        }),
        Just(Says::Deleted),
        Just(Says::Suspended),
        Just(Says::Unsuspended),
        (any_selection(), any_repos(), any_repos())
            .prop_map(|(selection, added, removed)| Says::Repositories { selection, added, removed }),
        "[a-c]".prop_map(|name| Says::Renamed { from: None, to: Login::new(name).unwrap() }),
        prop_oneof![Just(None), Just(Some(404_u16)), Just(Some(500_u16))]
            .prop_map(|status| Says::AuthFailed { status }),
        prop::option::of((1..5_i64).prop_map(repo)).prop_map(Says::Job),
        Just(Says::Stands),
        Just(Says::Nothing),
    ]
}

/// Up to a dozen rows within a minute, often several in one moment, of two installations.
fn any_log() -> impl Strategy<Value = Vec<TraceEvent>> {
    prop::collection::vec((0..60_i64, 1..3_i64, any_says()), 0..12).prop_map(|rows| {
        let rows = rows.into_iter().zip(1..);
        rows.map(|((second, installation, says), id)| event(id, second, installation, says)).collect()
    })
}

fn any_question() -> impl Strategy<Value = Question> {
    (0..70_i64, prop::option::of(1..4_i64), prop::option::of(1..5_i64)).prop_map(
        |(second, installation, asked)| Question {
            installation: installation.map(|id| InstallationId::new(id).unwrap()),
            repo: asked.map(|n| (repo(n).name, Some(repo(n).id))),
            apps: BTreeMap::from([(AppId::new(1).unwrap(), EntityKind::Organization)]),
            ..Question::at(at(second))
        },
    )
}

proptest! {
    #[test]
    fn the_order_of_the_rows_does_not_matter(log in any_log(), second in 0..70_i64, seed in any::<u64>()) {
        let mut shuffled = log.clone();
        shuffled.sort_by_key(|event| (event.row.id.get().unsigned_abs() + 1).wrapping_mul(seed | 1));
        prop_assert_eq!(state_at(&log, at(second)), state_at(&shuffled, at(second)));
    }

    #[test]
    fn a_row_that_is_there_twice_counts_once(log in any_log(), second in 0..70_i64) {
        let twice: Vec<_> = log.iter().chain(&log).cloned().collect();
        prop_assert_eq!(state_at(&log, at(second)), state_at(&twice, at(second)));
    }

    #[test]
    fn the_state_at_a_time_is_that_of_the_rows_up_to_it(log in any_log(), second in 0..70_i64) {
        let past: Vec<_> = log.iter().filter(|event| event.row.received_at <= at(second)).cloned().collect();
        prop_assert_eq!(state_at(&log, at(second)), state_at(&past, Timestamp::MAX));
    }

    #[test]
    fn what_was_known_once_is_known_later(log in any_log(), second in 0..70_i64, later in 0..70_i64) {
        let (before, after) = (state_at(&log, at(second)), state_at(&log, at(second + later)));
        for (id, known) in &before.installations {
            let then = after.installations.get(id);
            prop_assert_eq!(then.map(|then| then.first), Some(known.first));
            prop_assert!(then.is_some_and(|then| then.last_delivery >= known.last_delivery));
        }
    }

    #[test]
    fn what_is_gone_stays_gone_until_it_is_installed(log in any_log()) {
        let state = state_at(&log, Timestamp::MAX);
        for (id, known) in &state.installations {
            let mut of_it: Vec<_> = log.iter().filter(|event| event.row.installation_id == Some(*id)).collect();
            of_it.sort_by_key(|event| (event.row.received_at, event.row.id));
            let last = of_it.iter().rev().find(|event| matches!(event.says, Says::Deleted | Says::Created { .. }));
            let gone = last.is_some_and(|event| event.says == Says::Deleted);
            prop_assert_eq!(matches!(known.standing, Standing::Deleted(_)), gone);
        }
    }

    #[test]
    fn every_diagnosis_is_shown_by_rows_of_the_log(log in any_log(), question in any_question()) {
        let found = diagnose(&state_at(&log, question.at), &question);
        prop_assert!(!found.is_empty());
        let past: BTreeSet<_> =
            log.iter().filter(|event| event.row.received_at <= question.at).map(|event| event.row.id).collect();
        for one in &found {
            prop_assert!(one.evidence.iter().all(|id| past.contains(id)), "{:?}", one);
            prop_assert_eq!(one.evidence.is_empty(), one.diagnosis == Diagnosis::NothingKnown);
        }
        let of = |diagnosis: Diagnosis| {
            found.iter().filter(|one| one.diagnosis == diagnosis).map(|one| one.installation_id).collect::<BTreeSet<_>>()
        };
        for healthy in of(Diagnosis::Healthy) {
            let all = found.iter().filter(|one| one.installation_id == healthy).count();
            prop_assert_eq!(all, 1, "who is healthy has nothing else");
        }
    }
}

#[test]
fn the_table_names_each_diagnosis_once_and_fallbacks_last() {
    let names: Vec<_> = RULES.iter().map(|rule| rule.diagnosis).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(RULES.is_sorted_by_key(|rule| rule.fallback));
    assert_eq!(RULES.last().map(|rule| rule.diagnosis), Some(Diagnosis::Healthy));
}
