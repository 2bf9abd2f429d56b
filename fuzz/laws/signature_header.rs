//! Signatures of webhooks.

use hmac::{Hmac, KeyInit, Mac};
use riscv_runner_github::signature::WebhookSecrets;
use secrecy::SecretString;
use sha2::Sha256;

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
