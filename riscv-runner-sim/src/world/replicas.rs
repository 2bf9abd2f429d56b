//! Replicas of the engine in a world: each start is a new process with faulty ports of its own.

use std::sync::{Arc, Mutex};

use riscv_runner_core::{
    engine::{
        Engine, EngineParts, Wakes,
        intake::{Intake, intake},
    },
    ids::ReplicaName,
    ports::{Cluster, Forge, Store},
};

use tokio::sync::watch;

use super::World;
use crate::{
    chance::Stream,
    clock::SimPlatform,
    cluster::SimCluster,
    executor::Group,
    faults::{CallFaults, FaultSource, Faulty, PortName},
    github::SimForge,
};

/// How many deliveries a replica's intake holds.
const INTAKE_QUEUE: usize = 1024;

/// A running replica.
pub struct Replica {
    /// Its place among the replicas; kept over restarts.
    pub index: u32,
    /// Its tasks.
    pub group: Group,
    /// The engine.
    pub engine: Arc<Engine>,
    /// Its door for deliveries.
    pub intake: Intake,
    /// What wakes its loops.
    pub wakes: Wakes,
    /// Whether it stands still.
    pub paused: bool,
    /// Asks it to stop.
    pub stop: watch::Sender<bool>,
}

impl World {
    /// Starts a replica in this place, as a new process.
    pub(super) fn start(&mut self, index: u32) {
        self.processes += 1;
        let group = Group(self.processes);
        let (store, forge, cluster) = self.ports(group);
        let wakes = Wakes::default();
        let parts = EngineParts {
            store: Arc::clone(&store),
            forge,
            cluster,
            platform: Arc::new(SimPlatform::new(self.clock.clone(), self.stream("seeds", group))),
            observer: Arc::clone(&self.observer),
            policy: self.policy.subscribe(),
            replica: replica_name(index, group),
            wakes: wakes.clone(),
        };
        let (door, writer) = intake(INTAKE_QUEUE, store, Arc::clone(&self.observer), wakes.schedule.clone());
        let engine = Engine::new(parts);
        self.executor.spawn(group, Box::pin(writer.run()));
        let stop = watch::Sender::new(false);
        let mut stopped = stop.subscribe();
        let shutdown = async move {
            if stopped.wait_for(|stop| *stop).await.is_err() {
                // Whoever could ask is gone: this process is being killed.
                std::future::pending::<()>().await;
            }
        };
        self.executor.spawn(group, Box::pin(Arc::clone(&engine).run(shutdown)));
        self.truth
            .with(|truth| truth.trace.line(format_args!("replica {index} starts as process {}", group.0)));
        self.replicas.push(Replica { index, group, engine, intake: door, wakes, paused: false, stop });
        self.rewire();
    }

    /// Ends the process of this group, wherever it stands; true when there was one.
    pub(super) fn kill(&mut self, group: Group) -> bool {
        self.executor.kill(group);
        let before = self.replicas.len();
        self.replicas.retain(|replica| replica.group != group);
        self.rewire();
        self.truth.with(|truth| truth.trace.line(format_args!("process {} killed", group.0)));
        before != self.replicas.len()
    }

    /// Lets store and cluster wake the replicas that live, and nobody else.
    fn rewire(&self) {
        self.store.forget_listeners();
        for replica in &self.replicas {
            self.store.notify(replica.wakes.schedule.clone());
        }
        let wakes: Vec<_> = self.replicas.iter().map(|replica| replica.wakes.workers.clone()).collect();
        self.truth.with(|truth| truth.cluster_wakes = wakes);
    }

    fn ports(&self, group: Group) -> (Arc<dyn Store>, Arc<dyn Forge>, Arc<dyn Cluster>) {
        let profile = &self.config.profile;
        let forge = SimForge::new(
            self.truth.clone(),
            self.clock.clone(),
            self.config.github_latency,
            self.stream("forge latency", group),
        );
        let cluster = SimCluster::new(
            self.truth.clone(),
            self.clock.clone(),
            self.config.cluster_latency,
            self.stream("cluster latency", group),
        );
        let source = |port, rates| self.source(group, port, rates);
        (
            Arc::new(Faulty::new(Arc::clone(&self.store), source(PortName::Store, profile.store))),
            Arc::new(Faulty::new(Arc::new(forge), source(PortName::Forge, profile.forge))),
            Arc::new(Faulty::new(Arc::new(cluster), source(PortName::Cluster, profile.cluster))),
        )
    }

    fn source(&self, group: Group, port: PortName, rates: CallFaults) -> FaultSource {
        let concern = match port {
            PortName::Store => "store faults",
            PortName::Forge => "forge faults",
            PortName::Cluster => "cluster faults",
        };
        FaultSource {
            port,
            rates,
            killed: self.config.profile.processes.killed,
            control: self.faults.clone(),
            clock: self.clock.clone(),
            kill: self.kill_switch.clone(),
            group,
            luck: Mutex::new(self.stream(concern, group)),
        }
    }

    /// A stream of chance for one process.
    fn stream(&self, concern: &str, group: Group) -> Stream {
        Stream::new(self.config.seed, &format!("{concern} of process {}", group.0))
    }
}

fn replica_name(index: u32, group: Group) -> ReplicaName {
    ReplicaName::new(format!("replica-{index}-process-{}", group.0)).expect("a name of letters and digits")
}
