//! `rrctl simulate` as a process: what it prints, and what it says when a law breaks.

use insta::assert_snapshot;
use serde_json::Value;

use crate::run::Folder;

/// What differs from run to run; on a busy machine the progress is told as well.
fn without_time(text: &str) -> String {
    let varies =
        |line: &str| line.starts_with("time ") || line.contains(" at a time") || line.contains(" worlds, ");
    let told = text.lines().filter(|line| !varies(line));
    told.map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Every number as `N`, for what happens in a world changes with the engine; columns one space apart.
fn without_numbers(text: &str) -> String {
    let words = |line: &str| line.split_whitespace().map(without_number).collect::<Vec<_>>().join(" ");
    text.lines().map(|line| format!("{}\n", words(line))).collect()
}

fn without_number(word: &str) -> String {
    let shown = |(n, c): (usize, char)| match (n, c.is_ascii_digit()) {
        (0, true) => Some('N'),
        (_, true) => (!word.as_bytes()[n - 1].is_ascii_digit()).then_some('N'),
        (_, false) => Some(c),
    };
    word.char_indices().filter_map(shown).collect()
}

#[test]
fn worlds_that_keep_the_laws_are_summed_up() {
    let shown = Folder::new().rrctl(&["simulate", "--seeds", "0..2", "--faults", "light"]);
    assert_snapshot!(without_numbers(&without_time(&shown)));
}

#[test]
fn totals_are_json_for_programs() {
    let arguments = ["simulate", "--seeds", "4..5", "--faults", "none", "--format", "json"];
    let totals: Value = serde_json::from_str(&Folder::new().rrctl_out(&arguments)).unwrap();
    assert_eq!(totals["profiles"]["none"]["worlds"], 1, "{totals}");
    assert_eq!(totals["broken"], Value::Array(Vec::new()), "{totals}");
}

#[test]
fn a_broken_law_fails_with_its_seed_its_trace_and_the_command_that_shows_it_again() {
    let folder = Folder::new();
    let arguments = ["simulate", "--seeds", "3..4", "--faults", "sabotage"];
    let shown = folder.rrctl(&arguments);
    for part in [
        "exit: 1\n",
        "LAW BROKEN BusyRunnerSpared",
        "seed 3, profile sabotage, ",
        "was killed while its runner",
        "error: a law broke in 1 world\n",
        "hint: run the first again: rrctl simulate --seeds 3..4 --faults sabotage\n",
    ] {
        assert!(shown.contains(part), "{part:?} is missing from:\n{shown}");
    }
    assert_eq!(without_time(&folder.rrctl(&arguments)), without_time(&shown), "the same again");
}

#[test]
fn what_cannot_be_simulated_is_usage() {
    let folder = Folder::new();
    for wrong in [["--seeds", "5..5", "--faults", "light"], ["--seeds", "0..1", "--faults", "kaos"]] {
        let shown = folder.rrctl(&[&["simulate"], &wrong[..]].concat());
        assert!(shown.starts_with("exit: 2\n"), "{shown}");
        assert!(!shown.contains("sabotage"), "{shown}");
    }
}
