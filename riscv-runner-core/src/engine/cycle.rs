//! How every loop runs: woken or by its tick, only while leading, one cycle at a time, and never
//! ended by an error or a panic of one cycle.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures::{
    FutureExt,
    future::{BoxFuture, Either, select},
};

use super::{Engine, wake::Wake};
use crate::{
    backoff::age,
    policy::Policy,
    ports::{EngineEvent, LeaderProof, LoopName, Observer, PanicPlace, PortError, PortErrorKind, PortResult},
};

/// A loop that is not woken rests at least this long.
const SHORTEST: Duration = Duration::from_millis(10);

pub(super) fn not_leading() -> PortError {
    PortError::new(PortErrorKind::NotLeader, "act", "another replica leads")
}

/// Lets work end, or panic: `None` then. A panic is logged and counted, and ends nothing else.
pub(super) async fn caught<T>(
    observer: &dyn Observer,
    place: PanicPlace,
    work: impl Future<Output = T>,
) -> Option<T> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(value) => Some(value),
        Err(panic) => {
            let (place_name, message) = (place.as_str(), text_of(panic.as_ref()));
            tracing::error!(
                place = place_name,
                message,
                "caught a panic; everything else keeps running. This is a bug, please report it"
            );
            observer.observe(EngineEvent::Panicked { place });
            None
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let fixed = panic.downcast_ref::<&str>().copied();
    fixed.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

impl Engine {
    /// Runs cycles until the engine stops.
    pub(super) async fn repeat<'a, C>(
        &'a self,
        name: LoopName,
        wake: &Wake,
        period: fn(&Policy) -> Duration,
        cycle: C,
    ) where
        C: Fn(&'a Self, LeaderProof) -> BoxFuture<'a, PortResult<()>> + Send,
    {
        let mut stopping = self.stopping.subscribe();
        let mut leading = self.leading.subscribe();
        while !*stopping.borrow_and_update() {
            let Some(proof) = self.proof() else {
                let elected = Box::pin(leading.changed());
                let _ = select(elected, Box::pin(stopping.changed())).await;
                continue;
            };
            self.contained(name, cycle(self, proof)).await;
            let policy = self.policy();
            let tick = self.parts.platform.sleep(self.pause(name, period(&policy)));
            let next = async {
                if let Either::Left(_) = select(Box::pin(wake.woken()), tick).await {
                    self.parts.platform.sleep(policy.timeouts.debounce).await;
                }
            };
            let _ = select(Box::pin(next), Box::pin(stopping.changed())).await;
        }
    }

    /// How long a loop rests: its period, or less if something that it waits for ends before.
    fn pause(&self, name: LoopName, period: Duration) -> Duration {
        let next_look = self.memory.lock().next_look.filter(|_| name == LoopName::Schedule);
        next_look.map_or(period, |at| age(at, self.now()).max(SHORTEST).min(period))
    }

    /// One cycle, its error logged and its panic contained.
    pub(super) async fn contained(&self, name: LoopName, cycle: BoxFuture<'_, PortResult<()>>) {
        let begun = self.now();
        let ok = match caught(&*self.parts.observer, PanicPlace::Cycle(name), cycle).await {
            Some(Ok(())) => true,
            Some(Err(error)) if error.kind() == PortErrorKind::NotLeader => {
                tracing::info!(name = name.as_str(), "the lease was lost during a cycle");
                self.depose();
                false
            }
            Some(Err(error)) => {
                tracing::warn!(
                    name = name.as_str(),
                    error = error.chain(),
                    "a cycle failed; the next one tries again"
                );
                false
            }
            None => false,
        };
        let took = age(self.now(), begun);
        self.parts.observer.observe(EngineEvent::Cycle { name, took, ok });
    }
}
