//! Which routes are served in which role.

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use http::StatusCode;

use crate::{
    answer::{self, Fault},
    health, intake, orders,
    pages::{self, visitor::Guest},
    security,
    state::AppState,
    trace,
};

/// What a process serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Webhooks and pages.
    #[default]
    All,
    /// Webhooks, health and metrics.
    Webhook,
    /// Pages, health and metrics.
    Scheduler,
}

impl Role {
    const fn takes_webhooks(self) -> bool {
        matches!(self, Self::All | Self::Webhook)
    }

    const fn shows_pages(self) -> bool {
        matches!(self, Self::All | Self::Scheduler)
    }
}

/// Everything on one router: webhooks, pages, health and metrics.
pub fn router(state: AppState) -> Router {
    router_for(Role::All, state)
}

/// The routes of one role.
///
/// The router carries its own layers (headers, panics, limits) and asks nothing of the host but a path:
/// `Router::nest("/ci", router(state))` works, and the links of its pages follow. Its state is already bound.
pub fn router_for(role: Role, state: AppState) -> Router {
    let leader = if role.shows_pages() { health::Leader::Required } else { health::Leader::Reported };
    let mut router = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(move |state, headers| health::ready(state, headers, leader)))
        .route("/metrics", get(health::metrics));
    if role.takes_webhooks() && state.0.webhooks.is_some() {
        router = router.route("/", post(intake::receive));
    }
    let takes_orders = state.0.operators.as_ref().is_some_and(|operators| operators.token.is_some());
    if role.shows_pages() && takes_orders {
        router = router.route("/controls", post(orders::receive));
    }
    if role.shows_pages() {
        router = router.merge(pages::routes());
    }
    if state.0.trace.is_some() && state.0.reader_token.is_some() {
        router = router.merge(trace::routes());
    }
    let router =
        router.fallback(move |guest| not_found(role, guest)).method_not_allowed_fallback(method_not_allowed);
    security::protect(router.with_state(state))
}

/// The answers of a process while it brings the schema of its store up to date: it is live, and everything
/// else must be tried again later.
pub fn router_while_migrating() -> Router {
    let router = Router::new().route("/health", get(health::health)).route("/ready", get(health::migrating));
    security::protect(router.fallback(health::migrating))
}

async fn not_found(role: Role, guest: Result<Guest, Response>) -> Response {
    let hint = if role.shows_pages() {
        "GET / lists the pages"
    } else {
        "this process only accepts webhooks; pages are shown with --role all or --role scheduler"
    };
    let fault = Fault::new("no such page").hint(hint);
    match guest {
        Ok(Guest(visitor)) if role.shows_pages() => visitor.fault(StatusCode::NOT_FOUND, &fault),
        Ok(_) | Err(_) => answer::json(StatusCode::NOT_FOUND, &fault),
    }
}

async fn method_not_allowed() -> Response {
    let fault =
        Fault::new("this path does not support this method").hint("the Allow header lists those it supports");
    answer::json(StatusCode::METHOD_NOT_ALLOWED, &fault)
}
