//! The signature of a webhook: `X-Hub-Signature-256` over the raw bytes of the body.
//!
//! Nothing of a body is read before its signature has been verified, and no comparison ends early.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// What stands before the hexadecimal digits.
const SCHEME: &[u8] = b"sha256=";
/// The length of a SHA-256 digest.
const DIGEST_LEN: usize = 32;

/// Why a signature is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is missing.
    #[error("the header X-Hub-Signature-256 is missing; set a secret in the App's webhook settings")]
    Missing,
    /// The header does not have the form `sha256=` and 64 hexadecimal digits.
    #[error("the header X-Hub-Signature-256 must be \"sha256=\" and 64 hexadecimal digits")]
    Malformed,
    /// No secret gives this signature.
    #[error("the signature does not match the body under any of the configured secrets")]
    Mismatch,
}

/// There is no secret to verify signatures with, or one is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// Without a secret no signature can be verified.
    #[error("no webhook secret is configured; set github.webhook_secrets_files or GHAPP_WEBHOOK_SECRET")]
    None,
    /// An empty secret would let anyone sign.
    #[error("webhook secret number {} is empty", .0 + 1)]
    Empty(usize),
}

/// The secrets that are valid at the moment: several during a rotation.
#[derive(Clone)]
pub struct WebhookSecrets {
    keyed: Vec<Hmac<Sha256>>,
}

impl WebhookSecrets {
    /// Takes the secrets.
    ///
    /// # Errors
    /// No secret at all, and an empty one.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Result<Self, SecretsError> {
        let keyed = secrets
            .into_iter()
            .enumerate()
            .map(|(n, secret)| match secret.expose_secret().as_bytes() {
                [] => Err(SecretsError::Empty(n)),
                // HMAC takes keys of any length, so only emptiness is refused.
                key => Hmac::new_from_slice(key).map_err(|_| SecretsError::Empty(n)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if keyed.is_empty() { Err(SecretsError::None) } else { Ok(Self { keyed }) }
    }

    /// Checks the value of the header `X-Hub-Signature-256` against the raw body.
    ///
    /// Every secret is tried, so the time taken does not tell which one matched.
    ///
    /// # Errors
    /// See [`SignatureError`]; nothing about the body may be believed then.
    pub fn verify(&self, header: Option<&[u8]>, body: &[u8]) -> Result<(), SignatureError> {
        let digest = parse(header.ok_or(SignatureError::Missing)?)?;
        let mut holds = false;
        for keyed in &self.keyed {
            let mut mac = keyed.clone();
            mac.update(body);
            holds |= mac.verify_slice(&digest).is_ok();
        }
        if holds { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    /// How many secrets are valid.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keyed.len()
    }
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookSecrets({} redacted)", self.keyed.len())
    }
}

fn parse(header: &[u8]) -> Result<[u8; DIGEST_LEN], SignatureError> {
    let digits = header.strip_prefix(SCHEME).ok_or(SignatureError::Malformed)?;
    let mut digest = [0; DIGEST_LEN];
    hex::decode_to_slice(digits, &mut digest).map_err(|_| SignatureError::Malformed)?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets(texts: &[&str]) -> WebhookSecrets {
        let texts: Vec<_> = texts.iter().map(|text| SecretString::from(*text)).collect();
        WebhookSecrets::new(&texts).unwrap()
    }

    fn sign(secret: &str, body: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes())).into_bytes()
    }

    #[test]
    fn the_example_of_githubs_documentation_holds() {
        let header = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let secrets = secrets(&["It's a Secret to Everybody"]);
        assert_eq!(secrets.verify(Some(header), b"Hello, World!"), Ok(()));
        assert_eq!(secrets.verify(Some(header), b"Hello, World?"), Err(SignatureError::Mismatch));
    }

    #[test]
    fn any_of_several_secrets_will_do() {
        let both = secrets(&["old", "new"]);
        assert_eq!(both.verify(Some(&sign("old", b"x")), b"x"), Ok(()));
        assert_eq!(both.verify(Some(&sign("new", b"x")), b"x"), Ok(()));
        assert_eq!(both.verify(Some(&sign("other", b"x")), b"x"), Err(SignatureError::Mismatch));
    }

    #[test]
    fn missing_and_malformed_headers_are_told_apart() {
        let secrets = secrets(&["s"]);
        assert_eq!(secrets.verify(None, b""), Err(SignatureError::Missing));
        for bad in ["", "sha1=00", "sha256=", "sha256=00", "sha256=zz"] {
            assert_eq!(secrets.verify(Some(bad.as_bytes()), b""), Err(SignatureError::Malformed), "{bad}");
        }
        let long = format!("sha256={}", "0".repeat(66));
        assert_eq!(secrets.verify(Some(long.as_bytes()), b""), Err(SignatureError::Malformed));
    }

    #[test]
    fn no_secret_and_an_empty_secret_are_refused() {
        assert_eq!(WebhookSecrets::new([]).unwrap_err(), SecretsError::None);
        let texts = [SecretString::from("a"), SecretString::from("")];
        assert_eq!(WebhookSecrets::new(&texts).unwrap_err(), SecretsError::Empty(1));
    }

    /// What is kept of a secret are two states of the hash and the block in hand. A build without this does not
    /// compile: it is the feature `zeroize` of sha2, and hmac's own would wipe the block alone.
    #[test]
    fn what_is_kept_of_a_secret_is_wiped() {
        const fn is_wiped<T: hmac::digest::zeroize::ZeroizeOnDrop>() {}
        is_wiped::<Sha256>();
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        assert_eq!(format!("{:?}", secrets(&["hush"])), "WebhookSecrets(1 redacted)");
    }

    proptest! {
        #[test]
        fn what_was_signed_holds_and_nothing_else(
            secret in "[ -~]{1,80}",
            body in prop::collection::vec(any::<u8>(), 0..300),
            place in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let secrets = secrets(&[&secret]);
            let header = sign(&secret, &body);
            prop_assert_eq!(secrets.verify(Some(&header), &body), Ok(()));
            let mut tampered = body.clone();
            tampered.push(0);
            prop_assert_eq!(secrets.verify(Some(&header), &tampered), Err(SignatureError::Mismatch));
            if !body.is_empty() {
                let mut tampered = body.clone();
                tampered[place.index(body.len())] ^= 1 << bit;
                prop_assert_eq!(secrets.verify(Some(&header), &tampered), Err(SignatureError::Mismatch));
            }
        }

        #[test]
        fn no_header_is_a_panic(header in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(secrets(&["s"]).verify(Some(&header), b"body").is_err());
        }
    }
}
