//! The places for connections: a number in all, and of those a share for each address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use riscv_runner_http::rate::customer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of the places, one address may hold one in this many.
const SHARE: usize = 4;

/// All places.
pub(super) struct Places {
    all: Arc<Semaphore>,
    addresses: Option<Arc<Addresses>>,
}

/// How many places each address holds.
struct Addresses {
    most: usize,
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// A place that is free, or nobody's yet. It is given back when it is dropped.
pub(super) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    by: Option<(Arc<Addresses>, IpAddr)>,
}

impl Places {
    /// So many; behind a proxy every connection has the proxy's address, and none is short of its share.
    pub(super) fn new(places: usize, behind_proxy: bool) -> Self {
        let places = places.max(1);
        let most = places.div_ceil(SHARE);
        let addresses = (!behind_proxy).then(|| Arc::new(Addresses { most, held: Mutex::default() }));
        Self { all: Arc::new(Semaphore::new(places)), addresses }
    }

    /// The next place that is free.
    pub(super) async fn next(&self) -> Place {
        // The semaphore is never closed.
        Place { _permit: Arc::clone(&self.all).acquire_owned().await.ok(), by: None }
    }

    /// Gives the place to a connection from this address; `None` where the address has its share.
    pub(super) fn give(&self, mut place: Place, address: IpAddr) -> Option<Place> {
        let Some(addresses) = &self.addresses else { return Some(place) };
        let address = customer(address);
        let mut held = addresses.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if *count >= addresses.most {
            return None;
        }
        *count += 1;
        place.by = Some((Arc::clone(addresses), address));
        Some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((addresses, address)) = self.by.take() else { return };
        let mut held = addresses.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_holds_its_share_and_leaves_the_rest_to_others() {
        let places = Places::new(8, false);
        let (greedy, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut held = Vec::new();
        for _ in 0..2 {
            held.extend(places.give(places.next().await, greedy));
        }
        assert_eq!(held.len(), 2);
        assert!(places.give(places.next().await, greedy).is_none());
        let of_other = places.give(places.next().await, other);
        assert!(of_other.is_some());
        assert_eq!(places.all.available_permits(), 5, "the refused one gave its place back");
        held.pop();
        assert!(places.give(places.next().await, greedy).is_some());
        drop((held, of_other));
        assert!(places.addresses.as_ref().unwrap().held.lock().unwrap().is_empty());
        assert_eq!(places.all.available_permits(), 8);
    }

    #[tokio::test]
    async fn a_proxy_may_hold_every_place() {
        let places = Places::new(4, true);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.extend(places.give(places.next().await, IpAddr::from([192, 0, 2, 1])));
        }
        assert_eq!(held.len(), 4);
    }
}
