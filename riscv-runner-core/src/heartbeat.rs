//! When a heartbeat may be sent: only by a leader whose loops make progress.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    backoff,
    policy::Timeouts,
    ports::{EngineEvent, LoopName},
};

/// Loops without which no job is served.
const VITAL: [LoopName; 2] = [LoopName::Schedule, LoopName::Workers];
/// How many cycles may fail in a row.
const TICKS: u32 = 4;
/// A cycle that makes many pods takes its time, however short the tick.
const LEAST: Duration = Duration::from_secs(60);

/// Why no heartbeat is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ailment {
    /// Another replica leads, or none does.
    NotLeading,
    /// This loop has not completed a cycle successfully for too long.
    Stuck(LoopName),
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeading => f.write_str("this replica is not the leader"),
            Self::Stuck(name) => {
                write!(f, "the loop {} has not completed a cycle successfully for too long", name.as_str())
            }
        }
    }
}

/// What was last seen of the engine. Recording an event takes a lock for an instant.
#[derive(Debug, Default)]
pub struct Vitals(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    leading: bool,
    done: BTreeMap<LoopName, Timestamp>,
}

impl Vitals {
    /// Records an event of the engine.
    pub fn observe(&self, event: &EngineEvent, now: Timestamp) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            EngineEvent::Leading(leading) => *seen = Seen { leading: *leading, done: BTreeMap::new() },
            EngineEvent::Cycle { name, ok: true, .. } => {
                seen.done.insert(*name, now);
            }
            EngineEvent::Cycle { .. }
            | EngineEvent::Panicked { .. }
            | EngineEvent::DeliveryGivenUp
            | EngineEvent::Provisioned { .. }
            | EngineEvent::WorkerFailed { .. }
            | EngineEvent::JobStarted { .. }
            | EngineEvent::Delivered { .. }
            | EngineEvent::Recovered { .. }
            | EngineEvent::Removed { .. }
            | EngineEvent::Noticed { .. } => {}
        }
    }

    /// Whether this process leads and its loops make progress.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, now: Timestamp, timeouts: &Timeouts) -> Result<(), Ailment> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.leading {
            return Err(Ailment::NotLeading);
        }
        let longest = (timeouts.tick * TICKS).max(LEAST);
        for name in VITAL {
            let is_alive = seen.done.get(&name).is_some_and(|at| backoff::age(now, *at) < longest);
            if !is_alive {
                return Err(Ailment::Stuck(name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn cycle(name: LoopName, ok: bool) -> EngineEvent {
        EngineEvent::Cycle { name, took: Duration::ZERO, ok }
    }

    #[test]
    fn only_a_leader_whose_loops_work_is_well() {
        let (vitals, timeouts) = (Vitals::default(), Timeouts::default());
        let check = |second, expected| assert_eq!(vitals.check(at(second), &timeouts), expected);
        check(0, Err(Ailment::NotLeading));
        vitals.observe(&cycle(LoopName::Schedule, true), at(0));
        check(0, Err(Ailment::NotLeading));
        vitals.observe(&EngineEvent::Leading(true), at(1));
        check(1, Err(Ailment::Stuck(LoopName::Schedule)));
        vitals.observe(&cycle(LoopName::Schedule, true), at(2));
        vitals.observe(&cycle(LoopName::Workers, false), at(2));
        check(2, Err(Ailment::Stuck(LoopName::Workers)));
        vitals.observe(&cycle(LoopName::Workers, true), at(3));
        check(61, Ok(()));
        check(62, Err(Ailment::Stuck(LoopName::Schedule)));
        vitals.observe(&cycle(LoopName::Schedule, true), at(62));
        check(62, Ok(()));
        vitals.observe(&EngineEvent::Leading(false), at(62));
        check(62, Err(Ailment::NotLeading));
    }
}
