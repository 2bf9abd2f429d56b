//! `rrctl` as a process, alone or with a real database: exit status, standard output and standard error.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod asking;
mod board;
mod check;
mod deliveries;
mod every_verdict;
mod foreign;
mod help;
mod log;
mod narrow;
mod orders;
mod output;
mod permissions;
mod run;
mod simulate;
mod terminal;
mod trace;

use std::{fs, path::Path};

use insta::assert_snapshot;
use run::{Folder, fixtures};
use serde_json::Value;

#[test]
fn help_lists_the_commands() {
    assert_snapshot!(Folder::new().rrctl(&["--help"]));
}

#[test]
fn what_is_not_understood_is_usage() {
    let folder = Folder::new();
    assert!(folder.rrctl(&["frobnicate"]).starts_with("exit: 2\n"));
    assert!(folder.rrctl(&["schedule"]).starts_with("exit: 2\n"));
    assert!(folder.rrctl(&["schedule", "--once", "--dry-run"]).starts_with("exit: 2\n"));
    assert!(folder.rrctl(&["schedule", "--once", "--snapshot", "x"]).starts_with("exit: 2\n"));
}

#[test]
fn schedule_asks_which_of_the_two_is_meant() {
    let folder = Folder::new();
    let bare = folder.rrctl(&["schedule"]);
    assert!(bare.contains("<--dry-run|--once>"), "{bare}");
    let snapshot = folder.rrctl(&["schedule", "--snapshot", "x"]);
    assert!(snapshot.starts_with("exit: 2\n"), "{snapshot}");
    assert!(snapshot.contains("rrctl schedule --dry-run [--snapshot <FILE>]"), "{snapshot}");
}

#[test]
fn the_example_is_accepted() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rrctl.example.toml");
    let folder = Folder::new();
    fs::copy(example, folder.path().join("rrctl.toml")).unwrap();
    assert_snapshot!(folder.rrctl(&["config", "check"]));
    assert!(folder.rrctl(&["config", "check", "--strict"]).starts_with("exit: 2\n"));
}

#[test]
fn a_broken_configuration_is_refused_with_all_that_is_wrong() {
    let folder = Folder::new();
    folder.write(
        "rrctl.toml",
        "[serve]\nlisten = 8080\n[limits]\npolicy = \"any\"\n[[pools]]\nname = \"k1\"\nimage = \"a b\"\n",
    );
    assert_snapshot!(folder.rrctl(&["config", "check"]));
    assert!(folder.rrctl(&["serve"]).starts_with("exit: 2\n"));
    assert!(folder.rrctl(&["route", "--labels", "a"]).starts_with("exit: 2\n"));
}

#[test]
fn the_doctor_has_a_remedy_for_whatever_is_wrong_with_the_configuration() {
    let folder = Folder::new();
    let check = |text: &str, remedy: &str| {
        folder.write("rrctl.toml", text);
        let answer = folder.rrctl(&["doctor", "--format", "json"]);
        let begin = answer.find('[').unwrap();
        let mut values = serde_json::Deserializer::from_str(&answer[begin..]).into_iter::<Value>();
        let findings = values.next().unwrap().unwrap();
        let findings = findings.as_array().unwrap();
        let bad: Vec<_> =
            findings.iter().filter(|one| matches!(one["status"].as_str(), Some("fail" | "warn"))).collect();
        assert!(bad.iter().all(|one| one["fix"].as_str().is_some_and(|fix| !fix.is_empty())), "{bad:#?}");
        assert!(bad.iter().any(|one| one["fix"] == remedy), "{bad:#?}");
    };
    check("[server]\nlisten =\n", "change rrctl.toml, line 2; `rrctl config check` checks again");
    check(
        "[server]\nbody_limit = \"0B\"\n",
        "change `server.body_limit` in rrctl.toml, line 2; `rrctl config check` checks again",
    );
    check(
        "[retention]\nevents = \"0d\"\n",
        "change `retention.events` in rrctl.toml, line 2; `rrctl config check` checks again",
    );
}

#[test]
fn without_a_configuration_it_says_where_one_is_looked_for() {
    assert_snapshot!(Folder::new().rrctl(&["config", "check"]));
    assert_snapshot!(Folder::new().rrctl(&["--config", "none.toml", "migrate"]));
}

