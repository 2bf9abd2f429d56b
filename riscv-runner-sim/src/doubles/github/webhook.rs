//! Webhooks: built from the double's state, signed, and sent where the configuration says.

use std::{fmt::Write as _, io};

use hmac::{Hmac, KeyInit, Mac};
use riscv_runner_core::entity::EntityKind;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{GithubDouble, Shared, deliveries::Attempt, locked, payloads, world::World};

/// A delivery, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The delivery's GUID.
    pub guid: String,
    /// The event's name.
    pub event: String,
    /// Its action, where it has one.
    pub action: Option<String>,
    /// The App that it is for.
    pub app: i64,
    /// The installation that it speaks of.
    pub installation: Option<i64>,
    /// The body, byte for byte as it is signed.
    pub body: String,
}

/// The value of `X-Hub-Signature-256`.
#[must_use]
pub fn sign(secret: &str, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let mut text = String::from("sha256=");
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        mac.update(body);
        text.push_str(&hex::encode(mac.finalize().into_bytes()));
    }
    text
}

impl Webhook {
    /// The headers that GitHub sends, with the signature by `secret`.
    #[must_use]
    pub fn headers(&self, secret: &str) -> Vec<(&'static str, String)> {
        vec![
            ("Content-Type", "application/json".into()),
            ("User-Agent", "GitHub-Hookshot/double".into()),
            ("X-GitHub-Delivery", self.guid.clone()),
            ("X-GitHub-Event", self.event.clone()),
            ("X-GitHub-Hook-ID", self.app.to_string()),
            ("X-GitHub-Hook-Installation-Target-ID", self.app.to_string()),
            ("X-GitHub-Hook-Installation-Target-Type", "integration".into()),
            ("X-Hub-Signature-256", sign(secret, self.body.as_bytes())),
        ]
    }
}

impl GithubDouble {
    /// The `workflow_job` delivery about a job as it is now; a new GUID each time. `None` when the job,
    /// or an installation for its repository, is not there.
    #[must_use]
    pub fn webhook(&self, job: i64, action: &str) -> Option<Webhook> {
        let mut world = self.world();
        let job = world.jobs.get(&job)?.clone();
        let repo = world.repo(&job.repo)?.clone();
        let owner = world.account(&repo.owner)?.clone();
        let (installation, app) = installation_for(&world, &owner.login)?;
        let mut payload = json!({
            "action": action,
            "workflow_job": payloads::job(&job),
            "repository": payloads::repo(&repo, &owner),
            "sender": payloads::account(&owner),
            "installation": { "id": installation, "node_id": format!("I_{installation}") },
        });
        if owner.kind == EntityKind::Organization {
            payload["organization"] = payloads::account(&owner);
        }
        Some(webhook(&mut world, app, Some(installation), "workflow_job", Some(action), &payload))
    }

    /// The `installation` delivery (`created`, `deleted`, `suspend`, `unsuspend`) about an installation.
    #[must_use]
    pub fn installation_webhook(
        &self,
        installation: i64,
        login: &str,
        app: i64,
        action: &str,
    ) -> Option<Webhook> {
        let mut world = self.world();
        let account = world.account(login)?.clone();
        let payload = json!({
            "action": action,
            "installation": {
                "id": installation,
                "account": payloads::account(&account),
                "repository_selection": "all",
                "app_id": app,
                "target_id": account.id,
                "target_type": account.kind.as_str(),
            },
            "repositories": [],
            "sender": payloads::account(&account),
        });
        Some(webhook(&mut world, app, Some(installation), "installation", Some(action), &payload))
    }

    /// A delivery of any event, for an App.
    #[must_use]
    pub fn any_webhook(&self, app: i64, event: &str, payload: &Value) -> Webhook {
        let action = payload["action"].as_str().map(str::to_owned);
        let installation = payload["installation"]["id"].as_i64();
        webhook(&mut self.world(), app, installation, event, action.as_deref(), payload)
    }

    /// Sends a delivery to the configured address and logs the attempt; the status of the answer.
    ///
    /// # Errors
    /// When there is no address, or no answer; the attempt is logged as failed.
    pub async fn send(&self, webhook: &Webhook) -> io::Result<u16> {
        deliver(&self.shared, webhook, false).await
    }

    /// Logs a delivery as failed without sending it: a webhook that was lost.
    pub fn lose(&self, webhook: &Webhook) {
        log(&self.shared, webhook, 0, false);
    }
}

/// Sends, and logs the attempt.
pub(super) async fn deliver(shared: &Shared, webhook: &Webhook, redelivery: bool) -> io::Result<u16> {
    let result = match &shared.config.webhook {
        Some((address, secret)) => post(address, webhook, secret).await,
        None => Err(io::Error::other("the double has no address to send webhooks to")),
    };
    log(shared, webhook, *result.as_ref().unwrap_or(&0), redelivery);
    result
}

fn log(shared: &Shared, webhook: &Webhook, status: u16, redelivery: bool) {
    let at = shared.now();
    let mut world = locked(&shared.world);
    let id = world.next_id();
    world.deliveries.push(Attempt { id, at, status, redelivery, webhook: webhook.clone() });
}

/// One POST over one connection; enough HTTP for a test's target on this machine.
async fn post(address: &str, webhook: &Webhook, secret: &str) -> io::Result<u16> {
    let rest = address.strip_prefix("http://").ok_or_else(|| io::Error::other("only http:// is spoken"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut request = format!("POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in webhook.headers(secret) {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    let _ = write!(request, "Content-Length: {}\r\n\r\n", webhook.body.len());
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(request.as_bytes()).await?;
    stream.write_all(webhook.body.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let line = String::from_utf8_lossy(answer.get(..64.min(answer.len())).unwrap_or_default()).into_owned();
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other("the target did not answer with HTTP"))
}

fn webhook(
    world: &mut World,
    app: i64,
    installation: Option<i64>,
    event: &str,
    action: Option<&str>,
    payload: &Value,
) -> Webhook {
    let id = world.next_id();
    Webhook {
        guid: format!("00000000-0000-4000-8000-{id:012x}"),
        event: event.into(),
        action: action.map(str::to_owned),
        app,
        installation,
        body: payload.to_string(),
    }
}

fn installation_for(world: &World, login: &str) -> Option<(i64, i64)> {
    let ours = |known: &super::world::Installation| known.account.eq_ignore_ascii_case(login);
    world.installations.iter().find(|(_, known)| ours(known)).map(|(id, known)| (*id, known.app))
}
