//! Preflight: each thing that must hold, found missing; and what strangers may learn.

#![expect(clippy::unwrap_used, reason = "what a test needs must be there, or the test fails where it stands")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan as _};
use riscv_runner_core::{
    controls::{Controls, Note},
    entity::EntityKind,
    ids::{EntityId, InstallationId, Login, PoolName, RepoName},
    labels::LabelSet,
    observed::{Observed, Why},
    policy::{EntityPolicy, Limits, NamePrefix, Policy, PoolPolicy, Timeouts},
    ports::{Account, Installed, OurApp, RepositoryFacts, RepositoryState, RunnerGroup},
    preflight::{self, Check, Finding, Greeting, Question, Verdict},
    routing::{LabelMatch, RepoPattern, Route},
};

const PUBLIC: RepositoryState = RepositoryState { private: false, archived: false };
const PRIVATE: RepositoryState = RepositoryState { private: true, archived: false };
const ORGANIZATION_PAGE: &str = "https://github.com/apps/for-organizations";
const USER_PAGE: &str = "https://github.com/apps/for-people";

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn installed(app: EntityKind, account: Option<EntityKind>) -> Installed {
    let permissions = preflight::required_permissions(app).map(|(name, level)| (name.into(), level.into()));
    Installed {
        id: InstallationId::new(7).unwrap(),
        app,
        account: Account {
            id: EntityId::new(70).unwrap(),
            login: Login::new("Acme").unwrap(),
            kind: account,
        },
        suspended_at: None,
        permissions: permissions.into(),
        events: ["workflow_job".to_owned()].into(),
        all_repositories: false,
        settings: Some("https://github.com/settings/installations/7".to_owned()),
        changed_at: Some(now()),
    }
}

/// Everything in order, for a public repository of an organization.
fn facts() -> RepositoryFacts {
    let page = |url: &str| Some(url.to_owned());
    RepositoryFacts {
        repo: RepoName::new("acme/widget").unwrap(),
        apps: vec![
            OurApp { kind: EntityKind::Organization, page: page(ORGANIZATION_PAGE) },
            OurApp { kind: EntityKind::User, page: page(USER_PAGE) },
        ],
        installations: vec![installed(EntityKind::Organization, Some(EntityKind::Organization))],
        chosen: BTreeSet::from([InstallationId::new(7).unwrap()]),
        repository: Observed::Present(PUBLIC),
        actions_allowed: Observed::Unknown(Why::NotLooked),
        group: Observed::Present(RunnerGroup { allows_public: true, allows_repository: true }),
        refused: None,
    }
}

