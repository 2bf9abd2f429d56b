//! What every cluster must do for the engine: the checks know the port and a [`Stage`] that plays
//! scheduler and kubelet, and nothing of the cluster behind them.

mod creating;
mod ending;
mod enrolling;
mod observing;

use std::{collections::BTreeSet, error::Error, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::BoxFuture;
use riscv_runner_core::{
    ids::{EntityId, ImageRef, InstallationId, Login, NodeName, PoolName, WorkerName},
    labels::LabelSet,
    pod::{Node, Pod, PodPhase},
    ports::{Cluster, CreatedPod, JitConfig, LeaderProof, Platform, PodRequest},
    scope::{ScopeRef, Target},
};

/// The result of playing a part.
pub type Played<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Plays what is not the API: the scheduler, the kubelets and other people, by patching objects as
/// they would.
#[async_trait]
pub trait Stage: Send + Sync {
    /// Makes the machine look like this, whether or not it is there already. Times may be cut to
    /// whole seconds.
    async fn set_node(&self, node: &Node) -> Played;
    /// Takes the machine away.
    async fn remove_node(&self, node: &NodeName) -> Played;
    /// The scheduler puts the pod on the node.
    async fn bind(&self, pod: &WorkerName, node: &NodeName) -> Played;
    /// The pod's container waits for this reason.
    async fn wait(&self, pod: &WorkerName, reason: &str) -> Played;
    /// The pod's container starts.
    async fn start(&self, pod: &WorkerName) -> Played;
    /// The pod's container ends, and the pod with it.
    async fn end(&self, pod: &WorkerName, exit_code: i32) -> Played;
    /// The kubelet lets a pod go that was deleted.
    async fn release(&self, pod: &WorkerName) -> Played;
    /// The cluster records an event about the pod.
    async fn event(&self, pod: &WorkerName, reason: &str, message: &str) -> Played;
    /// Somebody else creates a pod of this name.
    async fn foreign_pod(&self, name: &WorkerName) -> Played;
    /// What there is of a pod of this name, whoever made it.
    async fn facts(&self, pod: &WorkerName) -> Played<Option<PodFacts>>;
    /// The JIT configuration in the secret of this name.
    async fn secret(&self, name: &WorkerName) -> Played<Option<String>>;
}

/// What the port does not tell about a pod, but a kubelet would see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// The JIT configuration that its runner would get through the reference in the pod.
    pub jit: Option<String>,
    /// Whether the pod itself holds the JIT configuration, for everybody who may read pods.
    pub jit_in_the_open: bool,
    /// Whether the kubelet was told to end it.
    pub killed: bool,
    /// Nodes that it must not use.
    pub avoided: BTreeSet<NodeName>,
}

/// What is checked, and with what.
pub struct Subject {
    /// The cluster under test.
    pub cluster: Arc<dyn Cluster>,
    /// Who plays the rest.
    pub stage: Arc<dyn Stage>,
    /// Time, for bounded waits.
    pub platform: Arc<dyn Platform>,
    /// What names of workers and nodes begin with; nobody else in the cluster uses it.
    pub prefix: String,
    /// A pool that the cluster has a template for.
    pub pool: PoolName,
    /// The right to change something.
    pub proof: LeaderProof,
}

/// One law.
pub type Check = for<'a> fn(&'a Subject) -> BoxFuture<'a, ()>;

/// Every law with its name. Each may run alone and in any order; each panics when it is broken.
pub const CHECKS: &[(&str, Check)] = &[
    ("a_pod_just_created_is_listed", creating::a_pod_just_created_is_listed),
    ("create_may_be_repeated", creating::create_may_be_repeated),
    ("the_jit_configuration_is_in_the_secret_alone", creating::the_jit_configuration_is_in_the_secret_alone),
    ("a_repeated_create_brings_its_own_jit_configuration", creating::a_repeated_create_brings_its_own_jit),
    ("somebody_elses_pod_is_left_alone", creating::somebody_elses_pod_is_left_alone),
    ("a_lease_that_has_ended_changes_nothing", creating::a_lease_that_has_ended_changes_nothing),
    ("nodes_to_avoid_are_avoided", creating::nodes_to_avoid_are_avoided),
    ("phases_are_told", observing::phases_are_told),
    ("a_failure_has_its_exit_code", observing::a_failure_has_its_exit_code),
    ("machines_are_told", observing::machines_are_told),
    ("a_failed_pod_can_be_diagnosed", observing::a_failed_pod_can_be_diagnosed),
    ("diagnosing_what_is_not_there_does_not_fail", observing::diagnosing_what_is_not_there_does_not_fail),
    ("advertised_slots_are_seen", enrolling::advertised_slots_are_seen),
    ("a_node_that_is_not_there_has_no_slots", enrolling::a_node_that_is_not_there_has_no_slots),
    ("a_kill_tells_the_kubelet", ending::a_kill_tells_the_kubelet),
    ("only_the_pod_meant_is_killed", ending::only_the_pod_meant_is_killed),
    ("only_the_pod_meant_is_deleted", ending::only_the_pod_meant_is_deleted),
    ("a_deleted_pod_takes_its_secret_with_it", ending::a_deleted_pod_takes_its_secret_with_it),
    ("a_deleted_pod_stays_until_its_kubelet_lets_it_go", ending::a_deleted_pod_stays_until_released),
    ("a_secret_may_be_deleted_twice", ending::a_secret_may_be_deleted_twice),
];

