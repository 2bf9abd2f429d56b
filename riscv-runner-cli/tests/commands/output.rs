//! Where output goes: colours only where they are wanted, and no answer that is lost without a word.

use std::{
    fs::File,
    io::{BufRead, BufReader, pipe},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    foreign::server,
    run::{Folder, fixtures},
    terminal::shown,
};

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Commands that write all they have at once.
fn commands() -> Vec<Vec<String>> {
    let snapshot = fixtures().join("every_verdict.json").display().to_string();
    let dry_run = ["schedule", "--dry-run", "--snapshot", &snapshot];
    let commands: [&[&str]; 7] = [
        &["config", "show"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["jobs", "--help"],
        &dry_run,
        &[&dry_run[..], &["--format", "json"]].concat(),
    ];
    commands.iter().map(|command| command.iter().map(|&argument| argument.to_owned()).collect()).collect()
}

fn command(folder: &Folder, arguments: &[String]) -> Command {
    folder.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = Folder::with_fixture("every_verdict.toml");
    for arguments in commands() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command(&folder, &arguments).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("error: cannot write to standard output: No space left"), "{said}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let folder = Folder::with_fixture("every_verdict.toml");
    for arguments in commands() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = command(&folder, &arguments).stdout(writer).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn what_goes_on_ends_when_its_reader_goes_away() {
    let folder = Folder::new();
    let server = server(200, &status());
    let watch = ["status", "--watch", "--every", "0.1", "--server", &server];
    for arguments in [&["demo", "--jobs", "500"][..], &watch] {
        let mut command = folder.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{arguments:?}");
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("{arguments:?} goes on");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

fn status() -> serde_json::Value {
    serde_json::json!({
        "now": "2026-11-21T12:00:00Z", "leader": null,
        "totals": { "jobs_pending": 0, "jobs_running": 0, "workers_pending": 0, "workers_running": 0 },
        "controls": [], "pools": {}, "boards": {},
    })
}

#[test]
fn colours_are_used_where_they_are_wanted() {
    let folder = Folder::with_fixture("routes.toml");
    let route = ["route", "--labels", "riscv, fast", "--entity", "5"];
    let no_color = ("NO_COLOR", "1");
    let colored = |flags: &[&str], variables: &[(&str, &str)]| {
        shown(&folder, &[flags, &route[..]].concat(), variables, 200).contains('\x1b')
    };
    assert!(colored(&[], &[]), "on a terminal");
    assert!(!colored(&[], &[no_color]), "NO_COLOR");
    assert!(!colored(&["--color", "never"], &[]));
    assert!(!colored(&["--color=never"], &[]));
    assert!(colored(&["--color", "always"], &[no_color]), "the flag wins");
    let piped = folder.rrctl(&[&["--color", "always"], &route[..]].concat());
    assert!(piped.contains("\x1b[32m"), "{piped}");
    assert!(!folder.rrctl(&route).contains('\x1b'));
}

#[test]
fn help_is_coloured_as_wanted() {
    let folder = Folder::new();
    let help = |arguments: &[&str]| shown(&folder, arguments, &[("TERM", "xterm")], 100);
    assert!(help(&["jobs", "--help"]).contains('\x1b'));
    for arguments in [&["--color", "never", "jobs", "--help"][..], &["jobs", "--help", "--color=never"]] {
        assert!(!help(arguments).contains('\x1b'), "{arguments:?}");
    }
    assert!(folder.rrctl(&["--color", "always", "jobs", "--help"]).contains('\x1b'));
}
