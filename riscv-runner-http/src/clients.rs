//! Clients, by address, and how often they may ask: what anyone may request of us is scarce.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap};
use jiff::Timestamp;
use riscv_runner_core::allowance::Allowance;

/// How many addresses are remembered; beyond it, new ones share one allowance until others are idle.
const MAX_CLIENTS: usize = 10_000;

/// An address whose requests are counted; `None` where the server does not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Client(Option<IpAddr>);

impl Client {
    /// No client: for pages that reload themselves. Also the clients that share an allowance.
    pub(crate) const NOBODY: Self = Self(None);

    /// The client of a request: with `behind_proxy` the last address of `X-Forwarded-For`, which the nearest
    /// proxy wrote; without, and where the header names no address, the connection's.
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions, behind_proxy: bool) -> Self {
        let told = behind_proxy.then(|| forwarded(headers)).flatten();
        let connected = || extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        told.or_else(connected).map_or(Self::NOBODY, Self::at)
    }

    /// The client at this address.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self(Some(customer(address)))
    }

    /// Whether an address is known.
    pub(crate) const fn is_known(self) -> bool {
        self.0.is_some()
    }
}

/// The address by which a client is counted: one IPv6 customer has a whole /64.
#[must_use]
pub fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The last address of `X-Forwarded-For`; those before it are the client's own claims.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    with_or_without_port(last.rsplit(',').next()?.trim())
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:4711`: proxies write
/// all of them.
fn with_or_without_port(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// What each client may still request.
#[derive(Debug)]
pub(crate) struct Allowances {
    burst: u32,
    one_per: Duration,
    known: Mutex<BTreeMap<Client, Allowance>>,
}

impl Allowances {
    /// Allows `burst` at once for each client, and one more each time this long has passed.
    pub(crate) const fn new(burst: u32, one_per: Duration) -> Self {
        Self { burst, one_per, known: Mutex::new(BTreeMap::new()) }
    }

    /// Takes one of this client's, or says when it may ask again.
    pub(crate) fn take(&self, client: Client, now: Timestamp) -> Result<(), Timestamp> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = client;
        if known.len() >= MAX_CLIENTS && !known.contains_key(&client) {
            known.retain(|_, allowance| !allowance.is_whole(now));
            if known.len() >= MAX_CLIENTS {
                client = Client::NOBODY;
            }
        }
        known.entry(client).or_insert_with(|| Allowance::new(self.burst, self.one_per)).take(now)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn client(n: u32) -> Client {
        Client::at(IpAddr::from(n.to_be_bytes()))
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap()
    }

    #[test]
    fn the_proxy_is_believed_only_where_there_is_one() {
        let mut request = Request::builder().header("x-forwarded-for", "203.0.113.9, 198.51.100.1");
        let connected = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 7)));
        request.extensions_mut().unwrap().insert(connected);
        let parts = request.body(()).unwrap().into_parts().0;
        let asks = |behind_proxy| Client::of(&parts.headers, &parts.extensions, behind_proxy);
        assert_eq!(asks(false), Client(Some(IpAddr::from([192, 0, 2, 1]))));
        assert_eq!(asks(true), Client(Some(IpAddr::from([198, 51, 100, 1]))));
        let odd = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), "nobody".parse().unwrap())]);
        for headers in [HeaderMap::new(), odd] {
            assert_eq!(Client::of(&headers, &parts.extensions, true), asks(false));
        }
        assert!(!Client::of(&HeaderMap::new(), &Extensions::new(), false).is_known());
        assert!(!Client::of(&HeaderMap::new(), &Extensions::new(), true).is_known());
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (text, expected) in [
            ("203.0.113.9", Some("203.0.113.9")),
            ("203.0.113.9:4711", Some("203.0.113.9")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(with_or_without_port(text), expected.map(|text| text.parse().unwrap()), "{text:?}");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_an_address_in_another_dress_the_same() {
        let at = |text: &str| Client::at(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }

    #[test]
    fn each_client_has_its_own_allowance() {
        let allowances = Allowances::new(10, Duration::from_secs(6));
        for _ in 0..10 {
            allowances.take(client(1), now()).unwrap();
        }
        let until = allowances.take(client(1), now()).unwrap_err();
        assert_eq!(until.as_second() - now().as_second(), 6);
        allowances.take(client(2), now()).unwrap();
        allowances.take(client(1), until).unwrap();
    }

    #[test]
    fn a_flood_of_addresses_is_not_remembered_without_end() {
        let allowances = Allowances::new(1, Duration::from_secs(15));
        let allowed = (0..20_000_u32).filter(|n| allowances.take(client(n + 1), now()).is_ok()).count();
        assert_eq!(allowed, MAX_CLIENTS + 1, "those beyond share one");
        assert_eq!(allowances.known.lock().unwrap().len(), MAX_CLIENTS + 1);
        let later = now() + jiff::SignedDuration::from_secs(60);
        allowances.take(client(30_000), later).unwrap();
        assert_eq!(allowances.known.lock().unwrap().len(), 1, "who is idle is forgotten");
    }
}
