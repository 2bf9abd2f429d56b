//! What `scripts/test` does where a tool is missing or fails: tests whose tool is missing pass without it, and it
//! says so where everybody sees it; a check whose tool fails does not pass.

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

/// Whether a check passes with a cargo that prints this and ends so.
fn passes(name: &str, printed: &str, status: u8) -> bool {
    let folder = tempfile::TempDir::new().unwrap();
    let cargo = format!("cargo() {{ printf '{printed}'; return {status}; }}");
    let script = format!("set -euo pipefail\n{cargo}\n{}\n{}\n{name}", function("fail"), function(name));
    std::fs::write(folder.path().join("deny.toml"), "").unwrap();
    let mut bash = Command::new("/bin/bash");
    bash.args(["-c", &script]).current_dir(folder.path());
    bash.output().unwrap().status.success()
}

#[test]
fn a_check_of_dependencies_that_cannot_look_does_not_pass() {
    for name in ["check_crypto", "check_duplicates"] {
        assert!(passes(name, "serde v1.0.0\\n", 0), "{name}");
        assert!(!passes(name, "", 101), "{name}: nothing is found because nothing was read");
    }
    assert!(!passes("check_crypto", "openssl v1.0.0\\n", 0));
    assert!(!passes("check_duplicates", "syn v1.0.0\\nsyn v2.0.0\\n", 0));
}
