//! A cluster adapter in front of a double, for the tests of this crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use riscv_runner_core::{
    engine::wake::Wake,
    ids::{EntityId, Epoch, ImageRef, InstallationId, Login, PoolName, WorkerName},
    labels::LabelSet,
    ports::{Cluster, JitConfig, LeaderProof, Platform, PodMap, PodRequest},
    scope::{ScopeRef, Target},
};
use riscv_runner_k8s::{
    ClusterOptions, Connection, KubeCluster, KubeconfigSource, PodTemplate, PoolTemplate, PoolTemplates,
    RIGHTS, connect,
};
use riscv_runner_sim::doubles::kube::{KubeDouble, Kubelet};

/// The time of this machine.
pub(crate) struct RealTime;

impl Platform for RealTime {
    #[expect(clippy::disallowed_methods, reason = "the edge of a test")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }

    fn seed(&self) -> u64 {
        7
    }
}

pub(crate) fn started(connection: &Connection, options: ClusterOptions, wakes: &[Wake]) -> KubeCluster {
    KubeCluster::start(connection, templates(), options, Arc::new(RealTime), wakes)
}

pub(crate) fn proof() -> LeaderProof {
    LeaderProof::issued_by_lease_store(Epoch::new(1).unwrap(), Timestamp::MAX)
}

pub(crate) fn pool() -> PoolName {
    PoolName::new("k1").unwrap()
}

pub(crate) fn templates() -> PoolTemplates {
    let node_selector = BTreeMap::from([("riseproject.dev/board".to_owned(), "spacemit-k1".to_owned())]);
    BTreeMap::from([(pool(), PoolTemplate { node_selector, template: PodTemplate::default() })])
}

pub(crate) fn request(name: &str) -> PodRequest {
    PodRequest {
        name: WorkerName::new(name).unwrap(),
        pool: pool(),
        image: ImageRef::new("ghcr.io/example/runner:24.04").unwrap(),
        scope: ScopeRef {
            installation: InstallationId::new(11).unwrap(),
            entity: EntityId::new(22).unwrap(),
            login: Login::new("Riscv-Org").unwrap(),
            target: Target::Organization,
        },
        labels: LabelSet::new(["ubuntu-24.04-riscv"]).unwrap(),
        avoid: BTreeSet::new(),
    }
}

pub(crate) fn jit() -> JitConfig {
    JitConfig::from("the-jit-configuration".to_owned())
}

pub(crate) async fn connection(kubeconfig: &str, namespace: &str) -> Connection {
    let source = KubeconfigSource::Text(kubeconfig.to_owned().into());
    connect(&source, None, Some(namespace)).await.unwrap()
}

/// The adapter, the double behind it, and the kubelet beside it.
pub(crate) struct Fixture {
    pub(crate) double: KubeDouble,
    pub(crate) kubelet: Kubelet,
    pub(crate) cluster: Arc<KubeCluster>,
    pub(crate) wake: Wake,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let options =
            ClusterOptions { call_timeout: Duration::from_secs(5), stale_after: Duration::from_millis(300) };
        Self::with(options).await
    }

    pub(crate) async fn with(options: ClusterOptions) -> Self {
        let double = KubeDouble::start().await.unwrap();
        double
            .allow_only("default", RIGHTS.iter().map(|right| (right.verb, right.resource, right.namespaced)));
        let kubelet = Kubelet::connect(&double.kubeconfig(), "default").await.unwrap();
        let wake = Wake::default();
        let connection = connection(&double.kubeconfig(), "default").await;
        let cluster = started(&connection, options, std::slice::from_ref(&wake));
        Self { double, kubelet, cluster: Arc::new(cluster), wake }
    }

    pub(crate) async fn pods(&self) -> PodMap {
        self.cluster.pods().await.unwrap()
    }

    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.double.violations(), Vec::<String>::new());
    }
}

/// Looks until it holds, within a bound.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "it was not seen in time that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
