//! A whole world: real engines on the simulated store, GitHub and cluster, one step of virtual time
//! after the other, judged by the laws at every step.

mod config;
mod happenings;
mod operators;
mod replicas;
mod rest;
mod script;
mod summary;

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use riscv_runner_core::{
    admission::IntakePolicy,
    backoff::{add, age},
    enrolment::ENROLLED_LABEL,
    ids::{DeliveryGuid, EntityId, NodeName, RepoId},
    policy::Policy,
    ports::{Observer, Silent},
};
use tokio::sync::watch;

use happenings::Happening;

pub use config::{AccountSpec, Arrival, BoardSpec, WorldConfig};
pub use replicas::Replica;
pub use summary::Summary;

use crate::{
    chance::Stream,
    clock::{SimClock, SimPlatform, lock},
    cluster::SimCluster,
    executor::{Executor, Group, KillSwitch, Turn},
    faults::FaultControl,
    github::SimForge,
    laws::{Law, Ledger, Violation},
    store::MemoryStore,
    truth::{SharedTruth, Truth},
};

/// GitHub waits this long for our answer to a webhook.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a killed process stays away.
const RESTART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// More polls than this without any time passing are a loop that never waits.
const POLLS_PER_INSTANT: u64 = 200_000;

/// The group of those who are no replicas; replicas are numbered from 1.
const VISITORS: Group = Group(0);

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing will ever happen again.
    Idle,
    /// Nothing happens for this long in virtual time.
    Sleep(Duration),
}

/// A world.
pub struct World {
    config: WorldConfig,
    policy: watch::Sender<Arc<Policy>>,
    observer: Arc<dyn Observer>,
    clock: SimClock,
    executor: Executor,
    kill_switch: KillSwitch,
    truth: SharedTruth,
    store: Arc<MemoryStore>,
    faults: FaultControl,
    ledger: Ledger,
    replicas: Vec<Replica>,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    sequence: u64,
    arriving: usize,
    /// Runs that arrive when there is room for them.
    reserve: VecDeque<Happening>,
    processes: u64,
    upgrades: u32,
    steps: u64,
    luck: Stream,
}

impl World {
    /// Makes a world; nothing has happened in it before the first [`Self::step`].
    #[must_use]
    pub fn new(config: WorldConfig) -> Self {
        Self::observed(config, Arc::new(Silent))
    }

    /// Makes a world whose engines report to `observer`.
    #[must_use]
    pub fn observed(config: WorldConfig, observer: Arc<dyn Observer>) -> Self {
        let clock = SimClock::default();
        let faults = FaultControl::default();
        let seed = config.seed;
        let mut truth = Truth::new(clock.clone(), seed, config.profile.clone(), faults.clone());
        let (entities, repositories) = furnish(&config, &mut truth);
        let mut script = script::arrivals(&config, &repositories);
        let arriving = script.len();
        let mut reserve = VecDeque::new();
        if let Arrival::Level { .. } = config.arrival {
            reserve.extend(script.drain(..).map(|(_, run)| run));
            script.push((Duration::from_secs(1), Happening::Refill));
        }
        script.extend(script::faults(&config, &mut truth, &entities));
        script.push((config.faults_for, Happening::StopFaults));
        script.extend((0..config.replicas).map(|index| (Duration::ZERO, Happening::Start(index))));
        let platform = SimPlatform::new(clock.clone(), Stream::new(seed, "store"));
        let store = Arc::new(MemoryStore::new(Arc::new(platform)));
        store.record_changes();
        let mut world = Self {
            policy: watch::Sender::new(Arc::new(config.policy())),
            observer,
            executor: Executor::new(Stream::new(seed, "order of polls")),
            kill_switch: KillSwitch::default(),
            truth: SharedTruth::new(truth),
            store,
            faults,
            ledger: Ledger::default(),
            replicas: Vec::new(),
            agenda: BTreeMap::new(),
            sequence: 0,
            arriving,
            reserve,
            processes: 0,
            upgrades: 0,
            steps: 0,
            luck: Stream::new(seed, "happenings"),
            clock,
            config,
        };
        for (wait, happening) in script {
            world.after(wait, happening);
        }
        world
    }

