//! Every reason that a person may meet has its section in the runbook.

use std::collections::BTreeSet;

use riscv_runner_core::failure::FailureReason;

use crate::read;

/// The sections that are named for a reason: "### `reason`".
fn sections() -> BTreeSet<String> {
    let text = read("docs/operations.md");
    let headings =
        text.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`').map(str::to_owned));
    headings.collect()
}

/// The names that a function of the core gives to the variants of an enum, from its source: there is no list of
/// them, so that a variant cannot be left out of it.
fn names(file: &str, of: &str) -> BTreeSet<String> {
    let source = read(file);
    let begin = source.find(of).unwrap_or_else(|| panic!("{file} has {of}"));
    let (body, _) = source[begin..].split_once("\n    }\n").unwrap();
    let quoted = body.split('"').enumerate().filter(|(n, _)| n % 2 == 1).map(|(_, text)| text.to_owned());
    let found: BTreeSet<_> = quoted.collect();
    assert!(found.len() >= 3, "{found:?}");
    found
}

#[test]
fn every_reason_of_a_failed_worker_has_its_section() {
    let (sections, mut wanted) = (sections(), BTreeSet::new());
    wanted.extend(FailureReason::ALL.map(|reason| reason.as_str().to_owned()));
    assert_eq!(wanted.difference(&sections).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn every_reason_of_a_waiting_job_has_its_section() {
    let (sections, mut wanted) =
        (sections(), names("riscv-runner-core/src/plan/hold.rs", "pub const fn name(&self)"));
    wanted.extend(names("riscv-runner-core/src/why.rs", "pub const fn name(&self)"));
    assert_eq!(wanted.difference(&sections).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn every_reason_of_a_job_given_up_has_its_section() {
    let (sections, wanted) =
        (sections(), ["job_not_found", "run_completed_job_queued", "installation_not_found"]);
    let source = read("riscv-runner-core/src/job.rs");
    for reason in wanted {
        assert!(source.contains(&format!("\"{reason}\"")), "{reason} is a reason of the core");
        assert!(sections.contains(reason), "{reason}");
    }
}

#[test]
fn no_section_is_about_a_reason_that_there_is_not() {
    let core = ["failure.rs", "job.rs", "plan/hold.rs", "why.rs"];
    let sources: String = core.iter().map(|file| read(&format!("riscv-runner-core/src/{file}"))).collect();
    let stale: Vec<_> =
        sections().into_iter().filter(|name| !sources.contains(&format!("\"{name}\""))).collect();
    assert_eq!(stale, Vec::<String>::new());
}