#[test]
fn what_is_in_force_is_shown_without_secrets() {
    let folder = Folder::new();
    folder.write("rrctl.toml", "[store]\nurl = \"postgres://u:planted@db/x\"\n[limits]\npolicy = \"fair\"\n");
    let shown = folder.rrctl_with(
        &["config", "show"],
        &[("GHAPP_WEBHOOK_SECRET", "planted"), ("RRCTL_TIMEOUTS__TICK", "250ms")],
    );
    assert!(!shown.contains("planted"), "{shown}");
    assert_snapshot!(shown);
}

#[test]
fn routing_is_explained_rule_by_rule() {
    let folder = Folder::with_fixture("routes.toml");
    assert_snapshot!(folder.rrctl(&["route", "--labels", "Riscv, fast", "--entity", "5"]));
    assert_snapshot!(folder.rrctl(&[
        "route",
        "--labels",
        "riscv",
        "--repo",
        "someone/thing",
        "--app",
        "user"
    ]));
    assert_snapshot!(folder.rrctl(&["route", "--labels", "no-such-label"]));
    let json = folder.rrctl_out(&["route", "--labels", "riscv,fast", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["placement"]["pool"], "spacemit-k3");
    assert_eq!(json["rules"].as_array().unwrap().len(), 3);
}

#[test]
fn a_dry_run_gives_every_waiting_job_one_verdict() {
    let folder = Folder::with_fixture("every_verdict.toml");
    let snapshot = fixtures().join("every_verdict.json");
    let arguments = ["schedule", "--dry-run", "--snapshot", snapshot.to_str().unwrap()];
    assert_snapshot!(folder.rrctl(&arguments));
    let json = folder.rrctl_out(&[&arguments[..], &["--format", "json"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    let mut found: Vec<_> =
        json["verdicts"].as_array().unwrap().iter().map(|one| one["verdict"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, every_verdict::NAMES);
    assert_eq!(json["plan"]["steps"].as_array().unwrap().len(), 1);
}

#[test]
fn a_blind_dry_run_says_so_and_provisions_nothing() {
    let folder = Folder::with_fixture("every_verdict.toml");
    let text = fs::read_to_string(fixtures().join("every_verdict.json")).unwrap();
    let mut snapshot: Value = serde_json::from_str(&text).unwrap();
    snapshot["nodes"] = serde_json::json!({ "Unknown": "failed" });
    folder.write("blind.json", &snapshot.to_string());
    let json = folder.rrctl_out(&["schedule", "--dry-run", "--snapshot", "blind.json", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["plan"]["steps"], serde_json::json!([]));
    let verdicts = json["verdicts"].as_array().unwrap();
    assert!(verdicts.iter().any(|one| one["verdict"] == "capacity_unknown"), "{verdicts:?}");
}

#[test]
fn a_bad_snapshot_is_named_with_its_place() {
    let folder = Folder::with_fixture("every_verdict.toml");
    folder.write("bad.json", "{\n  \"now\": \"yesterday\"\n}\n");
    assert_snapshot!(folder.rrctl(&["schedule", "--dry-run", "--snapshot", "bad.json"]));
    assert_snapshot!(folder.rrctl(&["schedule", "--dry-run", "--snapshot", "none.json"]));
}

#[test]
fn a_database_that_is_down_is_named_without_its_password() {
    let folder = Folder::with_fixture("every_verdict.toml");
    let secrets = [
        ("POSTGRES_URL", "postgres://u:planted@127.0.0.1:1/db"),
        ("GHAPP_WEBHOOK_SECRET", "secret"),
        (
            "RRCTL_GITHUB__APPS",
            "[{ kind = \"user\", app_id = 1, private_key = \"-----BEGIN PRIVATE KEY-----\" }]",
        ),
    ];
    let answer = folder.rrctl_with(&["serve"], &secrets);
    assert!(answer.starts_with("exit: 1\n"), "{answer}");
    assert!(answer.contains("127.0.0.1:1") && answer.contains("PostgreSQL"), "{answer}");
    assert!(!answer.contains("planted"), "{answer}");
    assert!(folder.rrctl_with(&["migrate"], &secrets).starts_with("exit: 1\n"));
}

#[test]
fn a_server_does_not_start_without_the_secrets_of_its_role() {
    let folder = Folder::with_fixture("every_verdict.toml");
    let secrets = [
        ("POSTGRES_URL", "postgres://u@127.0.0.1:1/db"),
        ("RRCTL_GITHUB__APPS", "[{ kind = \"user\", app_id = 1, private_key_file = \"none.pem\" }]"),
        ("RRCTL_GITHUB__WEBHOOK_SECRETS", "one"),
        ("RRCTL_GITHUB__WEBHOOK_SECRETS_FILES", "none.secret"),
    ];
    let (key, secret) =
        ("github.apps[0].private_key_file: none.pem is not there", "[0]: none.secret is not there");
    for (role, expected) in [("all", [true, true]), ("scheduler", [true, false]), ("webhook", [false, true])]
    {
        let answer = folder.rrctl_with(&["serve", "--role", role], &secrets);
        assert!(answer.starts_with("exit: 2\n") && answer.contains("hint: "), "{role}: {answer}");
        assert_eq!([answer.contains(key), answer.contains(secret)], expected, "{role}: {answer}");
    }
    assert!(folder.rrctl_with(&["config", "check"], &secrets).starts_with("exit: 0\n"));
    let started =
        folder.rrctl_with(&["serve", "--role", "scheduler"], &[secrets[0], secrets[2], secrets[3], KEY]);
    assert!(started.starts_with("exit: 1\n") && started.contains("PostgreSQL"), "{started}");
}

/// An App whose key is here.
const KEY: (&str, &str) = (
    "RRCTL_GITHUB__APPS",
    "[{ kind = \"user\", app_id = 1, private_key = \"-----BEGIN PRIVATE KEY-----\" }]",
);

#[test]
fn the_configuration_is_told_to_programs() {
    let folder = Folder::with_fixture("every_verdict.toml");
    let variables = [
        ("POSTGRES_URL", "postgres://u:planted@127.0.0.1:1/db"),
        ("GHAPP_WEBHOOK_SECRET", "planted"),
        ("RRCTL_SERVER__TRACE_SECRET_FILE", "none.token"),
        ("RRCTL_SERVER__PAGES_PER_MINUTE", "7"),
        KEY,
    ];
    let json = |arguments: &[&str], expected: &str| -> Value {
        let answer = folder.rrctl_with(&[arguments, &["--format", "json"]].concat(), &variables);
        assert!(answer.starts_with(expected) && !answer.contains("planted"), "{answer}");
        let begin = answer.find(['{', '[']).unwrap();
        let mut values = serde_json::Deserializer::from_str(&answer[begin..]).into_iter();
        values.next().unwrap().unwrap()
    };
    let shown = json(&["config", "show"], "exit: 0\n");
    let of = |key: &str| shown.as_array().unwrap().iter().find(|one| one["key"] == key).unwrap().clone();
    let pages = of("server.pages_per_minute");
    assert_eq!((&pages["value"], &pages["default"]), (&7.into(), &false.into()));
    assert_eq!(pages["variable"], "RRCTL_SERVER__PAGES_PER_MINUTE");
    assert_eq!(of("store.url")["value"], "(set)");
    assert_eq!(of("timeouts.tick")["default"], true);
    let pool = of("pools[0].name");
    assert!(
        pool["file"].as_str().unwrap().ends_with(".toml") && pool["line"].as_u64().unwrap() > 1,
        "{pool}"
    );

    let checked = json(&["config", "check"], "exit: 0\n");
    assert_eq!((&checked["ok"], &checked["problems"][0]["severity"]), (&true.into(), &"warning".into()));
    assert_eq!(checked["problems"][0]["key"], "server.trace_secret_file");
    assert!(checked["routes"].as_u64().unwrap() > 0, "{checked}");
    assert_eq!(json(&["config", "check", "--strict"], "exit: 2\n")["ok"], false);
    folder.write("broken.toml", "[limits]\npolicy = \"random\"\n");
    let broken = json(&["--config", "broken.toml", "config", "check"], "exit: 2\n");
    let problems = broken["problems"].as_array().unwrap();
    let policy = problems.iter().find(|problem| problem["key"] == "limits.policy").unwrap();
    assert_eq!((&policy["severity"], &policy["line"]), (&"error".into(), &2.into()));
}

#[test]
fn a_small_demo_serves_every_job_though_a_runner_fails() {
    let folder = Folder::new();
    let answer = folder.rrctl(&["demo", "--once", "--jobs", "10", "--boards", "3", "--seed", "7"]);
    assert!(answer.starts_with("exit: 0\n"), "{answer}");
    assert!(
        answer.contains("jobs      10 of 10 done") && answer.contains("every invariant held"),
        "{answer}"
    );
    assert!(answer.contains(" failed: pod_failed"), "{answer}");
}
