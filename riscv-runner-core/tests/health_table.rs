//! `docs/operations.md` shows the health rules that there are.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::{fmt::Write as _, path::Path};

use riscv_runner_core::{
    health::{Remedy, WORKER_RULES},
    policy::Timeouts,
};

const BEGIN: &str = "<!-- health rules -->\n";
const END: &str = "<!-- /health rules -->";

fn table() -> String {
    let mut text = String::from(
        "| rule | a worker is ended when | for `timeouts.` | by default | while a job is known to run on it |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for rule in WORKER_RULES {
        let setting = rule.setting.map_or_else(|| "at once".to_owned(), |key| format!("`{key}`"));
        let default = (rule.threshold)(&Timeouts::default()).as_secs();
        let known = match (rule.spares_known_jobs, rule.remedy) {
            (true, Remedy::Kill | Remedy::ForceDelete) => "it is spared",
            (false, Remedy::Kill) => "GitHub decides",
            (false, Remedy::ForceDelete) => "GitHub decides, and the pod is deleted: no kubelet will end it",
        };
        writeln!(
            text,
            "| [`{reason}`](#{reason}) | {} | {setting} | {default} s | {known} |",
            rule.says,
            reason = rule.reason
        )
        .unwrap();
    }
    text
}

#[test]
fn the_documentation_shows_every_rule_in_its_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (found, after) = rest.split_once(END).expect("the table has an end");
    let expected = table();
    if found != expected && std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, expected, "run this test with UPDATE_FIXTURES=1");
}

#[test]
fn every_threshold_is_the_configuration_s() {
    for rule in WORKER_RULES {
        let Some(key) = rule.setting else {
            assert_eq!((rule.threshold)(&Timeouts::default()).as_secs(), 0, "{}", rule.reason);
            continue;
        };
        let mut timeouts = serde_json::to_value(Timeouts::default()).unwrap();
        timeouts[key] = serde_json::json!({ "secs": 4321, "nanos": 0 });
        let timeouts: Timeouts = serde_json::from_value(timeouts).unwrap();
        assert_eq!((rule.threshold)(&timeouts).as_secs(), 4321, "{}: {key}", rule.reason);
    }
}
