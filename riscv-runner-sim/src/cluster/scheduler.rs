//! Creating pods and finding nodes for them: by selector, avoided nodes and free slots.

use std::time::Duration;

use riscv_runner_core::{
    ids::{NodeName, PodUid, WorkerName},
    pod::{Pod, PodIdentity, PodPhase},
    ports::PodRequest,
};

use super::SimPod;
use crate::{
    faults::FaultKind,
    laws,
    truth::{Event, Truth},
};

/// How long pulling an image and starting a container takes.
const START: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));

impl Truth {
    /// A pod is created, unless one of its name is there already.
    pub(crate) fn create_pod(&mut self, request: &PodRequest) -> PodUid {
        if let Some(there) = self.boards.pods.get(&request.name) {
            return there.pod.uid.clone();
        }
        let number = self.boards.number(&request.name);
        let uid = PodUid::new(format!("uid-{number}")).expect("a uid of letters and digits");
        let pod = Pod {
            name: request.name.clone(),
            uid: uid.clone(),
            phase: PodPhase::Pending { reason: None },
            node: None,
            pool: Some(request.pool.clone()),
            created_at: self.now(),
            deleting: false,
            killed: false,
            identity: Some(PodIdentity {
                scope: request.scope.clone(),
                labels: request.labels.clone(),
                pool: request.pool.clone(),
                image: request.image.clone(),
            }),
        };
        self.trace.line(format_args!("pod {} created in {}", request.name, request.pool));
        self.boards.pods.insert(
            request.name.clone(),
            SimPod { number, pod, request: request.clone(), runner: None, events: Vec::new() },
        );
        if let Some(violation) = laws::capacity_holds(&self.boards, &request.pool, self.now()) {
            self.violated(violation);
        }
        self.bind_soon();
        self.wake_cluster_watchers();
        uid
    }

    pub(crate) fn bind_soon(&mut self) {
        self.within(Duration::from_millis(5), Duration::from_millis(100), Event::Bind);
    }

    /// Finds a node for each pod that has none, the oldest pod first.
    pub(crate) fn bind(&mut self) {
        let mut waiting: Vec<_> = self
            .boards
            .pods
            .values()
            .filter(|pod| pod.pod.node.is_none() && pod.pod.holds_slot() && !pod.pod.deleting)
            .map(|pod| (pod.number, pod.pod.name.clone()))
            .collect();
        waiting.sort_unstable();
        for (number, name) in waiting {
            let fitting = self.fitting_nodes(&name);
            match self.nature.pick(&fitting).cloned() {
                Some(node) => self.bind_to(number, &node),
                None => {
                    if let Some(pod) = self.boards.numbered(number) {
                        pod.pod.phase = PodPhase::Pending { reason: Some("Unschedulable".to_owned()) };
                    }
                }
            }
        }
    }

    fn fitting_nodes(&self, pod: &WorkerName) -> Vec<NodeName> {
        let Some(pod) = self.boards.pods.get(pod) else { return Vec::new() };
        let fits = |node: &riscv_runner_core::pod::Node| {
            node.accepts_pods()
                && !pod.request.avoid.contains(&node.name)
                && self.boards.holders(&node.name).count() < node.slots as usize
        };
        let nodes = self.boards.nodes_of(&pod.request.pool).map(|machine| &machine.node);
        nodes.filter(|node| fits(node)).map(|node| node.name.clone()).collect()
    }

    fn bind_to(&mut self, number: u64, node: &NodeName) {
        let stuck = self.mischief(self.profile.boards.image_stuck, FaultKind::ImageStuck);
        let Some(pod) = self.boards.numbered(number) else { return };
        let reason = if stuck { "ImagePullBackOff" } else { "ContainerCreating" };
        pod.pod.phase = PodPhase::Pending { reason: Some(reason.to_owned()) };
        pod.pod.node = Some(node.clone());
        let (name, killed) = (pod.pod.name.clone(), pod.pod.killed);
        self.record(&name, "Normal", "Scheduled", &format!("assigned to {node}"));
        self.trace.line(format_args!("pod {name} bound to {node}"));
        self.boards.placed.push((name.clone(), node.clone()));
        if let Some(violation) = laws::slots_hold(&self.boards, node, self.now()) {
            self.violated(violation);
        }
        if killed {
            self.end_by_deadline(number);
        } else if !stuck {
            self.within(START.0, START.1, Event::ContainerStart(number));
        }
        self.wake_cluster_watchers();
    }
}