    /// The store, for pages and tests; it may be read at any time from anywhere.
    #[must_use]
    pub fn store(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.store)
    }

    /// GitHub as somebody sees it to whom no faults happen.
    #[must_use]
    pub fn forge(&self) -> SimForge {
        let luck = Stream::new(self.config.seed, "visitor's forge");
        SimForge::new(self.truth.clone(), self.clock.clone(), self.config.github_latency, luck)
    }

    /// The cluster as somebody sees it to whom no faults happen.
    #[must_use]
    pub fn cluster(&self) -> SimCluster {
        let luck = Stream::new(self.config.seed, "visitor's cluster");
        SimCluster::new(self.truth.clone(), self.clock.clone(), self.config.cluster_latency, luck)
    }

    /// Time and chance of somebody who visits the world.
    #[must_use]
    pub fn platform(&self) -> SimPlatform {
        SimPlatform::new(self.clock.clone(), Stream::new(self.config.seed, "visitor's seeds"))
    }

    /// Lets a visitor act in the world; steps as far as that takes, at most `patience`. `None` when
    /// the visitor has not finished by then.
    pub fn visit<T: Send + 'static>(
        &mut self,
        patience: Duration,
        visitor: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let answer = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        let acting = async move {
            let value = visitor.await;
            *lock(&slot) = Some(value);
        };
        self.executor.spawn(VISITORS, Box::pin(acting));
        self.settle();
        self.run_until(patience, |_| lock(&answer).is_some());
        lock(&answer).take()
    }

    /// The clock of the world.
    #[must_use]
    pub fn clock(&self) -> SimClock {
        self.clock.clone()
    }

    /// The policy that the engines run under; sending another one puts it in force.
    #[must_use]
    pub const fn policy(&self) -> &watch::Sender<Arc<Policy>> {
        &self.policy
    }

    /// The replicas that run now.
    #[must_use]
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// The newest `n` lines of the trace.
    #[must_use]
    pub fn trace(&self, n: usize) -> Vec<String> {
        self.truth.with(|truth| truth.trace.newest(n))
    }

    /// Keeps no lines of the trace, only its hash.
    pub fn keep_no_trace(&self) {
        self.truth.with(|truth| truth.trace.keep_no_lines());
    }

    /// Broken laws so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.truth.with(|truth| truth.violations.clone())
    }

    /// Jumps to the next moment at which anything happens and lets it happen; says how long nothing
    /// will happen after that. A driver may sleep that long in real time, or not.
    pub fn step(&mut self) -> Next {
        let Some(due) = self.next_due() else { return Next::Idle };
        self.clock.advance_to(due);
        self.settle();
        match self.next_due() {
            Some(next) => Next::Sleep(age(next, self.clock.now())),
            None => Next::Idle,
        }
    }

    /// Steps until `done` holds, a law breaks or `patience` has passed; whether `done` held.
    pub fn run_until(&mut self, patience: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = add(self.clock.now(), patience);
        while self.clock.now() < end && !self.is_broken() {
            if done(self) {
                return true;
            }
            if self.step() == Next::Idle {
                break;
            }
        }
        done(self)
    }

    /// Lets every call of one operation fail for this long, such as `list runners`.
    pub fn break_operation(&self, operation: &'static str, for_long: Duration) {
        self.faults.break_operation(operation, self.clock.at(for_long));
    }

    /// Lets the leader stand still for this long; false when nobody leads.
    pub fn pause_leader(&mut self, for_long: Duration) -> bool {
        self.pause(for_long)
    }

    /// Restarts the leader gracefully; false when nobody leads.
    pub fn restart_leader(&mut self) -> bool {
        let leads = |replica: &&Replica| !replica.paused && replica.engine.leading().borrow().is_some();
        let Some(group) = self.replicas.iter().find(leads).map(|replica| replica.group) else { return false };
        self.stop(group);
        true
    }

    /// GitHub sends an account's delivery that nobody can read; its GUID, if there is an account.
    pub fn send_unreadable(&mut self) -> Option<DeliveryGuid> {
        self.truth.with(|truth| truth.announce_unreadable(0))
    }

    /// How many times GitHub tried to deliver.
    #[must_use]
    pub fn attempts(&self, guid: &DeliveryGuid) -> usize {
        self.truth.with(|truth| truth.github.attempts.iter().filter(|attempt| attempt.guid == *guid).count())
    }

    /// Lets every call of one operation panic for this long.
    pub fn sabotage_operation(&self, operation: &'static str, for_long: Duration) {
        self.faults.sabotage_operation(operation, self.clock.at(for_long));
    }

    /// Ends all faults now: what is broken stays broken until it is mended.
    pub fn stop_faults(&self) {
        self.faults.stop();
    }

    fn is_broken(&self) -> bool {
        self.truth.with(|truth| !truth.violations.is_empty())
    }

    fn after(&mut self, wait: Duration, happening: Happening) {
        self.sequence += 1;
        self.agenda.insert((self.clock.at(wait), self.sequence), happening);
    }

    fn next_due(&self) -> Option<Timestamp> {
        let own = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let natural = self.truth.with(|truth| truth.next_event());
        [own, natural, self.clock.next_timer()].into_iter().flatten().min()
    }

    /// Lets everything happen that is due, until only time can go on.
    fn settle(&mut self) {
        let mut polls = 0;
        loop {
            self.happen();
            self.truth.with(Truth::happen);
            self.judge_placements();
            self.deliver();
            polls += self.drain();
            if polls > POLLS_PER_INSTANT {
                self.violated(Law::TimeGoesOn, format!("{polls} polls and no time passed"));
                return;
            }
            if self.next_due().is_none_or(|due| due > self.clock.now()) {
                return;
            }
            self.clock.advance_to(self.clock.now());
        }
    }

    /// Polls tasks until all wait for something; how many polls that took.
    fn drain(&mut self) -> u64 {
        let mut polls = 0;
        while polls <= POLLS_PER_INSTANT {
            match self.executor.turn() {
                Turn::Polled => {}
                Turn::Panicked(_, message) => self.violated(Law::NobodyPanics, message),
                Turn::Stalled => break,
            }
            polls += 1;
            self.steps += 1;
            for group in self.kill_switch.take() {
                self.bury(group);
            }
            self.judge();
        }
        polls
    }

    fn bury(&mut self, group: Group) {
        let index = self.replicas.iter().find(|replica| replica.group == group).map(|replica| replica.index);
        if self.kill(group)
            && let Some(index) = index
        {
            let wait = self.luck.between(RESTART.0, RESTART.1);
            self.after(wait, Happening::Start(index));
        }
    }

    fn judge(&mut self) {
        let now = self.clock.now();
        for change in self.store.take_changes() {
            self.judge_by_orders(&change);
            if let Some(violation) = self.ledger.judge(&change, now) {
                self.truth.with(|truth| truth.violated(violation));
            }
        }
    }

    fn violated(&self, law: Law, detail: String) {
        let violation = Violation::new(law, self.clock.now(), detail);
        self.truth.with(|truth| truth.violated(violation));
    }

    /// Hands webhooks that have arrived to a replica; without one they are lost.
    fn deliver(&mut self) {
        let arriving = self.truth.with(|truth| std::mem::take(&mut truth.arriving));
        for attempt in arriving {
            let choice = self.luck.below(self.replicas.len());
            // A process that stops takes no new requests; GitHub is told nothing, as by one that is gone.
            let Some(replica) = self.replicas.get(choice).filter(|it| !*it.stop.borrow()) else { continue };
            if self.truth.with(|truth| truth.refuses(attempt)) {
                continue;
            }
            let Some(delivery) = self.truth.with(|truth| truth.delivery(attempt)) else { continue };
            let (intake, truth) = (replica.intake.clone(), self.truth.clone());
            let (store, clock, arrived) = (Arc::clone(&self.store), self.clock.clone(), self.clock.now());
            let policy = Arc::clone(&self.policy.borrow());
            let handler = async move {
                let controls = store.controls();
                let by = IntakePolicy { policy: &policy, controls: &controls };
                let recorded = intake.submit(delivery, &by).await;
                if recorded.is_ok() && age(clock.now(), arrived) < WEBHOOK_TIMEOUT {
                    truth.with(|truth| truth.acknowledged(attempt));
                }
            };
            self.executor.spawn(replica.group, Box::pin(handler));
        }
    }
}

fn furnish(config: &WorldConfig, truth: &mut Truth) -> (Vec<EntityId>, Vec<RepoId>) {
    for spec in &config.boards {
        let selector = config::selector(&spec.kind);
        truth.boards.selectors.insert(spec.kind.clone(), selector.clone());
        for n in 1..=spec.count {
            let name = NodeName::new(format!("{}-{n}", spec.kind)).expect("a name of letters and digits");
            let mut labels = selector.clone();
            let enrolled = config.profile.operators.enrolled;
            if enrolled {
                labels.insert(ENROLLED_LABEL.to_owned(), "1".to_owned());
            }
            truth.add_node(name, labels, u32::from(!enrolled));
        }
    }
    let mut entities = Vec::new();
    let mut repositories = Vec::new();
    for spec in &config.accounts {
        let entity = truth.add_account(spec.kind);
        entities.push(entity);
        repositories.extend((0..spec.repositories).map(|_| truth.add_repository(entity)));
    }
    (entities, repositories)
}
