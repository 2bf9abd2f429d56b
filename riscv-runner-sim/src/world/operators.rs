//! What operators do to a world: they drain and pause, limit and revoke, and restart replicas; and
//! whether the engine keeps to it.

use std::{sync::Arc, time::Duration};

use riscv_runner_core::{
    controls::{Control, Note, Order},
    ids::{EntityId, NodeName, PoolName, RepoName, WorkerName},
    policy::Cap,
    ports::ControlStore,
};

use super::{VISITORS, World, happenings::Happening};
use crate::{
    chance::Stream,
    executor::Group,
    faults::FaultKind,
    github::chosen,
    laws,
    store::{Change, MemoryStore},
};

/// How long an order holds.
const HELD: (Duration, Duration) = (Duration::from_secs(180), Duration::from_secs(900));
/// Most workers of a limited account, so that its jobs still end.
const LIMITS: u64 = 3;
/// A process that is asked to stop has ended after this long, or is ended.
const STOPPING: Duration = Duration::from_secs(11);

/// An order before it is known what there is to hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whim {
    what: What,
    choice: u64,
    held: Duration,
}

#[derive(Debug, Clone, Copy)]
enum What {
    DrainBoard,
    DrainPool,
    PauseEverything,
    PauseEntity,
    PauseRepository,
    Limit,
    Revoke,
}

impl Whim {
    /// Any order.
    pub(super) fn drawn(luck: &mut Stream) -> Self {
        const KINDS: [What; 8] = [
            What::DrainBoard,
            What::DrainBoard,
            What::DrainPool,
            What::PauseEverything,
            What::PauseEntity,
            What::PauseRepository,
            What::Limit,
            What::Revoke,
        ];
        let what = luck.pick(&KINDS).copied().unwrap_or(What::DrainBoard);
        Self { what, choice: luck.number(), held: luck.between(HELD.0, HELD.1) }
    }
}

impl World {
    /// An operator gives an order, and takes it back after a while.
    pub(super) fn operate(&mut self, whim: Whim) {
        let choice = whim.choice;
        let control = match whim.what {
            What::Limit => return self.limit(whim),
            What::Revoke => return self.revoke(choice),
            What::DrainBoard => self.some_board(choice).map(Control::DrainBoard),
            What::DrainPool => self.some_pool(choice).map(Control::DrainPool),
            What::PauseEverything => Some(Control::PauseEverything),
            What::PauseEntity => self.some_account(choice).map(Control::PauseEntity),
            What::PauseRepository => self.some_repository(choice).map(Control::PauseRepository),
        };
        let Some(control) = control else { return };
        self.faults.count(match whim.what {
            What::DrainBoard | What::DrainPool => FaultKind::OperatorDrained,
            What::PauseEverything | What::PauseEntity | What::PauseRepository => FaultKind::OperatorPaused,
            What::Limit => FaultKind::OperatorLimited,
            What::Revoke => FaultKind::OperatorRevoked,
        });
        self.order(Order::Hold(control.clone()));
        self.after(whim.held, Happening::Order(Order::Release(control)));
    }

    fn limit(&mut self, whim: Whim) {
        let Some(entity) = self.some_account(whim.choice) else { return };
        self.faults.count(FaultKind::OperatorLimited);
        let cap = Cap::AtMost(u32::try_from(1 + whim.choice % LIMITS).unwrap_or(1));
        self.order(Order::Limit { entity, cap });
        self.after(whim.held, Happening::Order(Order::ClearLimit { entity }));
    }

    /// A live worker is revoked, one in three by force: the laws let it die with its job then.
    fn revoke(&mut self, choice: u64) {
        let live = self.store.all_workers().into_iter().filter(|row| !row.worker.status.is_terminal());
        let names: Vec<WorkerName> = live.map(|row| row.worker.name).collect();
        let Some(worker) = chosen(&names, choice) else { return };
        let force = choice.is_multiple_of(3);
        if force {
            return self.revoke_by_force(worker);
        }
        self.faults.count(FaultKind::OperatorRevoked);
        self.order(Order::Revoke { worker, force });
    }

