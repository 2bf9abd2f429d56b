//! GitHub's own log of deliveries, by cursor, and attempts to deliver again.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    GithubDouble, Shared, locked, paging,
    reply::Reply,
    routes::Question,
    runners::linked,
    webhook::{self, Webhook},
};

/// One attempt to deliver.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) id: i64,
    pub(super) at: Timestamp,
    pub(super) status: u16,
    pub(super) redelivery: bool,
    pub(super) webhook: Webhook,
}

/// `GET /app/hook/deliveries`: newest first; the cursor is the last id of the page before.
pub(super) fn list(shared: &Shared, app: i64, question: &Question) -> Reply {
    if question.query("page").is_some() {
        shared.violation("the log of deliveries has cursors, not pages");
    }
    let size = paging::size(shared, question);
    let before = question.query("cursor").and_then(|text| text.strip_prefix("v1_")?.parse::<i64>().ok());
    let world = locked(&shared.world);
    let rest = world.deliveries.iter().rev().filter(|attempt| attempt.webhook.app == app);
    let mut rest = rest.filter(|attempt| before.is_none_or(|before| attempt.id < before)).peekable();
    let page: Vec<_> = rest.by_ref().take(size).collect();
    let cursor = page.last().map(|last| format!("v1_{}", last.id)).filter(|_| rest.peek().is_some());
    let link = cursor
        .map(|cursor| format!("<{}>; rel=\"next\"", paging::address(shared, question, "cursor", &cursor)));
    linked(Reply::json(200, page.into_iter().map(attempt_json).collect()), link)
}

/// `POST /app/hook/deliveries/{id}/attempts`.
pub(super) fn attempt(shared: &Arc<Shared>, app: i64, id: i64) -> Reply {
    let known = {
        let world = locked(&shared.world);
        let mut ours = world.deliveries.iter().filter(|attempt| attempt.webhook.app == app);
        ours.find(|attempt| attempt.id == id).map(|attempt| attempt.webhook.clone())
    };
    let Some(webhook) = known else { return Reply::not_found() };
    let shared = Arc::clone(shared);
    // As with GitHub, the answer does not wait for the target; the attempt is logged either way.
    drop(tokio::spawn(async move { webhook::deliver(&shared, &webhook, true).await }));
    Reply::json(202, json!({}))
}

fn attempt_json(attempt: &Attempt) -> Value {
    let delivered = (200..300).contains(&attempt.status);
    json!({
        "id": attempt.id,
        "guid": attempt.webhook.guid,
        "delivered_at": attempt.at.to_string(),
        "redelivery": attempt.redelivery,
        "duration": 0.1,
        "status": if delivered { "OK" } else { "Invalid HTTP Response" },
        "status_code": attempt.status,
        "event": attempt.webhook.event,
        "action": attempt.webhook.action,
        "installation_id": attempt.webhook.installation,
        "repository_id": null,
        "throttled_at": null,
    })
}

impl GithubDouble {
    /// The log of deliveries: attempt id, GUID and status, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<(i64, String, u16)> {
        let world = self.world();
        world.deliveries.iter().map(|a| (a.id, a.webhook.guid.clone(), a.status)).collect()
    }
}
