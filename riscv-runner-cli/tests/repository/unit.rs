//! The systemd unit.

use std::process::Command;

use crate::{read, root};

#[test]
fn the_unit_takes_everything_away_that_the_service_does_not_need() {
    let unit = read("deploy/systemd/rrctl.service");
    let lines: Vec<_> = unit.lines().collect();
    for wanted in [
        "DynamicUser=yes",
        "CapabilityBoundingSet=",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "PrivateDevices=yes",
        "MemoryDenyWriteExecute=yes",
        "RestrictNamespaces=yes",
        "SystemCallFilter=@system-service",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ] {
        assert!(lines.contains(&wanted), "{wanted}");
    }
    assert!(!unit.contains("Environment="), "secrets are credentials, not variables");
}

/// systemd's own judgement, where systemd is installed.
#[test]
#[expect(clippy::print_stderr, reason = "a test that cannot be made says why")]
fn systemd_finds_little_exposure() {
    let judged = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=20"])
        .arg(root().join("deploy/systemd/rrctl.service"))
        .output();
    match judged {
        Ok(output) => assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => eprintln!("the unit was not judged by systemd-analyze: {error}"),
    }
}
