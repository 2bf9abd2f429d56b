//! A limit on how often one address may request pages: pages read the database, and anyone may ask. Webhooks,
//! probes and metrics are never limited here.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{Method, StatusCode};
use riscv_runner_core::ports::Platform;

pub use crate::clients::customer;
use crate::{
    answer::{self, Fault},
    clients::{Allowances, Client},
};

/// What probes and scrapers request.
const UNLIMITED: [&str; 3] = ["/health", "/ready", "/metrics"];
/// The share of a minute's allowance that may be used at once.
const BURST_SHARE: u32 = 4;
const MINUTE: Duration = Duration::from_secs(60);

/// How often an address may request pages.
pub struct PageRate {
    platform: Arc<dyn Platform>,
    allowances: Allowances,
    behind_proxy: bool,
}

impl PageRate {
    /// So many requests per minute and address, a quarter of them at once. With `behind_proxy` the address
    /// is the last one of `X-Forwarded-For`, which the nearest proxy wrote; without, and where the header names
    /// no address, the connection's.
    #[must_use]
    pub fn new(platform: Arc<dyn Platform>, per_minute: NonZeroU32, behind_proxy: bool) -> Self {
        let burst = (per_minute.get() / BURST_SHARE).max(1);
        Self { platform, allowances: Allowances::new(burst, MINUTE / per_minute.get()), behind_proxy }
    }
}

/// Limits the pages of a router. The address of the connection is taken from axum's `ConnectInfo`; a
/// request without one is not limited.
pub fn limit_pages(router: Router, rate: PageRate) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::new(rate), limit))
}

async fn limit(State(rate): State<Arc<PageRate>>, request: Request, next: Next) -> Response {
    // A HEAD does the work of its GET.
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let limited = reads && !UNLIMITED.contains(&request.uri().path());
    let client = Client::of(request.headers(), request.extensions(), rate.behind_proxy);
    let now = rate.platform.now();
    if limited
        && client.is_known()
        && let Err(until) = rate.allowances.take(client, now)
    {
        let fault =
            Fault::new("too many requests from this address").hint("wait as long as Retry-After says");
        return answer::retry_at(answer::json(StatusCode::TOO_MANY_REQUESTS, &fault), until, now);
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use http::header::RETRY_AFTER;
    use riscv_runner_sim::{
        chance::Stream,
        clock::{SimClock, SimPlatform},
    };
    use tower::ServiceExt;

    use super::*;

    fn pages(per_minute: u32) -> Router {
        let page = || async { "page" };
        let platform = Arc::new(SimPlatform::new(SimClock::default(), Stream::new(1, "rate")));
        let rate = PageRate::new(platform, NonZeroU32::new(per_minute).unwrap(), true);
        limit_pages(Router::new().route("/jobs", get(page)).route("/health", get(page)), rate)
    }

    async fn ask(router: &Router, path: &str, forwarded: &str) -> Response {
        let request = Request::get(path).header("x-forwarded-for", forwarded).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_quarter_of_a_minute_may_come_at_once_and_others_are_not_touched() {
        let router = pages(60);
        for _ in 0..15 {
            assert_eq!(ask(&router, "/jobs", "192.0.2.1").await.status(), StatusCode::OK);
        }
        let refused = ask(&router, "/jobs", "192.0.2.1").await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()[RETRY_AFTER], "1");
        assert_eq!(ask(&router, "/jobs", "192.0.2.2").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_head_is_counted_like_its_get() {
        let router = pages(4);
        let head = Request::head("/jobs").header("x-forwarded-for", "192.0.2.1:4711").body(Body::empty());
        assert_eq!(router.clone().oneshot(head.unwrap()).await.unwrap().status(), StatusCode::OK);
        let status = ask(&router, "/jobs", "192.0.2.1:4712").await.status();
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    }

    #[tokio::test]
    async fn pages_are_limited_by_what_the_proxy_says_and_probes_never() {
        let router = pages(4);
        let ask = async |path, forwarded| ask(&router, path, forwarded).await.status();
        assert_eq!(ask("/jobs", "192.0.2.1").await, StatusCode::OK);
        assert_eq!(ask("/jobs", "203.0.113.9, 192.0.2.1").await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(ask("/jobs", "192.0.2.1, 192.0.2.2").await, StatusCode::OK);
        for _ in 0..10 {
            assert_eq!(ask("/health", "192.0.2.1").await, StatusCode::OK);
        }
    }
}
