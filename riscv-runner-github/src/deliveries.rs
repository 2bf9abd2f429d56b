//! GitHub's own log of what it delivered to our Apps, and the request to deliver again.

use jiff::Timestamp;
use reqwest::Method;
use riscv_runner_core::{entity::EntityKind, ids::DeliveryGuid, ports::HookDelivery};
use serde::Deserialize;

use crate::{
    api::{Api, Ask, Name, Reading},
    client::{ApiError, Endpoint, Priority},
};

#[derive(Deserialize)]
struct Attempt {
    id: i64,
    guid: DeliveryGuid,
    delivered_at: Timestamp,
    status_code: u16,
    redelivery: bool,
    event: String,
}

/// The attempts to deliver to one App, newest first, back to `since`. Nothing was ever sent to an App that
/// there is not.
pub(crate) async fn list(
    api: &Api,
    app: EntityKind,
    since: Timestamp,
) -> Result<Vec<HookDelivery>, ApiError> {
    if !api.tokens.kinds().contains(&app) {
        return Ok(Vec::new());
    }
    let segments = ["app", "hook", "deliveries"];
    let ask = Ask::get(Name::App(app), Priority::Reconcile, Endpoint::HookDeliveries, &segments);
    let mut attempts = Vec::new();
    api.list(&ask, |page: Vec<Attempt>| {
        let reached = page.last().is_none_or(|oldest| oldest.delivered_at < since);
        attempts.extend(page.into_iter().filter(|a| since <= a.delivered_at).map(HookDelivery::from));
        if reached { Reading::Enough } else { Reading::On }
    })
    .await?;
    Ok(attempts)
}

/// Asks for another attempt.
pub(crate) async fn redeliver(api: &Api, app: EntityKind, delivery: i64) -> Result<(), ApiError> {
    let id = delivery.to_string();
    let segments = ["app", "hook", "deliveries", &id, "attempts"];
    let ask = Ask {
        name: Name::App(app),
        priority: Priority::Reconcile,
        method: Method::POST,
        endpoint: Endpoint::HookAttempt,
        segments: &segments,
        query: &[],
        body: None,
    };
    api.ask(&ask).await.map(drop)
}

impl From<Attempt> for HookDelivery {
    fn from(attempt: Attempt) -> Self {
        Self {
            id: attempt.id,
            guid: attempt.guid,
            delivered_at: attempt.delivered_at,
            status: attempt.status_code,
            redelivery: attempt.redelivery,
            event: attempt.event,
        }
    }
}
