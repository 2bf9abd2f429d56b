//! Configuration files.

use std::io::Write;

use rrctl_configuration::check;
use tempfile::NamedTempFile;

/// What a seed calls a secret: it must not be seen in any answer.
const SECRET: &str = "hunter2";

/// A file is accepted, or refused with complaints about lines that it has; never with a panic, always
/// in the same way, and never showing a secret.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(input).expect("the file is written");
    let answer = check(file.path());
    assert_eq!(check(file.path()), answer, "the same file, another answer");
    let is_secret = text.lines().any(|line| is_secret(line.trim()));
    match answer {
        Ok(lines) => {
            assert!(!lines.is_empty(), "a configuration in force has lines");
            assert!(!is_secret || lines.iter().all(|line| !line.contains(SECRET)), "{lines:?}");
        }
        Err(complaints) => {
            assert!(!complaints.is_empty(), "refused without a reason");
            let n_lines = text.lines().count().max(1);
            let inside = |line: Option<usize>| line.is_none_or(|line| (1..=n_lines + 1).contains(&line));
            assert!(complaints.iter().all(|complaint| inside(complaint.line)), "{complaints:?}");
        }
    }
}

/// Whether a line sets a secret to the text that is looked for.
fn is_secret(line: &str) -> bool {
    line == format!("trace_secret = \"{SECRET}\"") || line == format!("webhook_secrets = [\"{SECRET}\"]")
}
