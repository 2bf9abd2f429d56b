//! Kubelets: containers start, their runners call GitHub, they end, are killed and deleted.

use std::time::Duration;

use riscv_runner_core::{
    failure::PodEvent,
    ids::{NodeName, RunnerId, WorkerName},
    pod::PodPhase,
    ports::{Grace, JitConfig},
};
use secrecy::ExposeSecret;

use crate::{
    faults::FaultKind,
    github::JIT_PREFIX,
    laws,
    truth::{Event, Truth},
};

/// How long a runner takes from its container's start to its first call.
const BOOT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));
/// How long a runner takes to give up at its start.
const GIVE_UP: Duration = Duration::from_secs(3);
/// How long a container takes to end when it is asked to.
const STOP: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// How long a kubelet waits before it tries to start a container again.
const RETRY: Duration = Duration::from_secs(10);
/// The exit code of a runner that GitHub refuses as too old.
const TOO_OLD: i32 = 7;

/// How a pod's container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodEnd {
    /// With exit code 0.
    Succeeded,
    /// Otherwise.
    Failed {
        /// Its exit code, when there was one.
        exit_code: Option<i32>,
        /// The pod's reason.
        reason: Option<&'static str>,
    },
}

/// The registration that a simulated JIT configuration is for.
fn runner_of(jit: &JitConfig) -> Option<RunnerId> {
    jit.expose_secret().strip_prefix(JIT_PREFIX)?.parse().ok()
}

impl Truth {
    /// The cluster records an event about a pod.
    pub(crate) fn record(&mut self, name: &WorkerName, kind: &str, reason: &str, message: &str) {
        let at = self.now();
        let Some(pod) = self.boards.pods.get_mut(name) else { return };
        pod.events.push(PodEvent {
            kind: kind.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            count: 1,
            first_seen: Some(at),
            last_seen: Some(at),
        });
    }

    /// A container starts, if its secret is there.
    pub(crate) fn container_start(&mut self, number: u64) {
        let now = self.now();
        let Some(node) = self.running_node_of(number) else { return };
        let Some(pod) = self.boards.numbered(number) else { return };
        let (name, image) = (pod.pod.name.clone(), pod.request.image.clone());
        let runner = self.boards.secrets.get(&name).map(|secret| runner_of(&secret.jit));
        let Some(pod) = self.boards.numbered(number) else { return };
        let Some(runner) = runner else {
            pod.pod.phase = PodPhase::Pending { reason: Some("CreateContainerConfigError".to_owned()) };
            return self.after(RETRY, Event::ContainerStart(number));
        };
        pod.pod.phase = PodPhase::Running { since: now };
        pod.runner = runner;
        self.trace.line(format_args!("pod {name} runs on {node}"));
        self.wake_cluster_watchers();
        if self.boards.refused_images.contains(&image) {
            self.fail_after(GIVE_UP, number, TOO_OLD);
        } else if self.boot_fails(number) {
            self.fail_after(GIVE_UP, number, 1);
        } else if !self.mischief(self.profile.boards.never_registers, FaultKind::NeverRegistered) {
            self.within(BOOT.0, BOOT.1, Event::RunnerUp(number));
        }
    }

    /// Whether the runner of this pod ends before it calls GitHub.
    fn boot_fails(&mut self, number: u64) -> bool {
        let by_chance = self.mischief(self.profile.boards.boot_fails, FaultKind::BootFailed);
        let for_certain = self.profile.boards.boot_fails_in == Some(number);
        if for_certain && !by_chance {
            self.faults.count(FaultKind::BootFailed);
        }
        by_chance || for_certain
    }

    fn fail_after(&mut self, wait: Duration, number: u64, exit_code: i32) {
        let end = PodEnd::Failed { exit_code: Some(exit_code), reason: None };
        self.after(wait, Event::ContainerEnd(number, end));
    }

