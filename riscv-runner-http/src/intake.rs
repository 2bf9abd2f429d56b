//! `POST /`: a delivery in, an answer out after its commit.
//!
//! The signature is checked first, over the raw bytes; nothing is parsed before it holds. No GitHub
//! and no cluster call happens on this path.

mod body;
mod refusal;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, request::Parts};
use riscv_runner_core::{
    admission::{self, IntakePolicy},
    delivery::{Effect, Outcome, Recorded},
    engine::intake::{Intake, IntakeError},
};
use riscv_runner_github::{
    signature::{SIGNATURE_HEADER, WebhookSecrets},
    webhook::{self, EVENT_HEADER, KnownApps, WebhookError, WebhookHeaders},
};
use serde::Serialize;
use tokio::time::Instant;

use self::{body::BodyBudget, refusal::Refusal};
use crate::{
    answer,
    metrics::{RequestOutcome, WebhookEvent},
    staging::{self, StagingRequest},
    state::AppState,
};

/// How much a sender may send, and how long each step may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeLimits {
    /// The largest body, in bytes. GitHub sends none above 25 MB.
    pub body: usize,
    /// How many bytes of bodies are held at a time, over all requests.
    pub bodies_together: usize,
    /// How long a body may take to arrive.
    pub receive: Duration,
    /// How long a commit may take; GitHub gives up after ten seconds in all.
    pub commit: Duration,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self {
            body: 25 * 1024 * 1024,
            bodies_together: 256 * 1024 * 1024,
            receive: Duration::from_secs(10),
            commit: Duration::from_secs(8),
        }
    }
}

/// What accepting webhooks needs; see [`crate::AppStateBuilder::webhooks`].
#[derive(Clone)]
pub struct Webhooks {
    intake: Intake,
    secrets: WebhookSecrets,
    apps: Arc<KnownApps>,
    limits: IntakeLimits,
    budget: BodyBudget,
}

impl Webhooks {
    /// Accepts deliveries of these Apps, signed with one of these secrets, into `intake`.
    #[must_use]
    pub fn new(intake: Intake, secrets: WebhookSecrets, apps: KnownApps, limits: IntakeLimits) -> Self {
        let budget = BodyBudget::new(limits.bodies_together.max(limits.body));
        Self { intake, secrets, apps: Arc::new(apps), limits, budget }
    }
}

#[derive(Debug, Serialize)]
struct Acknowledged {
    outcome: Outcome,
}

/// Receives a delivery.
pub(crate) async fn receive(State(state): State<AppState>, request: Request) -> Response {
    let started = Instant::now();
    let name = request.headers().get(EVENT_HEADER).and_then(|name| name.to_str().ok());
    let event = WebhookEvent::of(name);
    let (outcome, response) = match accept(&state, request).await {
        Ok(outcome) => {
            (RequestOutcome::Recorded(outcome), answer::json(StatusCode::OK, &Acknowledged { outcome }))
        }
        Err(refusal) => (refusal.outcome(), refusal.answer()),
    };
    state.0.metrics.webhook(event, outcome, started.elapsed());
    tracing::debug!(event = event.as_str(), outcome = outcome.as_str(), "a webhook was answered");
    response
}

async fn accept(state: &AppState, request: Request) -> Result<Outcome, Refusal> {
    // The route is not there without them.
    let webhooks = state.0.webhooks.as_ref().ok_or(Refusal::Defect)?;
    let (Parts { headers, .. }, body) = request.into_parts();
    let IntakeLimits { body: limit, receive, .. } = webhooks.limits;
    let held = webhooks.budget.read(&headers, body, limit, receive).await?;
    authenticate(&webhooks.secrets, &headers, &held.bytes)?;
    let delivery = WebhookHeaders::from_map(&headers)
        .and_then(|names| webhook::parse(&names, &held.bytes, &webhooks.apps, state.0.platform.now()))
        .map_err(|error| misunderstood(&error))?;
    let (policy, controls) = (state.policy(), state.controls());
    let by = IntakePolicy { policy: &policy, controls: &controls };
    let for_staging = delivery.app_kind.is_some() && admission::is_staging(&policy, &delivery);
    let recorded = if for_staging && !staging::was_forwarded(&headers) {
        forward(state, &headers, held.bytes.clone()).await?;
        let mut record = admission::decide(delivery, &by);
        record.effect = Effect::Nothing(Outcome::ProxiedToStaging);
        committed(webhooks, webhooks.intake.record(record)).await
    } else {
        committed(webhooks, webhooks.intake.submit(delivery, &by)).await
    }?;
    Ok(recorded.outcome)
}

fn authenticate(secrets: &WebhookSecrets, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let signature = headers.get(SIGNATURE_HEADER).map(http::HeaderValue::as_bytes);
    secrets.verify(signature, body).map_err(|error| {
        tracing::warn!(error = %error, "a webhook was refused");
        Refusal::Unauthorized
    })
}

fn misunderstood(error: &WebhookError) -> Refusal {
    tracing::warn!(error = %error, "a signed webhook was not understood");
    let hint = matches!(error, WebhookError::Json { .. } | WebhookError::Utf8 { .. })
        .then_some("set the webhook's content type to application/json");
    Refusal::Invalid { field: error.field().unwrap_or("body").to_owned(), problem: error.to_string(), hint }
}

async fn forward(state: &AppState, headers: &HeaderMap, body: Bytes) -> Result<(), Refusal> {
    let Some(proxy) = &state.0.staging else {
        tracing::error!("a delivery is for staging, but no staging URL is set");
        return Err(Refusal::Staging { problem: "no staging URL is set".to_owned() });
    };
    proxy.forward(StagingRequest::new(headers, body)).await.map_err(|error| {
        tracing::warn!(error = error.chain(), "staging did not accept a delivery");
        Refusal::Staging { problem: error.to_string() }
    })
}

async fn committed(
    webhooks: &Webhooks,
    commit: impl Future<Output = Result<Recorded, IntakeError>>,
) -> Result<Recorded, Refusal> {
    let Ok(result) = tokio::time::timeout(webhooks.limits.commit, commit).await else {
        tracing::warn!("a delivery was not committed in time");
        return Err(Refusal::Unavailable { what: "the store did not answer in time" });
    };
    result.map_err(|error| match &error {
        IntakeError::Busy => Refusal::Unavailable { what: "too many deliveries are waiting to be recorded" },
        IntakeError::Closed => Refusal::Unavailable { what: "the service is shutting down" },
        // The writer has logged the store's error.
        IntakeError::Store(_) if error.is_passing() => {
            Refusal::Unavailable { what: "the store did not record the delivery" }
        }
        IntakeError::Store(_) => Refusal::Defect,
    })
}
