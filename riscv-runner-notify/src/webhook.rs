//! A webhook of the operators' own: JSON, signed the way GitHub signs its own.

use std::sync::Arc;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::CONTENT_TYPE;
use riscv_runner_core::{
    notify::Notification,
    ports::{Notifier, Platform, PortError, PortErrorKind, PortResult},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::client::{Peer, SetupError};

/// `sha256=` and the HMAC-SHA256 of the body's bytes with the shared secret, in hexadecimal. Receivers
/// compute it over the body as it came, and compare in constant time.
pub const SIGNATURE_HEADER: &str = "x-riscv-runner-signature-256";
/// The notification's id, the same for every attempt: a receiver that has seen it may drop it.
pub const ID_HEADER: &str = "x-riscv-runner-notification";

/// Posts notifications as JSON: the fields of [`Notification`].
#[derive(Clone)]
pub struct Webhook {
    peer: Peer,
    secret: Option<SecretString>,
}

impl Webhook {
    /// Posts to this URL; without a secret nothing is signed.
    ///
    /// # Errors
    /// An address that cannot be posted to.
    pub fn new(
        url: &SecretString,
        secret: Option<SecretString>,
        platform: Arc<dyn Platform>,
    ) -> Result<Self, SetupError> {
        Ok(Self { peer: Peer::new(url, platform)?, secret })
    }
}

#[async_trait]
impl Notifier for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn notify(&self, notification: &Notification) -> PortResult<()> {
        const OPERATION: &str = "notify the webhook";
        let bug = |detail: String| PortError::new(PortErrorKind::Bug, OPERATION, detail);
        let body = serde_json::to_vec(notification).map_err(|error| bug(error.to_string()))?;
        let mut request =
            self.peer.post().header(CONTENT_TYPE, "application/json").header(ID_HEADER, &notification.id);
        if let Some(secret) = &self.secret {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
                .map_err(|_| bug("the secret cannot be a key".to_owned()))?;
            mac.update(&body);
            let signature = hex::encode(mac.finalize().into_bytes());
            request = request.header(SIGNATURE_HEADER, format!("sha256={signature}"));
        }
        self.peer.send(OPERATION, request.body(body)).await
    }
}
