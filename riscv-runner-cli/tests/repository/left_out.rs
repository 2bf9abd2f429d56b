//! Tests whose tool is missing pass without it; `scripts/test` says so where everybody sees it.

use std::process::Command;

use crate::read;

/// A function of `scripts/test`, as it is written there.
fn function(name: &str) -> String {
    let script = read("scripts/test");
    let (_, rest) = script.split_once(&format!("\n{name}() {{")).unwrap_or_else(|| panic!("no {name}"));
    let end = if rest.lines().next().unwrap().ends_with('}') { "\n" } else { "\n}\n" };
    let (body, _) = rest.split_once(end).unwrap();
    format!("{name}() {{{body}{end}")
}

/// What a function says on a machine that has none of its tools, where it must not end the run.
fn said(name: &str) -> String {
    let folder = tempfile::TempDir::new().unwrap();
    let script = format!("set -euo pipefail\n{}\n{}\n{name}", function("left_out"), function(name));
    let mut bash = Command::new("/bin/bash");
    bash.args(["-c", &script]).current_dir(folder.path()).env_clear().env("PATH", folder.path());
    let output = bash.env("helm_code", "none").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    stderr
}

#[test]
fn a_chart_that_is_not_rendered_is_said_so() {
    assert_eq!(
        said("install_helm"),
        "left out: neither helm nor python3 is installed: the chart is not rendered\n"
    );
}

#[test]
fn a_unit_that_is_not_judged_is_said_so() {
    assert_eq!(said("find_systemd"), "left out: systemd-analyze is not installed: the unit is not judged\n");
    assert!(read("scripts/test").contains("\ninstall_helm\nfind_systemd\n"), "both are asked in each run");
}
