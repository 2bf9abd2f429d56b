//! What operators are notified of: each event and state, patience, ends, filters, and what is withheld.

#![expect(clippy::unwrap_used, reason = "what a test needs must be there, or the test fails where it stands")]

mod common;

use std::time::Duration;

use common::{NOW, World, note};
use jiff::Timestamp;
use riscv_runner_core::{
    failure::FailureReason,
    ids::InstallationId,
    notify::{Notification, Rules, Severity, Throttle, Topic, Watchman},
    observed::{Observed, Why},
    plan,
    ports::EngineEvent,
    quarantine::Quarantine,
    snapshot::{InstallationHealth, Snapshot},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(NOW + second).unwrap()
}

/// A watchman with a world that it looks at again and again.
struct Watching {
    world: World,
    watchman: Watchman,
    rules: Rules,
}

impl Watching {
    fn new(world: World) -> Self {
        Self { world, watchman: Watchman::default(), rules: Rules::default() }
    }

    /// What a look at this second tells, as `topic subject` with `!` for what is over.
    fn look(&mut self, second: i64) -> Vec<String> {
        self.look_with(second, |_| {})
    }

    fn look_with(&mut self, second: i64, change: impl FnOnce(&mut Snapshot)) -> Vec<String> {
        let mut snapshot = self.world.snapshot.clone();
        snapshot.now = at(second);
        change(&mut snapshot);
        let plan = plan::schedule(&snapshot, &self.world.policy);
        let told = self.watchman.look(&snapshot, &plan, &self.world.policy, &self.rules);
        told.iter().map(short).collect()
    }
}

fn short(told: &Notification) -> String {
    format!("{} {}{}", told.topic, told.subject, if told.ended { " !" } else { "" })
}