fn policy() -> Policy {
    let pool = PoolName::new("k1").unwrap();
    let rule = |labels: &[&str], repositories: &[&str]| Route {
        labels: LabelSet::new(labels).unwrap(),
        label_match: LabelMatch::Exact,
        entities: Vec::new(),
        repositories: repositories.iter().map(|text| RepoPattern::new(*text).unwrap()).collect(),
        app: None,
        pool: pool.clone(),
        image: None,
        max_workers: None,
        warm: 0,
    };
    let node_selector = BTreeMap::from([("board".to_owned(), "k1".to_owned())]);
    let image = "registry.example/runner:24.04".parse().unwrap();
    Policy {
        pools: BTreeMap::from([(pool.clone(), PoolPolicy { node_selector, image, max_workers: None })]),
        routes: vec![
            rule(&["ubuntu-24.04-riscv"], &[]),
            rule(&["riscv", "fast"], &[]),
            rule(&["own"], &["acme/vault"]),
        ],
        entities: BTreeMap::new(),
        banned_senders: BTreeSet::new(),
        staging_repositories: BTreeSet::new(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        name_prefix: NamePrefix::new("rr-").unwrap(),
    }
}

fn examine(facts: &RepositoryFacts, labels: Option<&str>, may_know_private: bool) -> Vec<Finding> {
    examine_under(facts, labels, may_know_private, &policy(), &Controls::default())
}

fn examine_under(
    facts: &RepositoryFacts,
    labels: Option<&str>,
    may_know_private: bool,
    policy: &Policy,
    controls: &Controls,
) -> Vec<Finding> {
    let labels = labels.map(|text| LabelSet::new(text.split(',')).unwrap());
    preflight::examine(facts, &Question { labels: labels.as_ref(), policy, controls, may_know_private })
}

/// The one problem there is, and that all else that was judged holds.
fn only_problem(findings: &[Finding]) -> &Finding {
    let problems: Vec<_> = findings.iter().filter(|found| found.verdict != Verdict::Ok).collect();
    assert_eq!(problems.len(), 1, "{findings:#?}");
    assert_eq!(problems[0].verdict, Verdict::Problem);
    assert!(problems[0].remedy.is_some(), "{findings:#?}");
    problems[0]
}

/// Changes one fact and says which check finds it, with what words.
fn check(change: impl FnOnce(&mut RepositoryFacts), expected: Check, words: &str) {
    let mut facts = facts();
    change(&mut facts);
    let findings = examine(&facts, None, true);
    let found = only_problem(&findings);
    assert_eq!(found.check, expected, "{findings:#?}");
    let text = format!("{} | {} | {:?}", found.message, found.remedy.as_deref().unwrap(), found.links);
    assert!(text.contains(words), "{text}");
    assert!(!preflight::is_clear(&findings));
}

#[test]
fn all_in_order() {
    let findings = examine(&facts(), Some("Ubuntu-24.04-RISCV"), false);
    assert!(findings.iter().all(|found| found.verdict == Verdict::Ok), "{findings:#?}");
    assert!(preflight::is_clear(&findings));
    let checks: Vec<_> = findings.iter().map(|found| found.check.as_str()).collect();
    assert_eq!(
        checks,
        [
            "app_installed",
            "right_app",
            "not_suspended",
            "permissions",
            "events",
            "repository_chosen",
            "actions",
            "runner_group",
            "labels"
        ]
    );
    assert!(findings.last().unwrap().message.contains("pool k1 (24.04)"), "{findings:#?}");
}

#[test]
fn a_person_has_no_runner_group_to_look_at() {
    let mut facts = facts();
    facts.installations = vec![installed(EntityKind::User, Some(EntityKind::User))];
    facts.actions_allowed = Observed::Present(true);
    facts.group = Observed::Unknown(Why::NotLooked);
    let findings = examine(&facts, None, false);
    assert!(findings.iter().all(|found| found.verdict == Verdict::Ok), "{findings:#?}");
    assert!(findings.iter().all(|found| found.check != Check::RunnerGroup));
}

#[test]
fn each_thing_is_found_missing() {
    check(|facts| facts.installations.clear(), Check::AppInstalled, ORGANIZATION_PAGE);
    check(|facts| facts.installations.clear(), Check::AppInstalled, USER_PAGE);
    let wrong = |account| vec![installed(EntityKind::Organization, account)];
    check(|facts| facts.installations = wrong(Some(EntityKind::User)), Check::RightApp, USER_PAGE);
    check(|facts| facts.installations = wrong(None), Check::RightApp, "on an organization or on a personal");
    check(|facts| facts.installations[0].suspended_at = Some(now()), Check::NotSuspended, "2026-11-21");
    let lower = |facts: &mut RepositoryFacts| {
        let level = &mut facts.installations[0].permissions;
        level.insert("organization_self_hosted_runners".into(), "read".into());
        level.remove("actions");
    };
    check(lower, Check::Permissions, "lacks actions: read, organization_self_hosted_runners: write");
    check(|facts| facts.installations[0].events.clear(), Check::Events, "workflow_job");
    check(
        |facts| facts.chosen.clear(),
        Check::RepositoryChosen,
        "https://github.com/settings/installations/7",
    );
    let absent = |facts: &mut RepositoryFacts| {
        facts.chosen.clear();
        facts.repository = Observed::Absent;
    };
    check(absent, Check::RepositoryChosen, "does not exist, or is not chosen");
    let archived = RepositoryState { archived: true, ..PUBLIC };
    check(|facts| facts.repository = Observed::Present(archived), Check::Actions, "archived");
    check(|facts| facts.actions_allowed = Observed::Present(false), Check::Actions, "Actions is disabled");
    let group = |allows_public, allows_repository| {
        Observed::Present(RunnerGroup { allows_public, allows_repository })
    };
    check(|facts| facts.group = group(false, true), Check::RunnerGroup, "does not allow public");
    check(|facts| facts.group = group(true, false), Check::RunnerGroup, "may not be used by this repository");
    check(|facts| facts.refused = Some((now(), 403)), Check::Registration, "status 403");
}

#[test]
fn a_group_that_shuts_out_public_repositories_serves_private_ones_and_none_is_made_later() {
    let mut facts = facts();
    facts.repository = Observed::Present(PRIVATE);
    facts.group = Observed::Present(RunnerGroup { allows_public: false, allows_repository: true });
    assert!(preflight::is_clear(&examine(&facts, None, true)));
    facts.group = Observed::Absent;
    assert!(preflight::is_clear(&examine(&facts, None, true)));
}

#[test]
fn what_could_not_be_seen_is_unknown_and_no_problem() {
    type Blur = fn(&mut RepositoryFacts);
    let blurs: [(Check, Blur); 3] = [
        (Check::RunnerGroup, |facts| facts.group = Observed::Unknown(Why::Failed)),
        (Check::Actions, |facts| facts.actions_allowed = Observed::Unknown(Why::Failed)),
        (Check::RepositoryChosen, |facts| {
            facts.chosen.clear();
            facts.repository = Observed::Unknown(Why::RateLimited);
        }),
    ];
    for (check, blur) in blurs {
        let mut facts = facts();
        blur(&mut facts);
        let findings = examine(&facts, None, true);
        let found = findings.iter().find(|found| found.check == check).unwrap();
        assert_eq!(found.verdict, Verdict::Unknown);
        assert!(preflight::is_clear(&findings), "{findings:#?}");
    }
}

#[test]
fn bans_and_staging_are_told() {
    let id = EntityId::new(70).unwrap();
    let banned = EntityPolicy { banned: true, ..EntityPolicy::default() };
    let configured = Policy { entities: BTreeMap::from([(id, banned)]), ..policy() };
    let note = Note { reason: "spam".into(), actor: "ops".into(), since: now() };
    let at_run_time = Controls { banned_entities: BTreeMap::from([(id, note)]), ..Controls::default() };
    for (policy, controls) in [(&configured, &Controls::default()), (&policy(), &at_run_time)] {
        let findings = examine_under(&facts(), None, false, policy, controls);
        let found = only_problem(&findings);
        assert_eq!(found.check, Check::AccountServed);
        assert!(!format!("{found:?}").contains("spam"), "an operator's words are for operators");
    }
    let staged = Policy { staging_repositories: [RepoName::new("acme/widget").unwrap()].into(), ..policy() };
    let findings = examine_under(&facts(), None, false, &staged, &Controls::default());
    assert!(preflight::is_clear(&findings));
    assert!(findings.iter().any(|found| found.message.contains("staging")), "{findings:#?}");
}

#[test]
fn labels_that_no_rule_knows_are_answered_with_those_that_one_does() {
    let findings = examine(&facts(), Some("ubuntu-24.04-risc"), false);
    let found = only_problem(&findings);
    assert_eq!(found.check, Check::Labels);
    let remedy = found.remedy.as_deref().unwrap();
    assert!(remedy.contains("[ubuntu-24.04-riscv], [fast, riscv]"), "{remedy}");
    let nothing = Policy { routes: Vec::new(), ..policy() };
    let findings = examine_under(&facts(), None, false, &nothing, &Controls::default());
    assert_eq!(only_problem(&findings).check, Check::Labels);
}

#[test]
fn strangers_learn_nothing_of_private_repositories() {
    let vault = || RepositoryFacts { repo: RepoName::new("acme/vault").unwrap(), ..facts() };
    let staged = Policy { staging_repositories: [RepoName::new("acme/vault").unwrap()].into(), ..policy() };
    let seen =
        |facts: &RepositoryFacts| examine_under(facts, Some("own"), false, &staged, &Controls::default());
    let none = RepositoryFacts {
        chosen: BTreeSet::new(),
        repository: Observed::Absent,
        group: Observed::Unknown(Why::Failed),
        ..vault()
    };
    let expected = seen(&none);
    assert!(expected.iter().any(|found| found.check == Check::RepositoryChosen));
    assert!(!format!("{expected:?}").contains("[own]"), "a rule that names it is not told");
    let archived = RepositoryState { archived: true, ..PRIVATE };
    for repository in [PRIVATE, archived] {
        for actions_allowed in [Observed::Present(false), Observed::Present(true)] {
            for group in [Observed::Absent, facts().group] {
                for chosen in [BTreeSet::new(), facts().chosen] {
                    let private = RepositoryFacts {
                        repository: Observed::Present(repository),
                        actions_allowed: actions_allowed.clone(),
                        group: group.clone(),
                        chosen,
                        ..vault()
                    };
                    assert_eq!(seen(&private), expected);
                }
            }
        }
    }
    let private = RepositoryFacts { repository: Observed::Present(PRIVATE), ..vault() };
    let told = examine(&private, Some("own"), true);
    assert!(preflight::is_clear(&told), "those who may know are told all: {told:#?}");
}

#[test]
fn a_greeting_says_whether_the_app_fits_the_account() {
    use EntityKind::{Organization, User};
    for (app, account, expected) in [
        (Organization, Some(Organization), Greeting::Installed),
        (User, Some(User), Greeting::Installed),
        (Organization, Some(User), Greeting::WrongApp { account: User }),
        (User, Some(Organization), Greeting::WrongApp { account: Organization }),
        (Organization, None, Greeting::WrongType),
        (User, None, Greeting::WrongType),
    ] {
        assert_eq!(preflight::greet(&installed(app, account)), expected);
    }
    let mut suspended = installed(User, Some(User));
    suspended.suspended_at = Some(now());
    assert_eq!(preflight::greet(&suspended), Greeting::Suspended);
}

#[test]
fn an_installation_is_described_only_while_it_is_recent() {
    let installed = installed(EntityKind::User, Some(EntityKind::User));
    assert!(preflight::is_recent(&installed, now() + 14.minutes()));
    assert!(!preflight::is_recent(&installed, now() + 15.minutes()));
    assert!(!preflight::is_recent(&Installed { changed_at: None, ..installed }, now()));
}
