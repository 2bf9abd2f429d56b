//! Whether faults happen at all, which ports are down until when, and how many faults of each kind
//! have happened.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use serde::Serialize;

use super::PortName;
use crate::clock::lock;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A call failed and had no effect.
    CallFailed,
    /// A call had its effect and was reported as failed.
    CallUnreported,
    /// A call took long.
    CallDelayed,
    /// A call hung until its time-out, with or without effect.
    CallHung,
    /// A process was killed before a call.
    KilledBefore,
    /// A process was killed after a call.
    KilledAfter,
    /// A process stood still for longer than its lease.
    Paused,
    /// The store did not answer for some time.
    StoreOutage,
    /// GitHub did not answer for some time.
    GithubOutage,
    /// The cluster did not answer for some time.
    ClusterOutage,
    /// A webhook was lost.
    WebhookLost,
    /// A webhook came twice.
    WebhookDoubled,
    /// A webhook came late, and so in another order.
    WebhookDelayed,
    /// A listing of runners was empty.
    EmptyListing,
    /// Listings called a busy runner idle.
    IdleWhileBusy,
    /// Listings called a working runner offline.
    OfflineWhileBusy,
    /// GitHub took a job back into the queue and told nobody.
    JobRequeued,
    /// GitHub refused an installation's requests for some time.
    RateLimited,
    /// The owner uninstalled the App.
    Uninstalled,
    /// The owner suspended the App for some time.
    Suspended,
    /// A machine died.
    NodeLost,
    /// A machine was not ready for a moment.
    NodeBlip,
    /// A machine was cordoned for some time.
    NodeCordoned,
    /// An image could not be pulled.
    ImageStuck,
    /// GitHub began to refuse an image's runner as too old.
    ImageRefused,
    /// A runner never called GitHub.
    NeverRegistered,
    /// A runner ended before it called GitHub.
    BootFailed,
    /// A runner died in the middle of a job.
    RunnerDied,
    /// A job was cancelled by its author.
    JobCancelled,
    /// A webhook that nobody can read was sent.
    WebhookUnreadable,
    /// A kubelet that started anew forgot the slots that were advertised for it.
    SlotsForgotten,
    /// An operator drained a board or a pool.
    OperatorDrained,
    /// An operator paused an account, a repository or everything.
    OperatorPaused,
    /// An operator changed how many workers an account may have.
    OperatorLimited,
    /// An operator revoked a worker.
    OperatorRevoked,
    /// An operator restarted a replica.
    Restarted,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 36] = [
        Self::CallFailed,
        Self::CallUnreported,
        Self::CallDelayed,
        Self::CallHung,
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Paused,
        Self::StoreOutage,
        Self::GithubOutage,
        Self::ClusterOutage,
        Self::WebhookLost,
        Self::WebhookDoubled,
        Self::WebhookDelayed,
        Self::EmptyListing,
        Self::IdleWhileBusy,
        Self::OfflineWhileBusy,
        Self::JobRequeued,
        Self::RateLimited,
        Self::Uninstalled,
        Self::Suspended,
        Self::NodeLost,
        Self::NodeBlip,
        Self::NodeCordoned,
        Self::ImageStuck,
        Self::ImageRefused,
        Self::NeverRegistered,
        Self::BootFailed,
        Self::RunnerDied,
        Self::JobCancelled,
        Self::WebhookUnreadable,
        Self::SlotsForgotten,
        Self::OperatorDrained,
        Self::OperatorPaused,
        Self::OperatorLimited,
        Self::OperatorRevoked,
        Self::Restarted,
    ];
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The state of the faults of one world; clones share it.
#[derive(Debug, Clone, Default)]
pub struct FaultControl(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    counts: Mutex<BTreeMap<FaultKind, u64>>,
    outages: Mutex<BTreeMap<PortName, Timestamp>>,
    broken: Mutex<BTreeMap<&'static str, Timestamp>>,
    sabotaged: Mutex<BTreeMap<&'static str, Timestamp>>,
}

impl FaultControl {
    /// Whether faults still happen.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.0.stopped.load(Ordering::Relaxed)
    }

    /// No fault happens from now on.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
        lock(&self.0.outages).clear();
        lock(&self.0.broken).clear();
        lock(&self.0.sabotaged).clear();
    }

    /// Counts a fault.
    pub fn count(&self, kind: FaultKind) {
        *lock(&self.0.counts).entry(kind).or_default() += 1;
    }

    /// How many faults of each kind have happened.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<FaultKind, u64> {
        lock(&self.0.counts).clone()
    }

    /// Lets every call of a port fail until then.
    pub fn outage(&self, port: PortName, until: Timestamp) {
        lock(&self.0.outages).insert(port, until);
    }

    /// Lets every call of one operation fail until then, whatever the other calls of its port do.
    pub fn break_operation(&self, operation: &'static str, until: Timestamp) {
        lock(&self.0.broken).insert(operation, until);
    }

    /// Lets every call of one operation panic until then.
    pub fn sabotage_operation(&self, operation: &'static str, until: Timestamp) {
        lock(&self.0.sabotaged).insert(operation, until);
    }

    /// Whether calls of an operation panic at `now`.
    #[must_use]
    pub fn is_sabotaged(&self, operation: &str, now: Timestamp) -> bool {
        lock(&self.0.sabotaged).get(operation).is_some_and(|until| now < *until)
    }

    /// Whether calls of an operation fail at `now`.
    #[must_use]
    pub fn is_broken(&self, operation: &str, now: Timestamp) -> bool {
        lock(&self.0.broken).get(operation).is_some_and(|until| now < *until)
    }

    /// Whether a port is down at `now`.
    #[must_use]
    pub fn is_out(&self, port: PortName, now: Timestamp) -> bool {
        lock(&self.0.outages).get(&port).is_some_and(|until| now < *until)
    }
}
