//! Keeps a view current by watching one kind of object, and wakes the loops that care. Whole objects
//! are reduced as they arrive and never kept.

use std::{
    fmt::Debug,
    pin::pin,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event, watcher},
};
use riscv_runner_core::engine::wake::Wake;
use serde::de::DeserializeOwned;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::view::{Seen, View};

/// The server ends every watch after this long, so that a connection that died silently is noticed
/// soon; the next one resumes where it ended.
pub(crate) const WATCH_SECONDS: u32 = 30;
/// The pause after the second failure in a row; the first is retried at once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A watch that lasted this long works though it had nothing to tell: one that is forbidden ends at once.
const PROVEN_AFTER: Duration = Duration::from_secs(2);
/// The longest pause: a cluster that comes back is noticed this soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What of an object is kept, and under which key; `None` if it is none of our business.
pub(crate) type Reduce<O, K, V> = fn(&O) -> Option<(K, Seen<V>)>;

/// A view that a task keeps current.
#[derive(Debug)]
pub(crate) struct Watched<K, V> {
    view: Arc<RwLock<View<K, V>>>,
    synchronised: watch::Receiver<bool>,
}

impl<K, V> Watched<K, V>
where
    K: Ord + Clone + Send + Sync + 'static,
    V: PartialEq + Clone + Send + Sync + 'static,
{
    /// The view, and the task that has to run for it to be current.
    pub(crate) fn new<O>(
        api: Api<O>,
        selector: Option<String>,
        reduce: Reduce<O, K, V>,
        wakes: Arc<[Wake]>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static)
    where
        O: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let view = Arc::new(RwLock::new(View::new()));
        let (sender, synchronised) = watch::channel(false);
        let config =
            watcher::Config { label_selector: selector, ..watcher::Config::default() }.timeout(WATCH_SECONDS);
        let follower = Follower { view: Arc::clone(&view), reduce, wakes, synchronised: sender };
        (Self { view, synchronised }, follower.run(api, config))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, View<K, V>> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, View<K, V>> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first complete listing, but not longer than `bound`.
    pub(crate) async fn synchronised(&self, bound: Duration) {
        let mut receiver = self.synchronised.clone();
        // Late or never: the view itself says so when it is read.
        drop(tokio::time::timeout(bound, receiver.wait_for(|done| *done)).await);
    }
}

struct Follower<O, K, V> {
    view: Arc<RwLock<View<K, V>>>,
    reduce: Reduce<O, K, V>,
    wakes: Arc<[Wake]>,
    synchronised: watch::Sender<bool>,
}

impl<O, K, V> Follower<O, K, V>
where
    O: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K: Ord + Clone + Send + Sync + 'static,
    V: PartialEq + Clone + Send + Sync + 'static,
{
    /// After an error the watch starts with a new listing, which may be allowed where watching is not.
    async fn run(self, api: Api<O>, config: watcher::Config) {
        let mut failures = 0_u32;
        loop {
            let error = self.follow(&api, &config, &mut failures).await;
            if failures == 1 {
                tracing::warn!(kind = %O::kind(&()), error, "the watch is broken; trying again");
            }
            self.locked().broke(Instant::now(), error);
            tokio::time::sleep(pause(failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Follows one watch until it breaks. It works once it told something after its listing, or lasted.
    async fn follow(&self, api: &Api<O>, config: &watcher::Config, failures: &mut u32) -> String {
        let mut events = pin!(watcher(api.clone(), config.clone()));
        let mut proven_at = None;
        loop {
            let next = match proven_at {
                Some(at) => timeout_at(at, events.next()).await,
                None => Ok(events.next().await),
            };
            let works = match next {
                Ok(Some(Ok(event))) => {
                    if matches!(event, Event::InitDone) {
                        proven_at = Some(Instant::now() + PROVEN_AFTER);
                    }
                    let is_told = matches!(event, Event::Apply(_) | Event::Delete(_));
                    self.take(event);
                    is_told
                }
                Ok(Some(Err(error))) => return error.to_string(),
                Ok(None) => return "the watch ended".to_owned(),
                Err(_) => true,
            };
            if works {
                proven_at = None;
                self.works(failures);
            }
        }
    }

    fn works(&self, failures: &mut u32) {
        if *failures > 0 {
            tracing::info!(kind = %O::kind(&()), "the watch works again");
            *failures = 0;
        }
        if self.locked().works() {
            self.wakes.iter().for_each(Wake::wake);
        }
    }

    fn take(&self, event: Event<O>) {
        let mut view = self.locked();
        let changed = match event {
            Event::Init => {
                view.begin(Instant::now());
                false
            }
            Event::InitApply(object) => {
                if let Some((key, seen)) = (self.reduce)(&object) {
                    view.listed(key, seen);
                }
                false
            }
            Event::InitDone => {
                let changed = view.complete();
                self.synchronised.send_replace(true);
                changed
            }
            Event::Apply(object) => (self.reduce)(&object).is_some_and(|(key, seen)| view.apply(key, seen)),
            Event::Delete(object) => {
                (self.reduce)(&object).is_some_and(|(key, seen)| view.delete(&key, &seen.uid, Instant::now()))
            }
        };
        drop(view);
        if changed {
            self.wakes.iter().for_each(Wake::wake);
        }
    }

    fn locked(&self) -> RwLockWriteGuard<'_, View<K, V>> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST_PAUSE.saturating_mul(1 << (n - 1).min(10)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let pauses: Vec<u128> = (0..9).map(|n| pause(n).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
