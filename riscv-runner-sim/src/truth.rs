//! The truth of a simulated world: what GitHub and the cluster really hold, and what is to happen when.
//!
//! Ports show parts of it, at times wrongly; the laws judge by it. Nothing here is known to the engine.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use riscv_runner_core::{
    engine::wake::Wake,
    ids::{EntityId, JobId, NodeName, RunnerId},
    scope::Scope,
};

use crate::{
    chance::Stream,
    clock::{SimClock, lock},
    cluster::{Boards, PodEnd},
    faults::{FaultControl, FaultKind, FaultProfile},
    github::Github,
    laws::Violation,
    trace::Trace,
};

/// Something that happens by itself at a certain time.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// GitHub hands queued jobs of a scope to its idle runners.
    Dispatch(Scope),
    /// A job's work is done.
    JobDone { job: JobId, runner: RunnerId },
    /// GitHub notices that a busy runner is gone.
    RunnerMissed(RunnerId),
    /// GitHub cancels a job that has waited too long.
    Expire(JobId),
    /// An attempt to deliver a webhook is made.
    Deliver(usize),
    /// The scheduler looks for a node for each pod that has none.
    Bind,
    /// A container starts on its node.
    ContainerStart(u64),
    /// A runner's process calls GitHub for the first time.
    RunnerUp(u64),
    /// A pod's container ends.
    ContainerEnd(u64, PodEnd),
    /// A deleted pod's containers have ended.
    Deleted(u64),
    /// A machine dies.
    NodeLost(NodeName),
    /// A machine comes back, empty.
    NodeBack(NodeName),
    /// A machine reports that it is not ready, though its containers run on.
    NodeBlip(NodeName),
    /// It reports that it is ready.
    NodeSteady(NodeName),
    /// An App is uninstalled and installed again.
    Reinstall(EntityId),
    /// An App is suspended, or no longer.
    Suspend(EntityId, bool),
}

/// What really is.
pub(crate) struct Truth {
    pub(crate) clock: SimClock,
    pub(crate) github: Github,
    pub(crate) boards: Boards,
    pub(crate) profile: FaultProfile,
    pub(crate) faults: FaultControl,
    pub(crate) trace: Trace,
    pub(crate) violations: Vec<Violation>,
    pub(crate) nature: Stream,
    pub(crate) mischief: Stream,
    pub(crate) webhook_luck: Stream,
    /// Attempts whose payload is on its way to us.
    pub(crate) arriving: Vec<usize>,
    pub(crate) cluster_wakes: Vec<Wake>,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    sequence: u64,
}

/// The truth, shared by the ports that show it.
#[derive(Clone)]
pub(crate) struct SharedTruth(Arc<Mutex<Truth>>);

impl SharedTruth {
    pub(crate) fn new(truth: Truth) -> Self {
        Self(Arc::new(Mutex::new(truth)))
    }

    /// Looks at or changes the truth, in no time.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Truth) -> R) -> R {
        act(&mut lock(&self.0))
    }
}

impl Truth {
    pub(crate) fn new(clock: SimClock, seed: u64, profile: FaultProfile, faults: FaultControl) -> Self {
        Self {
            trace: Trace::new(clock.clone()),
            clock,
            github: Github::default(),
            boards: Boards::default(),
            profile,
            faults,
            violations: Vec::new(),
            nature: Stream::new(seed, "nature"),
            mischief: Stream::new(seed, "mischief"),
            webhook_luck: Stream::new(seed, "webhooks"),
            arriving: Vec::new(),
            cluster_wakes: Vec::new(),
            agenda: BTreeMap::new(),
            sequence: 0,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets `event` happen after `wait`.
    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.sequence += 1;
        let at = self.clock.at(wait);
        self.agenda.insert((at, self.sequence), event);
    }

    /// Lets `event` happen some time between the two.
    pub(crate) fn within(&mut self, from: Duration, to: Duration, event: Event) {
        let wait = self.nature.between(from, to);
        self.after(wait, event);
    }

    /// When something happens next by itself.
    pub(crate) fn next_event(&self) -> Option<Timestamp> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets everything happen that is due.
    pub(crate) fn happen(&mut self) {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > self.clock.now() {
                break;
            }
            let event = entry.remove();
            self.on(event);
        }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Dispatch(scope) => self.dispatch(scope),
            Event::JobDone { job, runner } => self.job_done(job, runner),
            Event::RunnerMissed(runner) => self.runner_missed(runner),
            Event::Expire(job) => self.expire(job),
            Event::Deliver(attempt) => self.deliver(attempt),
            Event::Bind => self.bind(),
            Event::ContainerStart(pod) => self.container_start(pod),
            Event::RunnerUp(pod) => self.runner_up(pod),
            Event::ContainerEnd(pod, end) => self.container_end(pod, end),
            Event::Deleted(pod) => self.deleted(pod),
            Event::NodeLost(node) => self.node_lost(&node),
            Event::NodeBack(node) => self.node_back(&node),
            Event::NodeBlip(node) => self.node_ready(&node, false),
            Event::NodeSteady(node) => self.node_ready(&node, true),
            Event::Reinstall(entity) => self.reinstall(entity),
            Event::Suspend(entity, suspended) => self.suspend(entity, suspended),
        }
    }

    /// Whether mischief of this probability happens now; counted.
    pub(crate) fn mischief(&mut self, probability: f64, kind: FaultKind) -> bool {
        // Drawn even when it cannot happen, so that one more kind of fault does not shift the others.
        let happens = self.mischief.happens(probability) && self.faults.is_active();
        if happens {
            self.faults.count(kind);
            self.trace.line(format_args!("fault {kind}"));
        }
        happens
    }

    pub(crate) fn violated(&mut self, violation: Violation) {
        self.trace.line(format_args!("LAW BROKEN {violation}"));
        self.violations.push(violation);
    }

    pub(crate) fn wake_cluster_watchers(&self) {
        self.cluster_wakes.iter().for_each(Wake::wake);
    }
}
