//! Plays scheduler and kubelets without being told each step: pods are bound, started and ended as
//! their behaviour says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    pin::pin,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    ResourceExt,
    runtime::watcher::{self, Event, watcher},
};
use tokio::{task::AbortHandle, time::Instant};

use super::{Kubelet, KubeletError};

const RUNNER_RESOURCE: &str = "riseproject.com/runner";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// A step that the server refused, or that found no node, is tried again after this long.
const AGAIN: Duration = Duration::from_millis(50);

/// What becomes of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// How long the scheduler takes.
    pub bind_after: Duration,
    /// How long the node takes to start the container.
    pub start_after: Duration,
    /// What happens then.
    pub course: Course,
}

/// What happens to a pod on its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    /// It runs until it is killed.
    RunOn,
    /// It runs for a while and ends.
    RunFor(Duration, i32),
    /// Its container never starts, e.g. for `ImagePullBackOff`.
    Stuck(&'static str),
    /// The scheduler finds no node for it.
    NeverScheduled,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { bind_after: Duration::ZERO, start_after: Duration::ZERO, course: Course::RunOn }
    }
}

/// Plays until it is dropped.
#[derive(Debug)]
pub struct Autopilot(AbortHandle);

impl Drop for Autopilot {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Kubelet {
    /// Plays on its own from now on; `behave` tells what becomes of the pod of a name. Pods on
    /// unreachable nodes are left as they are.
    #[must_use]
    pub fn autopilot(&self, behave: impl Fn(&str) -> Behaviour + Send + 'static) -> Autopilot {
        let pilot = Pilot {
            kubelet: self.clone(),
            behave,
            pods: BTreeMap::new(),
            nodes: BTreeMap::new(),
            since: BTreeMap::new(),
            done: BTreeSet::new(),
        };
        Autopilot(tokio::spawn(pilot.fly()).abort_handle())
    }
}

/// What is to be done next about a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Bind,
    RefuseToSchedule,
    Wait(&'static str),
    Start,
    End(i32),
    EnforceDeadline,
    Release,
}

struct Pilot<F> {
    kubelet: Kubelet,
    behave: F,
    pods: BTreeMap<String, Pod>,
    nodes: BTreeMap<String, Node>,
    /// Since when a step has been due, by uid.
    since: BTreeMap<(String, Step), Instant>,
    done: BTreeSet<(String, Step)>,
}

impl<F: Fn(&str) -> Behaviour + Send> Pilot<F> {
    async fn fly(mut self) {
        let config = watcher::Config::default();
        let mut pods = pin!(watcher(self.kubelet.pods.clone(), config.clone()));
        let mut nodes = pin!(watcher(self.kubelet.nodes.clone(), config));
        loop {
            let next = self.play().await;
            tokio::select! {
                Some(event) = pods.next() => note(&mut self.pods, event).await,
                Some(event) = nodes.next() => note(&mut self.nodes, event).await,
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Takes every step that is due, and says when the next one will be.
    async fn play(&mut self) -> Instant {
        let mut next = Instant::now() + Duration::from_secs(3600);
        let names: Vec<String> = self.pods.keys().cloned().collect();
        for name in names {
            let Some(pod) = self.pods.get(&name) else { continue };
            if self.is_unreachable(pod) {
                continue;
            }
            let Some((step, delay)) = next_step(pod, &(self.behave)(&name)) else { continue };
            let key = (pod.uid().unwrap_or_default(), step.clone());
            if self.done.contains(&key) {
                continue;
            }
            let due = *self.since.entry(key.clone()).or_insert_with(Instant::now) + delay;
            if due > Instant::now() {
                next = next.min(due);
                continue;
            }
            match self.take(&name, step).await {
                Ok(true) => drop(self.done.insert(key)),
                Ok(false) | Err(_) => next = next.min(Instant::now() + AGAIN),
            }
        }
        next
    }

    /// Takes one step; `false` if it was not possible yet.
    async fn take(&mut self, name: &str, step: Step) -> Result<bool, KubeletError> {
        match step {
            Step::Bind => {
                let Some(node) = self.free_node(name) else { return Ok(false) };
                self.kubelet.bind(name, &node).await?;
                if let Some(spec) = self.pods.get_mut(name).and_then(|pod| pod.spec.as_mut()) {
                    spec.node_name = Some(node);
                }
            }
            Step::RefuseToSchedule => {
                self.kubelet.refuse_to_schedule(name, "0/0 nodes are available").await?;
            }
            Step::Wait(reason) => self.kubelet.wait(name, reason).await?,
            Step::Start => self.kubelet.start(name).await?,
            Step::End(exit_code) => self.kubelet.end(name, exit_code).await?,
            Step::EnforceDeadline => self.kubelet.enforce_deadline(name).await?,
            Step::Release => self.kubelet.release(name).await?,
        }
        Ok(true)
    }

    fn is_unreachable(&self, pod: &Pod) -> bool {
        let node = node_of(pod).and_then(|node| self.nodes.get(node));
        node.is_some_and(is_tainted)
    }

    /// The first node that fits the pod and has a slot left.
    fn free_node(&self, pod: &str) -> Option<String> {
        let spec = self.pods.get(pod)?.spec.as_ref()?;
        let avoided = super::stage::avoided(spec);
        let wanted = spec.node_selector.clone().unwrap_or_default();
        let fits = |name: &str, node: &Node| {
            accepts_pods(node)
                && wanted.iter().all(|(key, value)| node.labels().get(key) == Some(value))
                && !avoided.iter().any(|node| node.as_str() == name)
        };
        let taken = |name: &str| {
            let here = self.pods.values().filter(|pod| node_of(pod) == Some(name) && !is_over(pod));
            here.count()
        };
        let mut free = self.nodes.iter().filter(|(name, node)| fits(name, node) && taken(name) < slots(node));
        free.next().map(|(name, _)| name.clone())
    }
}

async fn note<K: ResourceExt + Debug>(known: &mut BTreeMap<String, K>, event: watcher::Result<Event<K>>) {
    match event {
        Ok(Event::Init) => known.clear(),
        Ok(Event::Apply(object) | Event::InitApply(object)) => {
            known.insert(object.name_any(), object);
        }
        Ok(Event::Delete(object)) => {
            known.remove(&object.name_any());
        }
        Ok(Event::InitDone) => {}
        Err(_) => tokio::time::sleep(AGAIN).await,
    }
}

/// What a scheduler and a kubelet would do next about a pod, and how long they take.
fn next_step(pod: &Pod, behaviour: &Behaviour) -> Option<(Step, Duration)> {
    if is_over(pod) {
        return None;
    }
    let bound = node_of(pod).is_some();
    if bound && pod.metadata.deletion_timestamp.is_some() {
        return Some((Step::Release, Duration::ZERO));
    }
    if bound && pod.spec.as_ref()?.active_deadline_seconds == Some(1) {
        return Some((Step::EnforceDeadline, Duration::ZERO));
    }
    let running = phase(pod) == Some("Running");
    match &behaviour.course {
        Course::NeverScheduled if !bound => Some((Step::RefuseToSchedule, behaviour.bind_after)),
        Course::NeverScheduled => None,
        _ if !bound => Some((Step::Bind, behaviour.bind_after)),
        Course::Stuck(reason) => Some((Step::Wait(reason), behaviour.start_after)),
        Course::RunOn | Course::RunFor(..) if !running => Some((Step::Start, behaviour.start_after)),
        Course::RunFor(lasting, exit_code) => Some((Step::End(*exit_code), *lasting)),
        Course::RunOn => None,
    }
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

fn is_over(pod: &Pod) -> bool {
    matches!(phase(pod), Some("Succeeded" | "Failed"))
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn is_tainted(node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.into_iter().any(|taint| taint.key == UNREACHABLE)
}

fn accepts_pods(node: &Node) -> bool {
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready =
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && !cordoned && !is_tainted(node)
}

fn slots(node: &Node) -> usize {
    let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    allocatable
        .and_then(|table| table.get(RUNNER_RESOURCE))
        .and_then(|quantity| quantity.0.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(node: Option<&str>, phase: &str, deadline: i64, deleted: bool) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "p", "deletionTimestamp": deleted.then_some("2026-01-01T00:00:00Z") },
            "spec": { "containers": [], "nodeName": node, "activeDeadlineSeconds": deadline },
            "status": { "phase": phase },
        }))
        .unwrap()
    }

    fn step(pod: &Pod, course: Course) -> Option<Step> {
        next_step(pod, &Behaviour { course, ..Behaviour::default() }).map(|(step, _)| step)
    }

    #[test]
    fn a_pod_goes_its_course() {
        assert_eq!(step(&pod(None, "Pending", 60, false), Course::RunOn), Some(Step::Bind));
        assert_eq!(step(&pod(Some("n"), "Pending", 60, false), Course::RunOn), Some(Step::Start));
        assert_eq!(step(&pod(Some("n"), "Running", 60, false), Course::RunOn), None);
        let ending = Course::RunFor(Duration::ZERO, 7);
        assert_eq!(step(&pod(Some("n"), "Running", 60, false), ending.clone()), Some(Step::End(7)));
        assert_eq!(step(&pod(Some("n"), "Failed", 60, false), ending), None);
        assert_eq!(step(&pod(Some("n"), "Pending", 60, false), Course::Stuck("x")), Some(Step::Wait("x")));
        assert_eq!(
            step(&pod(None, "Pending", 60, false), Course::NeverScheduled),
            Some(Step::RefuseToSchedule)
        );
    }

    #[test]
    fn only_a_bound_pod_has_a_kubelet_to_end_it() {
        assert_eq!(step(&pod(Some("n"), "Running", 1, false), Course::RunOn), Some(Step::EnforceDeadline));
        assert_eq!(step(&pod(Some("n"), "Running", 60, true), Course::RunOn), Some(Step::Release));
        assert_eq!(
            step(&pod(None, "Pending", 1, false), Course::NeverScheduled),
            Some(Step::RefuseToSchedule)
        );
    }
}
