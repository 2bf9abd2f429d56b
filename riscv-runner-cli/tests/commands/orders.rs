//! Orders of operators as whole commands, on a real database and without a cluster.

use insta::assert_snapshot;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use secrecy::ExposeSecret;

use crate::run::Folder;

/// A folder whose database has the schema.
fn migrated() -> (Folder, Vec<(&'static str, String)>) {
    let folder = Folder::with_fixture("routes.toml");
    let config = ThrowAwayPostgres::shared().fresh_config();
    let variables = vec![
        ("POSTGRES_URL", config.url.expose_secret().to_owned()),
        ("RRCTL_STORE__SCHEMA", config.schema.to_string()),
        ("USER", "ann".to_owned()),
        ("HOSTNAME", "desk".to_owned()),
    ];
    let answer = rrctl(&folder, &variables, "migrate");
    assert!(answer.starts_with("exit: 0\n"), "{answer}");
    (folder, variables)
}

fn rrctl(folder: &Folder, variables: &[(&str, String)], line: &str) -> String {
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let arguments: Vec<&str> = line.split(' ').collect();
    folder.rrctl_with(&arguments, &variables)
}

/// What ran, one after the other, without the seconds that it took.
fn session(lines: &[&str]) -> String {
    let (folder, variables) = migrated();
    let run = |line: &&str| format!("$ rrctl {line}\n{}\n", without_ages(&rrctl(&folder, &variables, line)));
    lines.iter().map(run).collect()
}

fn without_ages(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n']).map(|word| {
        let (core, rest) = word.split_at(word.trim_end().len());
        let is_age = core.strip_suffix('s').is_some_and(|digits| digits.parse::<u32>().is_ok());
        if is_age { format!("Ns{rest}") } else { word.to_owned() }
    });
    words.collect()
}

#[test]
fn a_pool_is_drained_listed_and_undrained() {
    assert_snapshot!(session(&[
        "drain pool spacemit-k1 --reason kernel",
        "drain pool spacemit-k3 --reason kernel --actor bob",
        "controls",
        "undrain pool spacemit-k1 --reason done",
        "undrain pool spacemit-k1 --reason again",
        "controls",
        "controls --audit --last 2",
    ]));
}

#[test]
fn names_that_nothing_has_are_refused_with_a_hint() {
    assert_snapshot!(session(&[
        "drain pool spacemit-k2 --reason kernel",
        "drain board k1-1 --reason fan --color never",
        "drain board k1-1 --reason fan --force",
        "pause entity acme --reason quiet",
        "pause entity 6 --reason quiet",
        "entity ban 6 --reason spam --force",
        "pause repo acme --reason quiet",
        "pause all everything --reason quiet",
        "revoke rr-nobody --reason hot",
        "undrain board k1-11 --reason fan",
    ]));
}

#[test]
fn accounts_are_paused_limited_and_banned() {
    assert_snapshot!(session(&[
        "pause entity 5 --reason quiet",
        "entity set-limit 5 3 --reason quota",
        "entity set-limit 5 lots --reason quota",
        "entity set-limit 5 unlimited --reason party",
        "entity ban 5 --reason spam",
        "pause repo acme/tools --reason loud",
        "pause all --reason upgrade",
        "controls",
        "entity clear-limit 5 --reason over",
        "entity unban 5 --reason sorry",
        "resume everything --reason done",
        "resume entity 5 --reason done",
        "controls",
    ]));
}

#[test]
fn old_rows_are_counted_and_removed() {
    assert_snapshot!(session(&["retention --dry-run", "retention", "retention --dry-run --format table"]));
}

#[test]
fn an_order_is_answered_as_json() {
    let (folder, variables) = migrated();
    let answer = rrctl(&folder, &variables, "pause all --reason upgrade --format json");
    let (head, rest) = answer.split_once("----- stdout -----\n").unwrap();
    assert_eq!(head, "exit: 0\n");
    let json: serde_json::Value =
        serde_json::from_str(rest.split_once("----- stderr -----").unwrap().0).unwrap();
    assert_eq!(json["changed"], true);
    assert_eq!(json["order"]["verb"], "pause");
    assert_eq!(json["order"]["target"], serde_json::json!({ "kind": "everything" }));
    assert_eq!(json["order"]["actor"], "ann@desk");
}

#[test]
fn a_reason_is_asked_for() {
    let folder = Folder::with_fixture("routes.toml");
    assert_snapshot!(folder.rrctl(&["drain", "pool", "spacemit-k1"]));
    assert!(folder.rrctl(&["pause", "entity", "--reason", "x"]).starts_with("exit: 2\n"));
}

#[test]
fn what_is_not_held_back_is_said_so_in_words() {
    let (folder, variables) = migrated();
    for (line, said) in [
        ("entity clear-limit 5 --reason over", "entity 5 has no limit from an order: nothing was changed"),
        ("resume repository acme/tools --reason done", "repository acme/tools is not paused: nothing"),
        ("undrain pool spacemit-k3 --reason done", "pool spacemit-k3 is not drained: nothing"),
    ] {
        let told = rrctl(&folder, &variables, line);
        assert!(told.starts_with("exit: 0\n") && told.contains(said), "{told}");
    }
    let nobody: Vec<_> = variables.into_iter().filter(|(name, _)| *name != "USER").collect();
    rrctl(&folder, &nobody, "pause all --reason upgrade");
    let listed = rrctl(&folder, &nobody, "controls");
    assert!(listed.contains("uid-") && listed.contains("@desk") && !listed.contains("somebody"), "{listed}");
}
