//! Answers that are cached for a while; concurrent callers with the same question share one request.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use riscv_runner_core::{
    backoff,
    ports::{Platform, PortError, PortResult},
};

use super::FAILURE_KEPT;

/// Answers by what was asked.
pub(super) struct Kept<K, V> {
    most: usize,
    slots: Mutex<BTreeMap<K, Arc<Slot<V>>>>,
}

struct Slot<V>(tokio::sync::Mutex<Option<Answer<V>>>);

struct Answer<V> {
    until: Timestamp,
    result: Result<Arc<V>, Arc<PortError>>,
}

impl<K: Ord + Clone, V> Kept<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, slots: Mutex::default() }
    }

    /// The cached answer, or a new one from `look`.
    pub(super) async fn get(
        &self,
        key: K,
        platform: &dyn Platform,
        keep: Duration,
        look: impl Future<Output = PortResult<Arc<V>>> + Send,
    ) -> PortResult<Arc<V>> {
        let slot = self.slot(key, platform.now());
        let mut answer = slot.0.lock().await;
        if let Some(kept) = answer.as_ref().filter(|kept| platform.now() < kept.until) {
            return told(&kept.result);
        }
        let result = look.await.map_err(Arc::new);
        let keep = if result.is_ok() { keep } else { FAILURE_KEPT };
        let until = backoff::add(platform.now(), keep);
        let outcome = told(&result);
        *answer = Some(Answer { until, result });
        outcome
    }

    fn slot(&self, key: K, now: Timestamp) -> Arc<Slot<V>> {
        let mut slots = self.lock();
        if slots.len() >= self.most && !slots.contains_key(&key) {
            slots.retain(|_, slot| slot.is_wanted(now));
            if slots.len() >= self.most {
                // So many at once are no person's questions; the one that goes costs another look.
                slots.pop_first();
            }
        }
        Arc::clone(slots.entry(key).or_insert_with(|| Arc::new(Slot(tokio::sync::Mutex::new(None)))))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Arc<Slot<V>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Slot<V> {
    /// Whether its answer may still be given; one that is being looked for will be.
    fn is_wanted(&self, now: Timestamp) -> bool {
        self.0.try_lock().map_or(true, |answer| answer.as_ref().is_some_and(|kept| now < kept.until))
    }
}

fn told<V>(result: &Result<Arc<V>, Arc<PortError>>) -> PortResult<Arc<V>> {
    result
        .clone()
        .map_err(|error| PortError::new(error.kind(), error.operation(), error.detail()).with_source(error))
}