    /// The node of a pod that is bound and not ended, if its kubelet lives.
    fn running_node_of(&mut self, number: u64) -> Option<NodeName> {
        let pod = self.boards.numbered(number)?;
        let node = pod.pod.node.clone().filter(|_| pod.pod.holds_slot())?;
        self.boards.is_alive(&node).then_some(node)
    }

    /// A runner calls GitHub; without a registration it gives up.
    pub(crate) fn runner_up(&mut self, number: u64) {
        if self.running_node_of(number).is_none() {
            return;
        }
        let runner = self.boards.numbered(number).and_then(|pod| pod.runner);
        if !runner.is_some_and(|runner| self.connect(runner, number)) {
            self.fail_after(GIVE_UP, number, 1);
        }
    }

    /// A container ends, if it was still running.
    pub(crate) fn container_end(&mut self, number: u64, end: PodEnd) {
        if self.running_node_of(number).is_none() {
            return;
        }
        let now = self.now();
        let Some(pod) = self.boards.numbered(number) else { return };
        self.trace.line(format_args!("pod {} ends {end:?}", pod.pod.name));
        pod.pod.phase = match end {
            PodEnd::Succeeded => PodPhase::Succeeded { at: now },
            PodEnd::Failed { exit_code, reason } => {
                PodPhase::Failed { at: now, exit_code, reason: reason.map(str::to_owned) }
            }
        };
        let runner = pod.runner;
        if let Some(runner) = runner {
            self.disconnect(runner);
        }
        self.bind_soon();
        self.wake_cluster_watchers();
    }

    /// Somebody asks the kubelet to end a pod. A pod without a node has no kubelet: nothing ends it.
    pub(crate) fn kill_pod(&mut self, name: &WorkerName) {
        self.blame_if_busy(name, "killed");
        let Some(pod) = self.boards.pods.get_mut(name) else { return };
        pod.pod.killed = true;
        let (number, bound) = (pod.number, pod.pod.node.is_some());
        self.trace.line(format_args!("pod {name} killed"));
        if bound {
            self.end_by_deadline(number);
        }
        self.wake_cluster_watchers();
    }

    pub(crate) fn end_by_deadline(&mut self, number: u64) {
        let end = PodEnd::Failed { exit_code: None, reason: Some("DeadlineExceeded") };
        let stop = self.nature.between(STOP.0, STOP.1);
        self.after(Duration::from_secs(1) + stop, Event::ContainerEnd(number, end));
    }

    /// Somebody deletes a pod and its secret.
    pub(crate) fn delete_pod(&mut self, name: &WorkerName, grace: Grace) {
        self.blame_if_busy(name, "deleted");
        self.boards.secrets.remove(name);
        let Some(pod) = self.boards.pods.get_mut(name) else { return };
        let number = pod.number;
        let no_kubelet = pod.pod.node.is_none() || !pod.pod.holds_slot();
        let first = !pod.pod.deleting;
        pod.pod.deleting = true;
        self.trace.line(format_args!("pod {name} deleted {grace:?}"));
        if no_kubelet || grace == Grace::Zero {
            self.forget_pod(number);
        } else if first {
            self.within(STOP.0, STOP.1, Event::Deleted(number));
        }
        self.wake_cluster_watchers();
    }

    /// A deleted pod's containers have ended; a dead kubelet never says so.
    pub(crate) fn deleted(&mut self, number: u64) {
        let node = self.boards.numbered(number).and_then(|pod| pod.pod.node.clone());
        if node.is_some_and(|node| self.boards.is_alive(&node)) {
            self.forget_pod(number);
            self.wake_cluster_watchers();
        }
    }

    /// A pod leaves the API.
    pub(crate) fn forget_pod(&mut self, number: u64) {
        let Some(pod) = self.boards.remove(number) else { return };
        if let Some(runner) = pod.runner {
            self.disconnect(runner);
        }
        self.trace.line(format_args!("pod {} gone", pod.pod.name));
        self.bind_soon();
    }

    fn blame_if_busy(&mut self, name: &WorkerName, deed: &str) {
        if let Some(violation) = laws::spares_busy_runners(self, name, deed) {
            self.violated(violation);
        }
    }
}
