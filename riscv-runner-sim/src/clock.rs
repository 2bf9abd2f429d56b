//! Virtual time: a clock that moves only when it is told to, and sleeps that wait for it.
//!
//! Never reads the operating system's clock.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::Timestamp;
use riscv_runner_core::ports::Platform;

use crate::chance::Stream;

/// When every simulated world begins: 2026-01-01T00:00:00Z, in microseconds.
const BEGINNING: i64 = 1_767_225_600_000_000;

/// A lock whose holder cannot leave it broken: a panic inside ends the simulated process alone.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock of virtual time; clones are the same clock.
#[derive(Debug, Clone)]
pub struct SimClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    now: AtomicI64,
    timers: Mutex<Timers>,
}

#[derive(Debug, Default)]
struct Timers {
    sequence: u64,
    queue: BTreeMap<(i64, u64), Waker>,
}

impl Default for SimClock {
    fn default() -> Self {
        Self(Arc::new(Inner { now: AtomicI64::new(BEGINNING), timers: Mutex::default() }))
    }
}

impl SimClock {
    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        from_micros(self.0.now.load(Ordering::Relaxed))
    }

    /// The time after this long, in the clock's resolution of a microsecond.
    #[must_use]
    pub fn at(&self, wait: Duration) -> Timestamp {
        from_micros(self.micros_after(wait))
    }

    /// How long the world has existed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let micros = self.0.now.load(Ordering::Relaxed) - BEGINNING;
        Duration::from_micros(micros.unsigned_abs())
    }

    /// When the next sleep ends; `None` when nothing sleeps.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timestamp> {
        lock(&self.0.timers).queue.first_key_value().map(|((at, _), _)| from_micros(*at))
    }

    /// Moves to `at` (never back) and wakes everything whose sleep is over by then.
    pub fn advance_to(&self, at: Timestamp) {
        let micros = at.as_microsecond();
        self.0.now.fetch_max(micros, Ordering::Relaxed);
        let due = {
            let mut timers = lock(&self.0.timers);
            let later = timers.queue.split_off(&(micros, u64::MAX));
            std::mem::replace(&mut timers.queue, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Completes after this long in virtual time.
    #[must_use]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { clock: self.clone(), deadline: self.micros_after(duration), timer: None }
    }

    fn micros_after(&self, wait: Duration) -> i64 {
        let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX / 4);
        self.0.now.load(Ordering::Relaxed).saturating_add(micros)
    }
}

fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

/// A sleep in virtual time; dropping it forgets the timer.
#[derive(Debug)]
pub struct Sleep {
    clock: SimClock,
    deadline: i64,
    timer: Option<(i64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.0.now.load(Ordering::Relaxed) >= self.deadline {
            return Poll::Ready(());
        }
        let key = {
            let mut timers = lock(&self.clock.0.timers);
            let key = self.timer.unwrap_or_else(|| {
                timers.sequence += 1;
                (self.deadline, timers.sequence)
            });
            timers.queue.insert(key, context.waker().clone());
            key
        };
        self.timer = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer {
            lock(&self.clock.0.timers).queue.remove(&key);
        }
    }
}

/// Time and chance of one simulated process.
#[derive(Debug)]
pub struct SimPlatform {
    clock: SimClock,
    seeds: Mutex<Stream>,
}

impl SimPlatform {
    /// The platform of one process: the world's clock, and the process' own stream of seeds.
    #[must_use]
    pub const fn new(clock: SimClock, seeds: Stream) -> Self {
        Self { clock, seeds: Mutex::new(seeds) }
    }
}

impl Platform for SimPlatform {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.clock.sleep(duration))
    }

    fn seed(&self) -> u64 {
        lock(&self.seeds).number()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn time_moves_only_when_told_and_never_back() {
        let clock = SimClock::default();
        let start = clock.now();
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(5)));
        assert!((&mut sleep).now_or_never().is_none());
        let due = clock.next_timer().unwrap();
        assert_eq!(due.duration_since(start).as_secs(), 5);
        clock.advance_to(due);
        assert!(sleep.now_or_never().is_some());
        clock.advance_to(start);
        assert_eq!(clock.now(), due);
    }

    #[test]
    fn a_dropped_sleep_leaves_no_timer() {
        let clock = SimClock::default();
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(5)));
        assert!((&mut sleep).now_or_never().is_none());
        drop(sleep);
        assert_eq!(clock.next_timer(), None);
    }
}
