//! One call of a port, with what may go wrong before, during and after it.

use std::{
    future::{Future, pending},
    sync::{Arc, Mutex},
    time::Duration,
};

use riscv_runner_core::ports::{PortError, PortErrorKind, PortResult};
use serde::Serialize;

use super::{CallFaults, FaultControl, FaultKind};
use crate::{
    chance::Stream,
    clock::{SimClock, lock},
    executor::{Group, KillSwitch},
};

/// How long a call hangs before its caller gives up.
const HANGS: Duration = Duration::from_secs(30);
/// How much longer a delayed call takes at most.
const LATE: Duration = Duration::from_secs(10);

/// A port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PortName {
    /// The store.
    Store,
    /// GitHub.
    Forge,
    /// The cluster.
    Cluster,
}

/// Decides what goes wrong in the calls of one port by one process.
pub struct FaultSource {
    /// The port.
    pub port: PortName,
    /// How often each fault happens.
    pub rates: CallFaults,
    /// Probability that the process is killed before or after a call.
    pub killed: f64,
    /// Whether faults happen, and who counts them.
    pub control: FaultControl,
    /// The clock that delays are measured by.
    pub clock: SimClock,
    /// Ends the process.
    pub kill: KillSwitch,
    /// The process.
    pub group: Group,
    /// Chance, of this port and process alone.
    pub luck: Mutex<Stream>,
}

/// A port in which calls go wrong.
pub struct Faulty<T: ?Sized> {
    pub(super) inner: Arc<T>,
    pub(super) source: FaultSource,
}

enum Fault {
    None,
    Failed,
    Unreported,
    Delayed(Duration),
    HungBefore,
    HungAfter,
    KilledBefore,
    KilledAfter,
}

impl<T: ?Sized> Faulty<T> {
    /// The port `inner`, going wrong as `source` decides.
    #[must_use]
    pub const fn new(inner: Arc<T>, source: FaultSource) -> Self {
        Self { inner, source }
    }

    pub(super) async fn call<R>(
        &self,
        operation: &'static str,
        act: impl Future<Output = PortResult<R>> + Send,
    ) -> PortResult<R> {
        self.source.call(operation, act).await
    }
}

impl FaultSource {
    /// Draws one number for one call, so that the next call's fate does not depend on this one's.
    fn draw(&self) -> Fault {
        if !self.control.is_active() {
            return Fault::None;
        }
        let (mut point, detail) = {
            let mut luck = lock(&self.luck);
            (luck.unit(), luck.unit())
        };
        let mut falls_in = |probability: f64| {
            let hit = point < probability;
            point -= probability;
            hit
        };
        let CallFaults { failed, unreported, delayed, hung } = self.rates;
        if falls_in(self.killed) {
            return if detail < 0.5 { Fault::KilledBefore } else { Fault::KilledAfter };
        }
        if falls_in(failed) {
            return Fault::Failed;
        }
        if falls_in(unreported) {
            return Fault::Unreported;
        }
        if falls_in(delayed) {
            return Fault::Delayed(LATE.mul_f64(detail));
        }
        if falls_in(hung) {
            return if detail < 0.5 { Fault::HungBefore } else { Fault::HungAfter };
        }
        Fault::None
    }

    async fn call<R>(
        &self,
        operation: &'static str,
        act: impl Future<Output = PortResult<R>> + Send,
    ) -> PortResult<R> {
        let now = self.clock.now();
        if self.control.is_out(self.port, now) || self.control.is_broken(operation, now) {
            return Err(lost(operation, "nothing answers"));
        }
        if self.control.is_sabotaged(operation, now) {
            panic!("injected: a defect in {operation:?}");
        }
        match self.draw() {
            Fault::None => act.await,
            Fault::Failed => {
                self.control.count(FaultKind::CallFailed);
                Err(lost(operation, "injected: not done"))
            }
            Fault::Unreported => {
                self.control.count(FaultKind::CallUnreported);
                act.await?;
                Err(lost(operation, "injected: the answer was lost"))
            }
            Fault::Delayed(wait) => {
                self.control.count(FaultKind::CallDelayed);
                self.clock.sleep(wait).await;
                act.await
            }
            Fault::HungBefore => {
                self.control.count(FaultKind::CallHung);
                self.clock.sleep(HANGS).await;
                Err(lost(operation, "injected: timed out, not done"))
            }
            Fault::HungAfter => {
                self.control.count(FaultKind::CallHung);
                act.await?;
                self.clock.sleep(HANGS).await;
                Err(lost(operation, "injected: timed out, done"))
            }
            Fault::KilledBefore => self.die(FaultKind::KilledBefore).await,
            Fault::KilledAfter => {
                let _ = act.await;
                self.die(FaultKind::KilledAfter).await
            }
        }
    }

    async fn die<R>(&self, kind: FaultKind) -> R {
        self.control.count(kind);
        self.kill.pull(self.group);
        pending().await
    }
}

fn lost(operation: &'static str, detail: &str) -> PortError {
    PortError::new(PortErrorKind::Transient, operation, detail)
}