    /// An operator revokes a worker whatever runs on it.
    pub fn revoke_by_force(&mut self, worker: WorkerName) {
        self.faults.count(FaultKind::OperatorRevoked);
        self.truth.with(|truth| truth.boards.condemned.insert(worker.clone()));
        self.order(Order::Revoke { worker, force: true });
    }

    /// Gives an order, as the command and the page do.
    pub(super) fn order(&mut self, order: Order) {
        let note =
            Note { reason: "simulated".to_owned(), actor: "operator".to_owned(), since: self.clock.now() };
        self.truth.with(|truth| truth.trace.line(format_args!("order {order:?}")));
        let store: Arc<MemoryStore> = Arc::clone(&self.store);
        let giving = async move {
            // The store in memory takes every order; whether it changed anything does not matter here.
            let _ = store.order(&order, &note).await;
        };
        self.executor.spawn(VISITORS, Box::pin(giving));
    }

    /// A replica is asked to stop; once it has, or its time is over, another process takes its place.
    pub(super) fn restart(&mut self, choice: u64) {
        let groups: Vec<Group> = self.replicas.iter().map(|replica| replica.group).collect();
        if let Some(group) = chosen(&groups, choice) {
            self.stop(group);
        }
    }

    pub(super) fn stop(&mut self, group: Group) {
        self.faults.count(FaultKind::Restarted);
        self.truth.with(|truth| truth.trace.line(format_args!("process {} asked to stop", group.0)));
        for replica in self.replicas.iter_mut().filter(|replica| replica.group == group) {
            replica.stop.send_replace(true);
        }
        self.after(STOPPING, Happening::Stopped(group));
    }

    /// What is left of a process that was asked to stop ends, and a new one starts in its place.
    pub(super) fn stopped(&mut self, group: Group) {
        let Some(index) = self.replicas.iter().find(|replica| replica.group == group).map(|it| it.index)
        else {
            return;
        };
        self.kill(group);
        self.start(index);
    }

    /// Whether what was written keeps to what operators hold back.
    pub(super) fn judge_by_orders(&self, change: &Change) {
        let Change::Reserved(occupancy) = change else { return };
        let broken = laws::reservation_obeys(&self.store.controls(), occupancy, self.clock.now());
        self.truth.with(|truth| broken.into_iter().for_each(|violation| truth.violated(violation)));
    }

    /// Whether pods that were placed just now keep off drained boards.
    pub(super) fn judge_placements(&self) {
        let placed = self.truth.with(|truth| std::mem::take(&mut truth.boards.placed));
        if placed.is_empty() {
            return;
        }
        let controls = self.store.controls();
        if controls.drained_nodes.is_empty() {
            return;
        }
        let rows = self.store.all_workers();
        for (name, node) in placed {
            let row = rows.iter().find(|row| row.worker.name == name);
            let broken =
                row.and_then(|row| laws::board_rests(&controls, &node, &row.worker, self.clock.now()));
            self.truth.with(|truth| broken.into_iter().for_each(|violation| truth.violated(violation)));
        }
    }

    fn some_board(&self, choice: u64) -> Option<NodeName> {
        let names: Vec<_> = self.truth.with(|truth| truth.boards.nodes.keys().cloned().collect());
        chosen(&names, choice)
    }

    fn some_pool(&self, choice: u64) -> Option<PoolName> {
        let names: Vec<_> = self.config.boards.iter().map(|spec| spec.kind.clone()).collect();
        chosen(&names, choice)
    }

    fn some_account(&self, choice: u64) -> Option<EntityId> {
        let ids: Vec<_> = self.truth.with(|truth| truth.github.accounts.keys().copied().collect());
        chosen(&ids, choice)
    }

    fn some_repository(&self, choice: u64) -> Option<RepoName> {
        let names: Vec<_> = self
            .truth
            .with(|truth| truth.github.repositories.values().map(|repo| repo.name.clone()).collect());
        chosen(&names, choice)
    }
}
