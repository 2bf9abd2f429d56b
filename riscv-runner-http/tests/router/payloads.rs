//! Webhook requests as GitHub sends them: payload, headers, signature.

use axum::body::Body;
use hmac::{Hmac, KeyInit, Mac};
use http::Request;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::serving::{ORG_APP, SECRET};

/// A job of a repository of an organization, changed as a test needs it.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) action: &'static str,
    pub(crate) labels: Vec<&'static str>,
    pub(crate) owner: i64,
    pub(crate) repo: &'static str,
    pub(crate) private: bool,
    pub(crate) name: &'static str,
    pub(crate) html_url: &'static str,
    pub(crate) runner: Option<&'static str>,
    pub(crate) sender: &'static str,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            id: 9_007_199_254_740_993,
            action: "queued",
            labels: vec!["ubuntu-24.04-riscv"],
            owner: 500,
            repo: "acme/widgets",
            private: false,
            name: "build",
            html_url: "https://github.com/acme/widgets/actions/runs/1/job/2",
            runner: None,
            sender: "alice",
        }
    }
}

impl Job {
    /// The payload of `workflow_job`.
    pub(crate) fn payload(&self) -> Value {
        let (owner, name) = self.repo.split_once('/').unwrap();
        let completed = self.action == "completed";
        json!({
            "action": self.action,
            "workflow_job": {
                "id": self.id,
                "run_id": 40,
                "labels": self.labels,
                "name": self.name,
                "html_url": self.html_url,
                "created_at": "2026-01-01T00:00:00Z",
                "started_at": self.runner.map(|_| "2026-01-01T00:02:00Z"),
                "completed_at": completed.then_some("2026-01-01T00:05:00Z"),
                "conclusion": completed.then_some("success"),
                "runner_name": self.runner,
            },
            "repository": {
                "id": 50,
                "name": name,
                "full_name": self.repo,
                "private": self.private,
                "owner": { "id": self.owner, "login": owner, "type": "Organization" },
            },
            "organization": { "id": self.owner, "login": owner },
            "installation": { "id": 60 },
            "sender": { "id": 70, "login": self.sender, "type": "User" },
        })
    }

    /// The signed request.
    pub(crate) fn request(&self, guid: &str) -> Request<Body> {
        signed("workflow_job", guid, self.payload().to_string())
    }
}

/// The value of `X-Hub-Signature-256`.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// A delivery for the App of organizations, signed.
pub(crate) fn signed(event: &str, guid: &str, body: impl Into<Vec<u8>>) -> Request<Body> {
    let body = body.into();
    Request::post("/")
        .header("content-type", "application/json")
        .header("user-agent", "GitHub-Hookshot/test")
        .header("x-github-event", event)
        .header("x-github-delivery", guid)
        .header("x-github-hook-installation-target-id", ORG_APP)
        .header("x-hub-signature-256", signature(SECRET, &body))
        .body(Body::from(body))
        .unwrap()
}
