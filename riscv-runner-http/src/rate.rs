//! A limit on how often one address may ask for pages: they read the database, and anybody may ask.
//! Webhooks, probes and metrics are never limited here.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::RETRY_AFTER};
use jiff::{SignedDuration, Timestamp};
use riscv_runner_core::ports::Platform;

use crate::answer::{self, Fault};

/// What probes and scrapers ask for.
const UNLIMITED: [&str; 3] = ["/health", "/ready", "/metrics"];
/// How many addresses are remembered; beyond it, new ones share one allowance until others are idle.
const MAX_ADDRESSES: usize = 10_000;
/// The share of a minute's allowance that may be used at once.
const BURST_SHARE: i64 = 4;
const MINUTE_MILLIS: i64 = 60_000;

/// How often an address may ask for pages.
pub struct PageRate {
    platform: Arc<dyn Platform>,
    /// What one request costs, in milliseconds of waiting.
    cost: SignedDuration,
    burst: SignedDuration,
    behind_proxy: bool,
    /// When each address will have paid for what it asked; in the past when it owes nothing.
    owed: Mutex<BTreeMap<IpAddr, Timestamp>>,
}

impl PageRate {
    /// So many requests per minute and address, a quarter of them at once. With `behind_proxy` the address
    /// is the last one of `X-Forwarded-For`, which the nearest proxy wrote; without, the connection's.
    #[must_use]
    pub fn new(platform: Arc<dyn Platform>, per_minute: NonZeroU32, behind_proxy: bool) -> Self {
        let cost = (MINUTE_MILLIS / i64::from(per_minute.get())).max(1);
        Self {
            platform,
            cost: SignedDuration::from_millis(cost),
            burst: SignedDuration::from_millis((MINUTE_MILLIS / BURST_SHARE).max(cost)),
            behind_proxy,
            owed: Mutex::default(),
        }
    }

    /// Charges a request; how long the address must wait when it may not be answered now.
    fn charge(&self, address: IpAddr) -> Result<(), SignedDuration> {
        let now = self.platform.now();
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = network(address);
        if owed.len() >= MAX_ADDRESSES && !owed.contains_key(&key) {
            owed.retain(|_, paid| *paid > now);
            if owed.len() >= MAX_ADDRESSES {
                key = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            }
        }
        let paid = owed.get(&key).copied().map_or(now, |paid| paid.max(now));
        let after = paid.checked_add(self.cost).unwrap_or(Timestamp::MAX);
        let ahead = after.duration_since(now);
        if ahead > self.burst {
            return Err(ahead - self.burst);
        }
        owed.insert(key, after);
        Ok(())
    }

    fn address(&self, request: &Request) -> Option<IpAddr> {
        if self.behind_proxy {
            return forwarded(request.headers());
        }
        let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        Some(peer.ip())
    }
}

/// The last address of `X-Forwarded-For`; those before it are what the client said of itself.
pub(crate) fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

/// One customer of IPv6 has a whole /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Limits the pages of a router. The address of the connection is taken from axum's `ConnectInfo`; a
/// request without one is not limited.
pub fn limit_pages(router: Router, rate: PageRate) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::new(rate), limit))
}

async fn limit(State(rate): State<Arc<PageRate>>, request: Request, next: Next) -> Response {
    let limited = request.method() == Method::GET && !UNLIMITED.contains(&request.uri().path());
    let refused = limited.then(|| rate.address(&request)).flatten().map(|address| rate.charge(address));
    let Some(Err(wait)) = refused else { return next.run(request).await };
    let seconds = wait.as_secs() + 1;
    let fault = Fault::new("too many requests from this address").hint("wait as long as Retry-After says");
    let mut response = answer::json(StatusCode::TOO_MANY_REQUESTS, &fault);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use riscv_runner_sim::{
        chance::Stream,
        clock::{SimClock, SimPlatform},
    };
    use tower::ServiceExt;

    use super::*;

    fn rate(per_minute: u32, behind_proxy: bool) -> PageRate {
        let platform = Arc::new(SimPlatform::new(SimClock::default(), Stream::new(1, "rate")));
        PageRate::new(platform, NonZeroU32::new(per_minute).unwrap(), behind_proxy)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_quarter_of_a_minute_may_come_at_once_and_others_are_not_touched() {
        let rate = rate(60, false);
        let allowed = (0..100).filter(|_| rate.charge(address("192.0.2.1")).is_ok()).count();
        assert_eq!(allowed, 15);
        let wait = rate.charge(address("192.0.2.1")).unwrap_err();
        assert_eq!(wait, SignedDuration::from_secs(1));
        assert!(rate.charge(address("192.0.2.2")).is_ok());
        assert!(rate.charge(address("::ffff:192.0.2.1")).is_err(), "the same address in another dress");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let rate = rate(4, false);
        assert!(rate.charge(address("2001:db8::1")).is_ok());
        assert!(rate.charge(address("2001:db8::2")).is_err());
        assert!(rate.charge(address("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn a_flood_of_addresses_is_not_remembered_without_end() {
        let rate = rate(4, false);
        let allowed = (0..20_000_u32).filter(|n| rate.charge(Ipv4Addr::from_bits(n + 1).into()).is_ok());
        assert_eq!(allowed.count(), MAX_ADDRESSES + 1);
        assert!(rate.owed.lock().unwrap().len() <= MAX_ADDRESSES + 1);
    }

    async fn ask(router: &Router, path: &str, forwarded: &str) -> StatusCode {
        let request = Request::get(path).header("x-forwarded-for", forwarded).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn pages_are_limited_by_what_the_proxy_says_and_probes_never() {
        let page = || async { "page" };
        let router = Router::new().route("/jobs", get(page)).route("/health", get(page));
        let router = limit_pages(router, rate(4, true));
        assert_eq!(ask(&router, "/jobs", "192.0.2.1").await, StatusCode::OK);
        assert_eq!(ask(&router, "/jobs", "203.0.113.9, 192.0.2.1").await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(ask(&router, "/jobs", "192.0.2.1, 192.0.2.2").await, StatusCode::OK);
        for _ in 0..10 {
            assert_eq!(ask(&router, "/health", "192.0.2.1").await, StatusCode::OK);
        }
    }
}
