//! A value that is costly to compute, computed once for all requests of a moment.

use std::{future::Future, sync::Arc, time::Duration};

use riscv_runner_core::ports::{PortError, PortErrorKind, PortResult};
use tokio::{sync::Mutex, time::Instant};

/// A value is kept at least this many times as long as it took to compute: readers, however many, use a
/// quarter of the store's time at most.
const KEPT_PER_MAKING: u32 = 3;

/// A shared result: the value, or why it could not be computed.
pub(crate) type Shared<T> = Result<Arc<T>, Arc<PortError>>;

/// The latest value; failures are cached for as long as values are, so that readers do not hammer a store
/// that is down.
pub(crate) struct Cached<T>(Arc<Mutex<Option<Entry<T>>>>);

struct Entry<T> {
    made_at: Instant,
    took: Duration,
    result: Shared<T>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Entry<T> {
    fn is_fresh(&self, max_age: Duration) -> bool {
        let kept = if self.result.is_ok() { self.took * KEPT_PER_MAKING } else { Duration::ZERO };
        self.made_at.elapsed() < max_age.max(kept)
    }
}

impl<T: Send + Sync + 'static> Cached<T> {
    /// The value, at most this old, or a little older where it takes long to compute. Of several concurrent
    /// callers one computes it and the others wait; it is finished even if that caller goes away.
    pub(crate) async fn get<F>(&self, max_age: Duration, make: F) -> Shared<T>
    where
        F: Future<Output = PortResult<T>> + Send + 'static,
    {
        let slot = Arc::clone(&self.0);
        let made = tokio::spawn(async move {
            let mut slot = slot.lock().await;
            if let Some(entry) = slot.as_ref().filter(|entry| entry.is_fresh(max_age)) {
                return entry.result.clone();
            }
            let begun = Instant::now();
            let result = make.await.map(Arc::new).map_err(Arc::new);
            *slot = Some(Entry { made_at: Instant::now(), took: begun.elapsed(), result: result.clone() });
            result
        });
        made.await.unwrap_or_else(|error| {
            let detail = "it panicked; this is a bug, please report it";
            let error =
                PortError::new(PortErrorKind::Bug, "compute a cached value", detail).with_source(error);
            Err(Arc::new(error))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Counts how often it is made, and takes this long.
    async fn make(made: Arc<AtomicU32>, takes: Duration) -> PortResult<u32> {
        tokio::time::sleep(takes).await;
        Ok(made.fetch_add(1, Ordering::Relaxed) + 1)
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_are_one() {
        let (cached, made) = (Cached::default(), Arc::new(AtomicU32::new(0)));
        let ask = || cached.get(SECOND, make(Arc::clone(&made), Duration::from_millis(50)));
        let found = join_all((0..500).map(|_| ask())).await;
        assert!(found.into_iter().all(|value| *value.unwrap() == 1));
        tokio::time::advance(SECOND).await;
        assert_eq!(*ask().await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_kept_longer() {
        let (cached, made) = (Cached::default(), Arc::new(AtomicU32::new(0)));
        let ask = || cached.get(SECOND, make(Arc::clone(&made), SECOND * 2));
        ask().await.unwrap();
        tokio::time::advance(SECOND * 5).await;
        assert_eq!(*ask().await.unwrap(), 1);
        tokio::time::advance(SECOND).await;
        assert_eq!(*ask().await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_made_to_the_end_though_the_one_who_asked_goes_away() {
        let (cached, made) = (Cached::default(), Arc::new(AtomicU32::new(0)));
        let asked = cached.get(SECOND, make(Arc::clone(&made), Duration::from_millis(50)));
        assert!(tokio::time::timeout(Duration::from_millis(1), asked).await.is_err());
        assert_eq!(*cached.get(SECOND, make(Arc::clone(&made), Duration::ZERO)).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_kept_for_a_moment_too_and_a_panic_is_an_error() {
        let cached = Cached::<u32>::default();
        let down = || async { Err(PortError::new(PortErrorKind::Transient, "read", "down")) };
        assert!(cached.get(SECOND, down()).await.is_err());
        assert!(cached.get(SECOND, async { Ok(1) }).await.is_err());
        tokio::time::advance(SECOND).await;
        assert_eq!(*cached.get(SECOND, async { Ok(2) }).await.unwrap(), 2);
        tokio::time::advance(SECOND).await;
        let error = cached.get(SECOND, async { panic!("a test's panic") }).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Bug);
    }
}
