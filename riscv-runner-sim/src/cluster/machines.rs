//! Machines: they die and come back empty, they are not ready for a moment, they are cordoned.

use std::{collections::BTreeMap, time::Duration};

use riscv_runner_core::{
    enrolment::enrolled_slots,
    ids::NodeName,
    pod::{Node, PodPhase},
};

use super::Machine;
use crate::{
    faults::FaultKind,
    github::chosen,
    truth::{Event, Truth},
};

/// How long a machine stays away.
const AWAY: (Duration, Duration) = (Duration::from_secs(120), Duration::from_secs(1200));
/// How long a machine is not ready while its containers run on.
const BLIP: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

impl Truth {
    /// Adds a machine.
    pub(crate) fn add_node(&mut self, name: NodeName, labels: BTreeMap<String, String>, slots: u32) {
        let node =
            Node { name: name.clone(), labels, ready: true, cordoned: false, unreachable_since: None, slots };
        self.boards.nodes.insert(name, Machine { node, alive: true });
        self.bind_soon();
        self.wake_cluster_watchers();
    }

    /// A machine dies: its containers are gone, and the API says that it is unreachable.
    pub(crate) fn node_lost(&mut self, name: &NodeName) {
        let now = self.now();
        let Some(machine) = self.boards.nodes.get_mut(name).filter(|machine| machine.alive) else { return };
        machine.alive = false;
        machine.node.ready = false;
        machine.node.unreachable_since = Some(now);
        self.faults.count(FaultKind::NodeLost);
        self.trace.line(format_args!("node {name} lost"));
        let runners: Vec<_> = self.boards.holders(name).filter_map(|pod| pod.runner).collect();
        for runner in runners {
            self.disconnect(runner);
        }
        self.within(AWAY.0, AWAY.1, Event::NodeBack(name.clone()));
        self.wake_cluster_watchers();
    }

    /// A machine comes back; of the pods that the API still has there, nothing runs.
    pub(crate) fn node_back(&mut self, name: &NodeName) {
        let now = self.now();
        let Some(machine) = self.boards.nodes.get_mut(name) else { return };
        machine.alive = true;
        machine.node.ready = true;
        machine.node.unreachable_since = None;
        if enrolled_slots(&machine.node).is_some() {
            machine.node.slots = 0;
            self.faults.count(FaultKind::SlotsForgotten);
        }
        self.trace.line(format_args!("node {name} back"));
        let stale: Vec<_> = self.boards.holders(name).map(|pod| pod.number).collect();
        for number in stale {
            let Some(pod) = self.boards.numbered(number) else { continue };
            pod.pod.phase =
                PodPhase::Failed { at: now, exit_code: Some(137), reason: Some("NodeShutdown".to_owned()) };
            if pod.pod.deleting {
                self.forget_pod(number);
            }
        }
        self.bind_soon();
        self.wake_cluster_watchers();
    }

    /// A living machine reports whether it is ready.
    pub(crate) fn node_ready(&mut self, name: &NodeName, ready: bool) {
        let Some(machine) = self.boards.nodes.get_mut(name).filter(|machine| machine.alive) else { return };
        machine.node.ready = ready;
        self.trace.line(format_args!("node {name} ready {ready}"));
        if ready {
            self.bind_soon();
        } else {
            self.faults.count(FaultKind::NodeBlip);
            self.within(BLIP.0, BLIP.1, Event::NodeSteady(name.clone()));
        }
        self.wake_cluster_watchers();
    }

    /// An operator marks a machine as unschedulable, or takes the mark away.
    pub(crate) fn cordon(&mut self, name: &NodeName, cordoned: bool) {
        let Some(machine) = self.boards.nodes.get_mut(name) else { return };
        machine.node.cordoned = cordoned;
        self.trace.line(format_args!("node {name} cordoned {cordoned}"));
        self.bind_soon();
        self.wake_cluster_watchers();
    }

    /// An operator marks one of the machines; which one.
    pub(crate) fn cordon_some(&mut self, choice: u64) -> Option<NodeName> {
        let names: Vec<_> = self.boards.nodes.keys().cloned().collect();
        let node = chosen(&names, choice)?;
        self.cordon(&node, true);
        Some(node)
    }
}
