//! Turns for heavy reads: one read of each client at a time, and fewer in all than there are connections.
//!
//! A list of the history takes the store long. A client that asks for many at once waits for itself, and
//! quick reads find a free connection.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard, Semaphore, SemaphorePermit};

use crate::clients::Client;

/// One less than the connections that a process keeps for its pages.
const AT_ONCE: usize = 2;

/// Who reads now, and who waits for whom.
pub(crate) struct Turns {
    all: Semaphore,
    of: Mutex<BTreeMap<Client, Weak<Turn<()>>>>,
}

/// The right to read; it ends when it is dropped.
pub(crate) struct Reading<'a> {
    _of_all: Option<SemaphorePermit<'a>>,
    _own: Option<OwnedMutexGuard<()>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Semaphore::new(AT_ONCE), of: Mutex::default() }
    }
}

impl Turns {
    /// Waits for this client's turn. Those whose address is not known wait for each other only when all are busy.
    pub(crate) async fn wait(&self, client: Client) -> Reading<'_> {
        let own = if client.is_known() { Some(self.of(client).lock_owned().await) } else { None };
        Reading { _own: own, _of_all: self.all.acquire().await.ok() }
    }

    fn of(&self, client: Client) -> Arc<Turn<()>> {
        let mut known = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = known.get(&client).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        known.insert(client, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures::FutureExt;

    use super::*;

    fn client(n: u8) -> Client {
        Client::at(IpAddr::from([192, 0, 2, n]))
    }

    #[tokio::test]
    async fn a_client_waits_for_itself_and_all_for_their_turn() {
        let turns = Turns::default();
        let first = turns.wait(client(1)).await;
        assert!(turns.wait(client(1)).now_or_never().is_none(), "its own read is not over");
        let second = turns.wait(client(2)).now_or_never().expect("somebody else's does not matter");
        assert!(turns.wait(client(3)).now_or_never().is_none(), "a connection is left for others");
        drop(second);
        assert!(turns.wait(client(3)).now_or_never().is_some());
        drop(first);
        assert!(turns.wait(client(1)).now_or_never().is_some());
        turns.of(client(9));
        assert_eq!(turns.of.lock().unwrap().len(), 1, "who reads nothing is forgotten");
    }

    #[tokio::test]
    async fn those_without_an_address_are_not_taken_for_one() {
        let turns = Turns::default();
        let _first = turns.wait(Client::NOBODY).await;
        assert!(turns.wait(Client::NOBODY).now_or_never().is_some());
    }
}
