//! What the engine needs from its process: a clock, randomness, and a receiver of events for metrics.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;

use super::{Recovery, Tracer};
use crate::{delivery::Outcome, failure::FailureReason, retention::Expiring};

/// Clock and randomness. The real one asks the operating system; the simulated one is deterministic.
pub trait Platform: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
    /// Completes after this long.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// An unpredictable number.
    fn seed(&self) -> u64;
}

/// The loops of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoopName {
    /// Demand to pods.
    Schedule,
    /// Pods to rows.
    Workers,
    /// Doubtful jobs.
    Jobs,
    /// Registrations.
    Runners,
    /// Lost deliveries.
    Deliveries,
    /// Removal of old rows.
    Retention,
    /// The lease.
    Leadership,
}

impl LoopName {
    /// Every loop.
    pub const ALL: [Self; 7] = [
        Self::Schedule,
        Self::Workers,
        Self::Jobs,
        Self::Runners,
        Self::Deliveries,
        Self::Retention,
        Self::Leadership,
    ];

    /// The name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Workers => "workers",
            Self::Jobs => "jobs",
            Self::Runners => "runners",
            Self::Deliveries => "deliveries",
            Self::Retention => "retention",
            Self::Leadership => "leadership",
        }
    }
}

/// Where a panic was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PanicPlace {
    /// A cycle of a loop.
    Cycle(LoopName),
    /// The creation of a worker.
    Provisioning,
    /// Recording deliveries.
    Intake,
}

impl PanicPlace {
    /// Every place.
    pub const ALL: [Self; 9] = [
        Self::Cycle(LoopName::Schedule),
        Self::Cycle(LoopName::Workers),
        Self::Cycle(LoopName::Jobs),
        Self::Cycle(LoopName::Runners),
        Self::Cycle(LoopName::Deliveries),
        Self::Cycle(LoopName::Retention),
        Self::Cycle(LoopName::Leadership),
        Self::Provisioning,
        Self::Intake,
    ];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cycle(name) => name.as_str(),
            Self::Provisioning => "provisioning",
            Self::Intake => "intake",
        }
    }
}

/// The steps of provisioning one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProvisionStep {
    /// The row.
    Reserve,
    /// The JIT configuration, with token and group where they are not cached.
    Mint,
    /// Secret and pod.
    Create,
    /// The row learns of runner and pod.
    Confirm,
}

impl ProvisionStep {
    /// Every step, in order.
    pub const ALL: [Self; 4] = [Self::Reserve, Self::Mint, Self::Create, Self::Confirm];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Mint => "mint",
            Self::Create => "create",
            Self::Confirm => "confirm",
        }
    }
}

/// An event worth counting. Carries enums and durations only, so that metrics stay bounded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EngineEvent {
    /// A cycle of a loop ended.
    Cycle {
        /// Which loop.
        name: LoopName,
        /// How long it took.
        took: Duration,
        /// Whether it ended without error or panic.
        ok: bool,
    },
    /// A panic was caught; everything else keeps running.
    Panicked {
        /// The part of the engine in which it was caught.
        place: PanicPlace,
    },
    /// A lost delivery was given up: we would reject it again.
    DeliveryGivenUp,
    /// A step of provisioning succeeded.
    Provisioned {
        /// Which step.
        step: ProvisionStep,
        /// How long it took.
        took: Duration,
    },
    /// A worker failed.
    WorkerFailed {
        /// Why it ended.
        reason: FailureReason,
    },
    /// A job found its runner.
    JobStarted {
        /// How long it had waited.
        waited: Duration,
    },
    /// A delivery was recorded.
    Delivered {
        /// The delivery's outcome.
        outcome: Outcome,
    },
    /// A fault was repaired.
    Recovered {
        /// What was recovered.
        kind: Recovery,
    },
    /// Expired rows were removed.
    Removed {
        /// The kind of rows.
        kind: Expiring,
        /// How many rows were removed.
        rows: u64,
    },
    /// Whether this process began or ceased to lead.
    Leading(bool),
    /// A notification reached its outcome.
    Noticed {
        /// The notifier, by [`super::Notifier::name`], or `none` before one is chosen.
        notifier: &'static str,
        /// The outcome.
        outcome: NoticeOutcome,
    },
}

/// The outcome of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeOutcome {
    /// It was delivered.
    Sent,
    /// It was tried for a while, and dropped.
    Failed,
    /// The queue was full.
    Dropped,
    /// There were too many; a summary says how many.
    Withheld,
}

impl NoticeOutcome {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
            Self::Withheld => "withheld",
        }
    }
}

/// Receives the engine's events, for metrics. Must return at once.
pub trait Observer: Send + Sync {
    /// Receives one event.
    fn observe(&self, event: EngineEvent);

    /// Where finished spans go; `None` where tracing is off, and then no span is created.
    fn tracer(&self) -> Option<&dyn Tracer> {
        None
    }
}

/// Drops every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: EngineEvent) {}
}
