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

/// The text below a heading "### `name`", up to the next heading.
fn below(text: &str, name: &str) -> String {
    let (_, rest) =
        text.split_once(&format!("\n### `{name}`\n")).unwrap_or_else(|| panic!("a section {name}"));
    rest.split("\n#").next().unwrap_or_default().to_owned()
}

#[test]
fn every_reason_is_explained_with_a_command_that_tells_more_and_with_what_to_do() {
    let text = read("docs/operations.md");
    let arguments = read("riscv-runner-cli/src/args.rs");
    for name in sections() {
        let section = below(&text, &name);
        let (meaning, rest) =
            section.split_once("\n- Ask: ").unwrap_or_else(|| panic!("{name} says what to ask"));
        assert!(meaning.trim().len() > 20, "{name} says what it means");
        let (ask, remedy) = rest.split_once("\n- Do: ").unwrap_or_else(|| panic!("{name} says what to do"));
        let (_, command) =
            ask.split_once("`rrctl ").unwrap_or_else(|| panic!("{name} names a command: {ask}"));
        let command = command.split([' ', '`']).next().unwrap_or_default();
        let variant = format!("{}{}", command[..1].to_uppercase(), &command[1..]);
        assert!(
            arguments.contains(&format!("\n    {variant}(")),
            "rrctl has the command {command}, for {name}"
        );
        assert!(remedy.trim().len() > 5, "{name}: {remedy}");
    }
}

/// Names in backquotes in the first column of the table below a heading.
fn rows(heading: &str) -> BTreeSet<String> {
    let text = read("docs/operations.md");
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let table = rest.split("\n## ").next().unwrap_or_default();
    let first = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = first.flat_map(|cell| cell.split("`, `")).map(|name| name.trim_matches('`').to_owned());
    names.collect()
}

#[test]
fn everything_that_the_doctor_looks_at_is_explained() {
    let rows = rows("What `rrctl doctor` finds");
    let sources: String = ["doctor.rs", "doctor/database.rs", "doctor/github.rs", "doctor/cluster.rs"]
        .map(|file| read(&format!("riscv-runner-cli/src/commands/{file}")))
        .concat();
    // Checks of an App are named after its kind: `{kind} App key`.
    let told = |name: &str| {
        let of_app = name.split_once(" App ").map_or(name, |(_, what)| what);
        sources.contains(&format!("\"{of_app}\""))
    };
    let stale: Vec<_> = rows.iter().filter(|name| !told(name)).collect();
    assert_eq!(stale, Vec::<&String>::new(), "there is no such check");
    let quoted = sources.split('"').skip(1).step_by(2);
    let checks = quoted.filter(|text| {
        ["database ", "cluster ", "GitHub "].iter().any(|part| {
            text.strip_prefix(part).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_lowercase()))
        })
    });
    let missing: Vec<_> = checks.filter(|check| !rows.contains(*check)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    for kind in ["organization", "user"] {
        for what in ["key", "permissions", "events"] {
            assert!(rows.contains(&format!("{kind} App {what}")), "{kind} {what}");
        }
    }
}

#[test]
fn everything_that_a_check_of_a_repository_looks_at_is_explained() {
    let rows = rows("What `rrctl check` finds");
    let wanted = names("riscv-runner-core/src/preflight.rs", "pub const fn as_str(self) -> &'static str");
    assert_eq!(rows, wanted);
}
