//! Discord, through a webhook of a channel.

use std::sync::Arc;

use async_trait::async_trait;
use riscv_runner_core::{
    notify::{Notification, Severity},
    ports::{Notifier, Platform, PortResult},
};
use secrecy::SecretString;
use serde_json::json;

use crate::client::{Peer, SetupError};

/// Discord's limits of an embed.
const MAX_TITLE: usize = 256;
const MAX_TEXT: usize = 4096;

/// Posts notifications to a channel.
#[derive(Clone)]
pub struct Discord(Peer);

impl Discord {
    /// Posts to this webhook, as Discord's channel settings show it.
    ///
    /// # Errors
    /// An address that cannot be posted to.
    pub fn new(url: &SecretString, platform: Arc<dyn Platform>) -> Result<Self, SetupError> {
        Ok(Self(Peer::new(url, platform)?))
    }
}

#[async_trait]
impl Notifier for Discord {
    fn name(&self) -> &'static str {
        "discord"
    }

    async fn notify(&self, notification: &Notification) -> PortResult<()> {
        let (color, word) = match (notification.ended, notification.severity) {
            (true, _) => (0x2e_7d32, "over"),
            (false, Severity::Info) => (0x15_65c0, "info"),
            (false, Severity::Warning) => (0xb2_6a00, "warning"),
            (false, Severity::Critical) => (0xb3_261e, "critical"),
        };
        let message = json!({
            "username": "RISC-V runners",
            "allowed_mentions": { "parse": [] },
            "embeds": [{
                "title": first(&notification.title, MAX_TITLE),
                "description": first(&notification.text, MAX_TEXT),
                "color": color,
                "timestamp": notification.at.to_string(),
                "footer": { "text": format!("{word} · {} · {}", notification.topic, notification.subject) },
            }],
        });
        self.0.send("notify Discord", self.0.post().json(&message)).await
    }
}

fn first(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