/// Runs every check, one after the other.
pub async fn check_all(subject: &Subject) {
    for (name, check) in CHECKS {
        tracing::debug!(name, "cluster contract");
        check(subject).await;
    }
}

/// How often something awaited is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often at most: 20 s in all.
const LOOKS: u32 = 2_000;

impl Subject {
    fn name(&self, suffix: &str) -> WorkerName {
        WorkerName::new(format!("{}{suffix}", self.prefix)).expect("prefix and suffix make a worker's name")
    }

    fn node(&self, suffix: &str) -> Node {
        Node {
            name: NodeName::new(format!("{}{suffix}", self.prefix)).expect("a node's name"),
            labels: [("riseproject.dev/board".to_owned(), "spacemit-k1".to_owned())].into(),
            ready: true,
            cordoned: false,
            unreachable_since: None,
            slots: 1,
        }
    }

    fn request(&self, suffix: &str) -> PodRequest {
        PodRequest {
            name: self.name(suffix),
            pool: self.pool.clone(),
            image: ImageRef::new("ghcr.io/example/runner:24.04").expect("an image"),
            scope: ScopeRef {
                installation: InstallationId::new(11).expect("an id"),
                entity: EntityId::new(22).expect("an id"),
                login: Login::new("Riscv-Org").expect("a login"),
                target: Target::Organization,
            },
            labels: LabelSet::new(["ubuntu-24.04-riscv", "RVA23"]).expect("labels"),
            avoid: BTreeSet::new(),
        }
    }

    async fn created(&self, request: &PodRequest) -> CreatedPod {
        self.created_with(request, "jit-of-the-first").await
    }

    async fn created_with(&self, request: &PodRequest, jit: &str) -> CreatedPod {
        let jit = JitConfig::from(jit.to_owned());
        self.cluster.create(&self.proof, request, &jit).await.expect("the pod is created")
    }

    async fn listed(&self, name: &WorkerName) -> Option<Pod> {
        self.cluster.pods().await.expect("pods can be observed").get(name).cloned()
    }

    async fn facts(&self, name: &WorkerName) -> Option<PodFacts> {
        self.stage.facts(name).await.expect("the pod can be looked at")
    }

    /// A pod that runs on a node of its own.
    async fn running(&self, suffix: &str) -> (PodRequest, CreatedPod, Node) {
        let (request, node) = (self.request(suffix), self.node(suffix));
        let created = self.created(&request).await;
        self.stage.set_node(&node).await.expect("the node is there");
        self.stage.bind(&request.name, &node.name).await.expect("the pod is bound");
        self.stage.start(&request.name).await.expect("the container starts");
        self.pod_becomes(&request.name, "running", |pod| matches!(pod.phase, PodPhase::Running { .. })).await;
        (request, created, node)
    }

    async fn pod_becomes(&self, name: &WorkerName, what: &str, holds: impl Fn(&Pod) -> bool) -> Pod {
        let look = async || self.listed(name).await.filter(&holds);
        self.eventually(&format!("{name} becomes {what}"), look).await
    }

    /// Looks until there is something, within a bound.
    async fn eventually<T, F: Future<Output = Option<T>>>(&self, what: &str, look: impl Fn() -> F) -> T {
        for _ in 0..LOOKS {
            if let Some(found) = look().await {
                return found;
            }
            self.platform.sleep(LOOK_EVERY).await;
        }
        panic!("it was not seen in time that {what}");
    }

    /// Leaves nothing behind.
    async fn clean(&self, request: &PodRequest, node: Option<&Node>) {
        use riscv_runner_core::ports::Grace;
        if let Some(pod) = self.listed(&request.name).await {
            let deleted = self.cluster.delete(&self.proof, &request.name, &pod.uid, Grace::Zero).await;
            deleted.expect("the pod is deleted");
        }
        if let Some(node) = node {
            self.stage.remove_node(&node.name).await.expect("the node is removed");
        }
    }
}
