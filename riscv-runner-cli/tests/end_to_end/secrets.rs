//! The secrets that the processes of these tests are given or get, as far as they can be known by their
//! form, and the search for them in what the processes say.

use riscv_runner_sim::doubles::github::TEST_APP_KEY_PKCS1;

use crate::stage::SECRET;

/// The database's password; it is trusted anyhow, so any will do.
pub(crate) const DATABASE_PASSWORD: &str = "planted-password-of-the-database";
/// The token of readers.
pub(crate) const TRACE_TOKEN: &str = "planted-token-of-readers";

/// The token that a collector of traces wants to see.
pub(crate) const COLLECTOR_TOKEN: &str = "planted-token-of-the-collector";

/// Every secret that a line of a log holds.
pub(crate) fn leaks<'a>(log: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let key_line = TEST_APP_KEY_PKCS1.lines().nth(3).unwrap();
    let planted = [
        ("the secret of webhooks", SECRET),
        ("the private key", key_line),
        ("the private key", "PRIVATE KEY"),
        ("the database's password", DATABASE_PASSWORD),
        ("the token of readers", TRACE_TOKEN),
        ("the token of the collector", COLLECTOR_TOKEN),
        ("a token that somebody tried", "wrong-token-planted"),
        ("the token of the cluster", "double-token"),
        ("a token of an installation", "ghs_"),
        ("a signed token, or a JIT configuration", "eyJ"),
        ("a JIT configuration in a secret", "ZXlK"),
    ];
    let mut found = Vec::new();
    for line in log {
        found.extend(
            planted.iter().filter(|(_, text)| line.contains(text)).map(|(what, _)| format!("{what}: {line}")),
        );
    }
    found
}

#[test]
fn each_secret_would_be_found() {
    for text in [
        "x a secret of webhooks y",
        "Bearer eyJhbGciOi",
        "token=ghs_0001",
        "postgres://u:planted-password-of-the-database@h",
    ] {
        assert_eq!(leaks(&[text.to_owned()]).len(), 1, "{text}");
    }
    assert_eq!(leaks(&["serving".to_owned()]), [""; 0]);
}
