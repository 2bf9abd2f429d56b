//! The token with which an App speaks as itself: a JWT signed with its private key (RS256).
//!
//! GitHub accepts it for ten minutes at most, and refuses one that was issued in its future.

mod ring_provider;

use std::{fmt, sync::Mutex, sync::PoisonError, time::Duration};

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use riscv_runner_core::{backoff, ids::AppId};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// Backdating covers a clock that is ahead of GitHub's; the documentation asks for it.
const BACKDATED: Duration = Duration::from_secs(60);
/// A minute less than GitHub's ten, again for the sake of clocks.
const LIFETIME: Duration = Duration::from_secs(9 * 60);
/// A token is used until this long before its end, so that it does not end on the way.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// Why a private key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is not a PEM of an RSA private key.
    #[error("it is not an RSA private key in PEM form; download a new one from the App's settings")]
    Pem(#[source] jsonwebtoken::errors::Error),
    /// The key is refused by the signing library.
    #[error("it is not a usable RSA key: {0}")]
    Refused(String),
}

#[derive(Serialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: String,
}

/// Signs for one App.
pub(crate) struct AppSigner {
    app: AppId,
    key: EncodingKey,
    current: Mutex<Option<(SecretString, Timestamp)>>,
}

impl fmt::Debug for AppSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppSigner({})", self.app)
    }
}

impl AppSigner {
    pub(crate) fn new(app: AppId, private_key: &SecretString) -> Result<Self, KeyError> {
        ring_provider::install();
        let key = EncodingKey::from_rsa_pem(private_key.expose_secret().trim().as_bytes())
            .map_err(KeyError::Pem)?;
        ring_provider::check(&key).map_err(KeyError::Refused)?;
        Ok(Self { app, key, current: Mutex::new(None) })
    }

    /// A token that GitHub accepts at `now`; the same one for some minutes.
    pub(crate) fn token(&self, now: Timestamp) -> Result<SecretString, jsonwebtoken::errors::Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, until)) = current.as_ref()
            && now < *until
            && backoff::age(*until, now) <= LIFETIME
        {
            return Ok(token.clone());
        }
        let expires = backoff::add(now, LIFETIME);
        let claims = Claims {
            iat: now.as_second() - i64::try_from(BACKDATED.as_secs()).unwrap_or(0),
            exp: expires.as_second(),
            iss: self.app.to_string(),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)?;
        let token = SecretString::from(token);
        let until = expires.checked_sub(RENEW_BEFORE).unwrap_or(now);
        *current = Some((token.clone(), until));
        Ok(token)
    }

    /// Forgets the token, after GitHub refused it.
    pub(crate) fn forget(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use riscv_runner_sim::doubles::github::{TEST_APP_KEY_PKCS1, TEST_APP_KEY_PKCS8, TEST_APP_PUBLIC_KEY};
    use serde_json::Value;

    use super::*;

    fn signer(pem: &str) -> Result<AppSigner, KeyError> {
        AppSigner::new(AppId::new(7).unwrap(), &SecretString::from(pem))
    }

    fn claims(token: &SecretString) -> Value {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        let key = DecodingKey::from_rsa_pem(TEST_APP_PUBLIC_KEY.as_bytes()).unwrap();
        jsonwebtoken::decode::<Value>(token.expose_secret(), &key, &validation).unwrap().claims
    }

    #[test]
    fn both_forms_of_the_key_sign_the_same_claims() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for pem in [TEST_APP_KEY_PKCS1, TEST_APP_KEY_PKCS8] {
            let claims = claims(&signer(pem).unwrap().token(now).unwrap());
            assert_eq!(claims, serde_json::json!({ "iss": "7", "iat": 999_940, "exp": 1_000_540 }));
        }
    }

    #[test]
    fn a_token_is_kept_until_shortly_before_its_end() {
        let signer = signer(TEST_APP_KEY_PKCS1).unwrap();
        let at = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
        let first = signer.token(at(0)).unwrap();
        assert_eq!(signer.token(at(479)).unwrap().expose_secret(), first.expose_secret());
        assert_ne!(signer.token(at(480)).unwrap().expose_secret(), first.expose_secret());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_a_token_of_the_future() {
        let signer = signer(TEST_APP_KEY_PKCS1).unwrap();
        signer.token(Timestamp::from_second(1_000_000).unwrap()).unwrap();
        let back = claims(&signer.token(Timestamp::from_second(900_000).unwrap()).unwrap());
        assert_eq!(back["exp"], 900_540);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let truncated = TEST_APP_KEY_PKCS1.replace("MII", "AAA");
        for pem in ["", "secret", TEST_APP_PUBLIC_KEY, truncated.as_str()] {
            assert!(signer(pem).is_err(), "{pem}");
        }
    }

    #[test]
    fn the_key_is_not_in_debug_output() {
        assert_eq!(format!("{:?}", signer(TEST_APP_KEY_PKCS1).unwrap()), "AppSigner(7)");
    }
}
