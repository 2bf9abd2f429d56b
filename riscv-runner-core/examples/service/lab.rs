//! Machines in a room, as the engine's cluster. A real one would start a container over SSH where this one makes
//! a note.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use riscv_runner_core::{
    engine::wake::Wake,
    failure::Diagnostics,
    ids::{NodeName, PodUid, WorkerName},
    pod::{Node, Pod, PodPhase},
    ports::{
        BoardSlots, Cluster, CreatedPod, Grace, JitConfig, LeaderProof, NodeMap, Platform, PodMap,
        PodRequest, PortError, PortErrorKind, PortResult, SecretObject,
    },
};
use tokio::sync::Notify;

use super::Outcome;

/// The label by which a pool finds the machines.
pub(crate) const KIND: (&str, &str) = ("kind", "riscv");

/// The machines and what runs on them.
pub(crate) struct Lab {
    machines: Mutex<NodeMap>,
    running: Mutex<PodMap>,
    begun: Notify,
    /// The engine looks when something changed here.
    wake: Wake,
    platform: Arc<dyn Platform>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lab {
    pub(crate) fn with_machines(count: u32, platform: Arc<dyn Platform>, wake: Wake) -> Outcome<Self> {
        let mut machines = NodeMap::new();
        for n in 1..=count {
            let name = NodeName::new(format!("machine-{n}"))?;
            let node = Node {
                name: name.clone(),
                labels: BTreeMap::from([(KIND.0.to_owned(), KIND.1.to_owned())]),
                ready: true,
                cordoned: false,
                unreachable_since: None,
                slots: 1,
            };
            machines.insert(name, node);
        }
        let (machines, running) = (Mutex::new(machines), Mutex::default());
        Ok(Self { machines, running, begun: Notify::new(), wake, platform })
    }

    /// The worker that was started first, once there is one.
    pub(crate) async fn started(&self) -> WorkerName {
        loop {
            let begun = self.begun.notified();
            let worker = locked(&self.running).keys().next().cloned();
            if let Some(worker) = worker {
                return worker;
            }
            begun.await;
        }
    }

    /// A machine has come up: its runner works.
    pub(crate) fn up(&self, worker: &WorkerName) {
        self.set(worker, PodPhase::Running { since: self.platform.now() });
    }

    /// A runner has done its job, and its machine is free again.
    pub(crate) fn done(&self, worker: &WorkerName) {
        self.set(worker, PodPhase::Succeeded { at: self.platform.now() });
    }

    fn set(&self, worker: &WorkerName, phase: PodPhase) {
        if let Some(pod) = locked(&self.running).get_mut(worker) {
            pod.phase = phase;
        }
        self.wake.wake();
    }

    fn forget(&self, name: &WorkerName, uid: &PodUid) {
        let mut running = locked(&self.running);
        if running.get(name).is_some_and(|pod| pod.uid == *uid) {
            running.remove(name);
        }
        self.wake.wake();
    }
}

#[async_trait]
impl Cluster for Lab {
    async fn nodes(&self) -> PortResult<NodeMap> {
        Ok(locked(&self.machines).clone())
    }

    async fn pods(&self) -> PortResult<PodMap> {
        Ok(locked(&self.running).clone())
    }

    async fn secrets(&self) -> PortResult<Vec<SecretObject>> {
        Ok(Vec::new())
    }

    async fn create(
        &self,
        _: &LeaderProof,
        request: &PodRequest,
        _jit: &JitConfig,
    ) -> PortResult<CreatedPod> {
        let refused = |detail: &str| PortError::new(PortErrorKind::Denied, "start a machine", detail);
        let machines = locked(&self.machines).clone();
        let mut running = locked(&self.running);
        if let Some(there) = running.get(&request.name) {
            return Ok(CreatedPod { uid: there.uid.clone() });
        }
        let taken =
            |name: &NodeName| running.values().any(|pod| pod.holds_slot() && pod.node.as_ref() == Some(name));
        let free = machines.into_keys().find(|name| !taken(name) && !request.avoid.contains(name));
        let node = free.ok_or_else(|| refused("every machine is taken"))?;
        let uid = PodUid::new(request.name.as_str()).map_err(|error| refused(&error.to_string()))?;
        let pod = Pod {
            name: request.name.clone(),
            uid: uid.clone(),
            phase: PodPhase::Pending { reason: None },
            node: Some(node),
            pool: Some(request.pool.clone()),
            created_at: self.platform.now(),
            deleting: false,
            killed: false,
            identity: None,
        };
        running.insert(request.name.clone(), pod);
        self.begun.notify_waiters();
        Ok(CreatedPod { uid })
    }

    async fn kill(&self, _: &LeaderProof, name: &WorkerName, uid: &PodUid) -> PortResult<()> {
        self.forget(name, uid);
        Ok(())
    }

    async fn delete(&self, _: &LeaderProof, name: &WorkerName, uid: &PodUid, _: Grace) -> PortResult<()> {
        self.forget(name, uid);
        Ok(())
    }

    async fn delete_secret(&self, _: &LeaderProof, _: &WorkerName) -> PortResult<()> {
        Ok(())
    }

    async fn diagnose(&self, _: &WorkerName) -> Diagnostics {
        Diagnostics::default()
    }
}

#[async_trait]
impl BoardSlots for Lab {
    async fn advertise(&self, _: &LeaderProof, node: &NodeName, slots: u32) -> PortResult<()> {
        if let Some(machine) = locked(&self.machines).get_mut(node) {
            machine.slots = slots;
        }
        Ok(())
    }
}