fn health(change: impl FnOnce(&mut InstallationHealth)) -> (InstallationId, InstallationHealth) {
    let mut health = InstallationHealth::default();
    change(&mut health);
    (InstallationId::new(10).unwrap(), health)
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_pool_without_boards_is_told_after_its_patience_once_and_when_it_is_over() {
    let mut t = Watching::new(World::new("a:0").job(1, "1", "a", 60).job(2, "1", "a", 50));
    let minutes = 60;
    assert_eq!(t.look(0), NOTHING);
    assert_eq!(t.look(15 * minutes - 1), NOTHING);
    assert_eq!(t.look(15 * minutes), ["pool_exhausted a"]);
    assert_eq!(t.look(16 * minutes), NOTHING);
    let free = |snapshot: &mut Snapshot| snapshot.demand.clear();
    assert_eq!(t.look_with(17 * minutes, free), ["pool_exhausted a !"]);
    assert_eq!(t.look_with(18 * minutes, free), NOTHING);
    t.rules.pool_exhausted_after = Duration::from_secs(60);
    assert_eq!(t.look(19 * minutes), NOTHING, "it begins anew");
    assert_eq!(t.look(20 * minutes), ["pool_exhausted a"]);
}

#[test]
fn a_pool_is_exhausted_whether_or_not_a_board_of_it_is_set_aside() {
    let set_aside = |world: World| {
        world.job(1, "1", "a", 60).edit(|w| {
            let quarantine = Quarantine { strikes: 3, times: 1, until: Some(at(100_000)) };
            w.snapshot.quarantines.insert("a0".parse().unwrap(), quarantine);
        })
    };
    for world in [World::new("a:1"), World::new("a:2").running_worker("w", "2", "a", "a1", 60)] {
        let mut t = Watching::new(set_aside(world));
        assert_eq!(t.look(0), NOTHING);
        assert_eq!(t.look(15 * 60), ["pool_exhausted a"]);
    }
}

#[test]
fn what_ends_before_it_was_told_is_not_told() {
    let mut t = Watching::new(World::new("a:0").job(1, "1", "a", 60));
    assert_eq!(t.look(0), NOTHING);
    assert_eq!(t.look_with(60, |snapshot| snapshot.demand.clear()), NOTHING);
    assert_eq!(t.look(1000), NOTHING);
}

#[test]
fn a_board_that_fails_is_told_and_one_that_is_being_worked_on_is_not() {
    let down = World::new("a:3")
        .edit_node("a0", |node| node.ready = false)
        .edit_node("a1", |node| (node.ready, node.cordoned) = (false, true))
        .node("control-plane", &[("role", "control")])
        .edit_node("control-plane", |node| node.ready = false);
    let mut t = Watching::new(down);
    let drained = |snapshot: &mut Snapshot| {
        snapshot.controls.drained_nodes.insert("a2".parse().unwrap(), note());
        let Observed::Present(nodes) = &mut snapshot.nodes else { unreachable!() };
        nodes.get_mut(&"a2".parse().unwrap()).unwrap().ready = false;
    };
    assert_eq!(t.look_with(0, drained), NOTHING);
    assert_eq!(t.look_with(120, drained), ["board_lost a0"]);
    let back = World::new("a:3");
    t.world = back;
    assert_eq!(t.look(150), ["board_lost a0 !"]);
    t.world = t.world.edit_node("a0", |node| node.unreachable_since = Some(at(140)));
    assert_eq!(t.look(160), NOTHING);
    assert_eq!(t.look(280), ["board_lost a0"]);
}

#[test]
fn a_board_that_is_gone_is_missed_unless_it_was_cordoned_before() {
    let mut t = Watching::new(World::new("a:2"));
    assert_eq!(t.look(0), NOTHING);
    t.world = World::new("a:2").edit_node("a1", |node| node.cordoned = true);
    assert_eq!(t.look(30), NOTHING);
    let gone = |snapshot: &mut Snapshot| snapshot.nodes = Observed::Present(Default::default());
    assert_eq!(t.look_with(60, gone), NOTHING);
    assert_eq!(t.look_with(180, gone), ["board_lost a0"]);
}

#[test]
fn what_cannot_be_seen_neither_begins_nor_ends() {
    let mut t = Watching::new(World::new("a:1").edit_node("a0", |node| node.ready = false));
    t.look(0);
    assert_eq!(t.look(120), ["board_lost a0"]);
    let blind = |snapshot: &mut Snapshot| snapshot.nodes = Observed::Unknown(Why::Failed);
    assert_eq!(t.look_with(150, blind), NOTHING);
    assert_eq!(t.look(180), NOTHING, "it is still the same");
}

#[test]
fn failing_authentication_and_limits_are_told_and_an_uninstallation_is_not() {
    let mut t = Watching::new(World::new("a:1"));
    let failing = |snapshot: &mut Snapshot| {
        snapshot.installations.extend([health(|health| health.auth_failing_since = Some(at(-60)))]);
    };
    assert_eq!(t.look_with(0, failing), NOTHING);
    assert_eq!(t.look_with(120, failing), ["auth_failing 10"]);
    assert_eq!(t.look(150), ["auth_failing 10 !"]);
    let gone = |snapshot: &mut Snapshot| {
        let gone = health(|health| {
            (health.auth_failing_since, health.gone_since) = (Some(at(0)), Some(at(0)));
        });
        snapshot.installations.extend([gone]);
    };
    assert_eq!(t.look_with(200, gone), NOTHING);
    assert_eq!(t.look_with(400, gone), NOTHING);
    let limited = |snapshot: &mut Snapshot| {
        snapshot.installations.extend([health(|health| health.rate_limited_until = Some(at(1000)))]);
    };
    assert_eq!(t.look_with(500, limited), NOTHING);
    assert_eq!(t.look_with(700, limited), ["rate_limited 10"]);
    assert_eq!(t.look_with(1000, limited), ["rate_limited 10 !"], "its time is over");
}

#[test]
fn failures_of_workers_have_the_severity_of_their_reason() {
    let mut watchman = Watchman::default();
    for reason in FailureReason::ALL {
        let told = watchman.event(&EngineEvent::WorkerFailed { reason }, at(0));
        let expected = match reason.as_str() {
            "runner_idle" | "runner_surplus" | "revoked" | "drained" | "replica_stopped" => None,
            "installation_not_found" | "self_hosted_disabled" => Some(Severity::Info),
            "runner_version_refused" | "auth_failed" => Some(Severity::Critical),
            _ => Some(Severity::Warning),
        };
        assert_eq!(told.as_ref().map(|told| told.severity), expected, "{reason:?}");
        assert!(told.is_none_or(|told| told.subject == reason.as_str()));
    }
}

#[test]
fn leadership_is_told_when_it_is_lost_and_when_it_returns() {
    let mut t = Watching::new(World::new("a:1").edit_node("a0", |node| node.ready = false));
    let leading = |t: &mut Watching, leads, second| {
        t.watchman.event(&EngineEvent::Leading(leads), at(second)).as_ref().map(short)
    };
    assert_eq!(leading(&mut t, true, 0), None, "to begin is no news");
    t.look(0);
    assert_eq!(t.look(120), ["board_lost a0"]);
    assert_eq!(leading(&mut t, false, 130).as_deref(), Some("leadership_lost leader"));
    assert_eq!(leading(&mut t, true, 200).as_deref(), Some("leadership_lost leader !"));
    assert_eq!(t.look(200), NOTHING, "the other leader may have told it: it is judged anew");
    assert_eq!(t.look(320), ["board_lost a0"]);
    assert_eq!(leading(&mut t, true, 330), None);
}

fn notice(topic: Topic, subject: &str, second: i64) -> Notification {
    Notification {
        id: format!("{second}"),
        topic,
        severity: Severity::Warning,
        subject: subject.to_owned(),
        title: String::new(),
        text: String::new(),
        ended: false,
        at: at(second),
    }
}

#[test]
fn only_what_is_wanted_passes() {
    let mut throttle = Throttle::default();
    let rules =
        Rules { topics: [Topic::BoardLost].into(), min_severity: Severity::Warning, ..Rules::default() };
    assert!(throttle.offer(notice(Topic::WorkerFailed, "x", 0), &rules).is_none());
    let info = Notification { severity: Severity::Info, ..notice(Topic::BoardLost, "x", 0) };
    assert!(throttle.offer(info, &rules).is_none());
    assert!(throttle.offer(notice(Topic::BoardLost, "x", 0), &rules).is_some());
    assert_eq!(throttle.withheld(), 0, "what nobody wants is not withheld");
}

#[test]
fn the_same_thing_is_told_once_and_the_rest_is_summed_up() {
    let (mut throttle, rules) = (Throttle::default(), Rules::default());
    assert!(throttle.offer(notice(Topic::WorkerFailed, "pod_failed", 0), &rules).is_some());
    for second in 1..=40 {
        assert!(throttle.offer(notice(Topic::WorkerFailed, "pod_failed", second), &rules).is_none());
    }
    let critical =
        Notification { severity: Severity::Critical, ..notice(Topic::WorkerFailed, "pod_failed", 50) };
    assert!(throttle.offer(critical, &rules).is_none());
    assert!(throttle.summary(&rules, at(600)).is_none());
    let summary = throttle.summary(&rules, at(601)).unwrap();
    assert_eq!((summary.topic, summary.severity), (Topic::Summary, Severity::Critical));
    assert_eq!(summary.title, "41 more notifications in 10 minutes");
    assert_eq!(summary.text, "41 × worker_failed pod_failed");
    assert!(throttle.summary(&rules, at(2000)).is_none(), "once");
    assert!(throttle.offer(notice(Topic::WorkerFailed, "pod_failed", 2000), &rules).is_some());
}

#[test]
fn few_pass_in_a_window_whatever_they_are_about() {
    let (mut throttle, rules) = (Throttle::default(), Rules { per_window: 3, ..Rules::default() });
    let passed = |throttle: &mut Throttle, second, n: i64| {
        let offer = |k| throttle.offer(notice(Topic::BoardLost, &format!("k1-{k}"), second), &rules);
        (0..n).map(offer).filter(Option::is_some).count()
    };
    assert_eq!(passed(&mut throttle, 0, 30), 3);
    let summary = throttle.summary(&rules, at(600)).unwrap();
    assert_eq!(summary.text.lines().count(), 21);
    assert!(summary.text.ends_with("and 7 other kinds"), "{}", summary.text);
    assert_eq!(passed(&mut throttle, 601, 30), 2, "the summary counts too");
}

#[test]
fn what_is_over_and_begins_again_is_told_again() {
    let (mut throttle, rules) = (Throttle::default(), Rules::default());
    let over = |second| Notification { ended: true, ..notice(Topic::BoardLost, "k1-1", second) };
    assert!(throttle.offer(notice(Topic::BoardLost, "k1-1", 0), &rules).is_some());
    assert!(throttle.offer(over(10), &rules).is_some());
    assert!(throttle.offer(notice(Topic::BoardLost, "k1-1", 20), &rules).is_some());
    assert!(throttle.offer(notice(Topic::BoardLost, "k1-1", 30), &rules).is_none());
}
