//! What every input must satisfy, one function for each fuzz target, and the replay of saved inputs.
//!
//! A broken law is a panic. Nothing here depends on a fuzzer.

use std::{fs, path::Path};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use riscv_runner_core::{delivery::DeliveryContent, entity::EntityKind, ids::AppId};
use riscv_runner_github::{
    signature::WebhookSecrets,
    webhook::{KnownApps, WebhookHeaders, parse},
};
use secrecy::SecretString;
use serde_json::Value;
use sha2::Sha256;

/// The kinds of payload that are read in different ways.
const EVENTS: [&str; 6] =
    ["workflow_job", "installation", "installation_repositories", "installation_target", "ping", "push"];

/// A body that is understood keeps its meaning when it is trimmed for the log, and its job's id
/// keeps every digit.
pub fn webhook_body(body: &[u8]) {
    let apps: KnownApps = AppId::new(5).map(|app| (app, EntityKind::Organization)).into_iter().collect();
    for event in EVENTS {
        let headers = WebhookHeaders::new(event, "guid", "5").expect("the headers are fixed");
        let read = |body: &[u8]| parse(&headers, body, &apps, Timestamp::UNIX_EPOCH);
        let Ok(delivery) = read(body) else { continue };
        let again = match read(delivery.payload.get().as_bytes()) {
            Ok(again) => again,
            Err(error) => panic!("{event}: what was trimmed is not understood: {error}"),
        };
        assert_eq!(format!("{:?}", delivery.content), format!("{:?}", again.content), "{event}");
        assert_eq!(delivery.payload.get(), again.payload.get(), "{event}: trimming again trims more");
        assert_eq!(delivery.entity, again.entity, "{event}");
        if let DeliveryContent::Job { facts, .. } = &delivery.content {
            let tree: Value = serde_json::from_slice(body).expect("an understood body is JSON");
            assert_eq!(tree["workflow_job"]["id"].as_i64(), Some(facts.id.get()));
        }
    }
}

/// A header is believed exactly when it is the scheme and the digits of the body's true digest under
/// one of the secrets.
pub fn signature_header(input: &[u8]) {
    const SECRETS: [&str; 2] = ["other", "fuzz"];
    let Some((&header_len, rest)) = input.split_first() else { return };
    let (header, body) = rest.split_at(rest.len().min(usize::from(header_len)));
    let texts = SECRETS.map(SecretString::from);
    let secrets = WebhookSecrets::new(&texts).expect("the secrets are fixed");
    let digits = header.strip_prefix(b"sha256=").map(<[u8]>::to_ascii_lowercase);
    let true_digits = SECRETS.map(|secret| digits_of(secret, body));
    let is_true = digits.is_some_and(|digits| true_digits.iter().any(|known| known.as_bytes() == digits));
    assert_eq!(secrets.verify(Some(header), body).is_ok(), is_true);
    for known in true_digits {
        assert_eq!(secrets.verify(Some(format!("sha256={known}").as_bytes()), body), Ok(()));
    }
}

fn digits_of(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// Replays saved inputs: the files and folders named on the command line.
///
/// # Panics
/// When a law is broken, or a path cannot be read.
pub fn replay(law: fn(&[u8])) {
    let mut replayed = 0;
    for path in std::env::args_os().skip(1) {
        replayed += replay_path(law, Path::new(&path));
    }
    assert!(replayed > 0, "name the files or folders to replay");
    println!("{replayed} inputs replayed");
}

fn replay_path(law: fn(&[u8]), path: &Path) -> usize {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return entries.flatten().map(|entry| replay_path(law, &entry.path())).sum();
    }
    law(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name)
    }

    #[test]
    fn the_seeds_keep_the_laws() {
        assert!(replay_path(webhook_body, &seeds("webhook_body")) >= 6);
        assert!(replay_path(signature_header, &seeds("signature_header")) >= 4);
    }
}
