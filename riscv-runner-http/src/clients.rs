//! Who asks, by address, and how often they may: what anybody may ask of GitHub through us is scarce.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::extract::ConnectInfo;
use http::{HeaderMap, HeaderName, request::Parts};
use jiff::Timestamp;
use riscv_runner_core::allowance::Allowance;

/// Questions that one address may ask at once.
const BURST: u32 = 10;
/// A further one is allowed this often.
const ONE_PER: Duration = Duration::from_secs(6);
/// Addresses that are counted at a time; beyond it the one limit for all still holds.
const MAX_CLIENTS: usize = 10_000;
/// What one household or one machine is given of IPv6.
const IPV6_PREFIX: u32 = 64;

/// An address that is counted; `None` where the server does not tell any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Client(Option<IpAddr>);

impl Client {
    /// Who asks nothing: a page that is made anew by itself.
    pub(crate) const NOBODY: Self = Self(None);
}

/// Everybody who asked lately.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    header: Option<HeaderName>,
    allowances: Mutex<BTreeMap<Client, Allowance>>,
}

impl Clients {
    /// Believes this header of the proxy in front of us.
    pub(crate) fn trust(&mut self, header: HeaderName) {
        self.header = Some(header);
    }

    /// Who sent a request.
    pub(crate) fn client(&self, parts: &Parts) -> Client {
        let forwarded = self.header.as_ref().and_then(|name| last_address(&parts.headers, name));
        let connected = || {
            let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
            info.map(|ConnectInfo(address)| address.ip())
        };
        Client(forwarded.or_else(connected).map(counted_as))
    }

    /// Takes one question of this client's, or says when it may ask again.
    pub(crate) fn admit(&self, client: Client, now: Timestamp) -> Result<(), Timestamp> {
        let mut allowances = self.allowances.lock().unwrap_or_else(PoisonError::into_inner);
        if allowances.len() >= MAX_CLIENTS && !allowances.contains_key(&client) {
            allowances.retain(|_, allowance| !allowance.is_whole(now));
            if allowances.len() >= MAX_CLIENTS {
                allowances.pop_first();
            }
        }
        allowances.entry(client).or_insert_with(|| Allowance::new(BURST, ONE_PER)).take(now)
    }
}

/// The last address in a list: that which our proxy added. What stands before it anybody may have written.
fn last_address(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let last = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    let text = last.rsplit(',').next()?.trim();
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (u128::BITS - IPV6_PREFIX))))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(connected: Option<&str>, forwarded: &[&str]) -> Parts {
        let mut request = Request::builder();
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        if let Some(address) = connected {
            parts.extensions.insert(ConnectInfo(address.parse::<SocketAddr>().unwrap()));
        }
        parts
    }

    #[test]
    fn the_header_counts_only_where_it_is_trusted_and_only_its_last_address() {
        let plain = Clients::default();
        let mut trusting = Clients::default();
        trusting.trust(HeaderName::from_static("x-forwarded-for"));
        let check = |clients: &Clients, forwarded: &[&str], expected: &str| {
            let client = clients.client(&parts(Some("192.0.2.1:7"), forwarded));
            assert_eq!(client, Client(Some(expected.parse().unwrap())), "{forwarded:?}");
        };
        check(&plain, &["198.51.100.1"], "192.0.2.1");
        check(&trusting, &["198.51.100.1"], "198.51.100.1");
        check(&trusting, &["203.0.113.9, 198.51.100.1"], "198.51.100.1");
        check(&trusting, &["203.0.113.9", "198.51.100.1:4711"], "198.51.100.1");
        check(&trusting, &["nonsense"], "192.0.2.1");
        check(&trusting, &["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::");
        check(&trusting, &["::ffff:198.51.100.1"], "198.51.100.1");
        assert_eq!(plain.client(&parts(None, &[])), Client(None));
    }

    #[test]
    fn each_address_has_its_own_allowance() {
        let clients = Clients::default();
        let client = |n: u8| Client(Some(IpAddr::from([192, 0, 2, n])));
        let now = Timestamp::from_second(1_000_000).unwrap();
        for _ in 0..BURST {
            clients.admit(client(1), now).unwrap();
        }
        let until = clients.admit(client(1), now).unwrap_err();
        assert_eq!(until.as_second() - now.as_second(), 6);
        clients.admit(client(2), now).unwrap();
        clients.admit(client(1), until).unwrap();
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let clients = Clients::default();
        let now = Timestamp::from_second(1_000_000).unwrap();
        for n in 0..MAX_CLIENTS as u32 + 100 {
            clients.admit(Client(Some(IpAddr::from(n.to_be_bytes()))), now).unwrap();
        }
        assert_eq!(clients.allowances.lock().unwrap().len(), MAX_CLIENTS);
    }
}
