//! Who asks, by address, and how often they may: what anybody may ask of GitHub through us is scarce.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::extract::ConnectInfo;
use http::request::Parts;
use jiff::Timestamp;
use riscv_runner_core::allowance::Allowance;

use crate::rate;

/// Questions that one address may ask at once.
const BURST: u32 = 10;
/// A further one is allowed this often.
const ONE_PER: Duration = Duration::from_secs(6);
/// Addresses that are counted at a time; beyond it the one limit for all still holds.
const MAX_CLIENTS: usize = 10_000;

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
    behind_proxy: bool,
    allowances: Mutex<BTreeMap<Client, Allowance>>,
}

impl Clients {
    /// Believes what the proxy in front of us says.
    pub(crate) fn believe_proxy(&mut self, behind_proxy: bool) {
        self.behind_proxy = behind_proxy;
    }

    /// Who sent a request.
    pub(crate) fn client(&self, parts: &Parts) -> Client {
        let address = if self.behind_proxy {
            rate::forwarded(&parts.headers)
        } else {
            let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
            connected.map(|ConnectInfo(address)| address.ip())
        };
        Client(address.map(rate::network))
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

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn the_proxy_is_believed_only_where_there_is_one() {
        let mut request = Request::builder().header("x-forwarded-for", "203.0.113.9, 198.51.100.1");
        let connected = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 7)));
        request.extensions_mut().unwrap().insert(connected);
        let parts = request.body(()).unwrap().into_parts().0;
        let mut clients = Clients::default();
        assert_eq!(clients.client(&parts), Client(Some(IpAddr::from([192, 0, 2, 1]))));
        clients.believe_proxy(true);
        assert_eq!(clients.client(&parts), Client(Some(IpAddr::from([198, 51, 100, 1]))));
        let plain = Request::builder().body(()).unwrap().into_parts().0;
        assert_eq!(clients.client(&plain), Client(None));
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
