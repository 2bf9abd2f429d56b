//! The core's `Cluster` port on Kubernetes: observations come from watches, changes are single calls
//! whose answers are merged into what the watches show. Nothing is decided or retried here.

mod secrets;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use k8s_openapi::api::core::v1 as core;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::PartialObjectMeta,
};
use riscv_runner_core::{
    engine::wake::Wake,
    failure::Diagnostics,
    ids::{NodeName, PodUid, PoolName, WorkerName},
    pod::{Node, Pod},
    ports::{
        Cluster, CreatedPod, Grace, JitConfig, LeaderProof, NodeMap, Platform, PodMap, PodRequest, PortError,
        PortErrorKind, PortResult, SecretObject,
    },
};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    api_error::{ApiError, within},
    connect::Connection,
    failure_info,
    names::{APP_LABEL, APP_VALUE, MANAGED_BY_LABEL, MANAGED_BY_VALUE, ours},
    pod_spec::{identity, runner_pod, runner_secret},
    pod_template::{PoolTemplate, PoolTemplates},
    read_node::{is_board, read_node},
    read_pod::{KILL_DEADLINE_SECONDS, read_pod},
    view::{Blind, Seen},
    watch::Watched,
};

/// The adapter's time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterOptions {
    /// How long one call may take, and how long an observation waits for the first listing.
    pub call_timeout: Duration,
    /// How long a broken watch's view is still trusted.
    pub stale_after: Duration,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { call_timeout: Duration::from_secs(10), stale_after: Duration::from_secs(30) }
    }
}

/// A node, and whether it is a board of ours.
#[derive(Debug, Clone, PartialEq)]
struct Machine {
    node: Node,
    board: bool,
}

/// The cluster as the engine needs it. Watches run until it is dropped.
pub struct KubeCluster {
    client: kube::Client,
    namespace: String,
    options: ClusterOptions,
    platform: Arc<dyn Platform>,
    templates: RwLock<Arc<PoolTemplates>>,
    pods: Watched<WorkerName, Pod>,
    nodes: Watched<NodeName, Machine>,
    _watches: JoinSet<()>,
}

impl KubeCluster {
    /// Starts watching; `wakes` are woken whenever a pod or a node changes. `platform` shows whether a lease
    /// has ended. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(
        connection: &Connection,
        templates: PoolTemplates,
        options: ClusterOptions,
        platform: Arc<dyn Platform>,
        wakes: &[Wake],
    ) -> Self {
        let (client, namespace) = (connection.client.clone(), connection.namespace.clone());
        let wakes: Arc<[Wake]> = wakes.into();
        let pod_api = Api::namespaced(client.clone(), &namespace);
        let (pods, pod_watch) = Watched::new(pod_api, Some(ours()), reduce_pod, Arc::clone(&wakes));
        let (nodes, node_watch) = Watched::new(Api::all(client.clone()), None, reduce_node, wakes);
        let mut watches = JoinSet::new();
        watches.spawn(pod_watch);
        watches.spawn(node_watch);
        let templates = RwLock::new(Arc::new(templates));
        Self { client, namespace, options, platform, templates, pods, nodes, _watches: watches }
    }

    /// Replaces the templates; pods created from now on follow them.
    pub fn replace_templates(&self, templates: PoolTemplates) {
        *self.templates.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(templates);
    }

    pub(crate) const fn client(&self) -> &kube::Client {
        &self.client
    }

    /// Right before every request that changes something.
    pub(crate) fn guard(&self, proof: &LeaderProof, operation: &'static str) -> PortResult<()> {
        proof.guard(self.platform.now(), operation)
    }

    pub(crate) const fn call_timeout(&self) -> Duration {
        self.options.call_timeout
    }

    fn template(&self, pool: &PoolName) -> PortResult<PoolTemplate> {
        let templates = Arc::clone(&self.templates.read().unwrap_or_else(PoisonError::into_inner));
        templates.get(pool).cloned().ok_or_else(|| {
            let detail = format!("pool {pool} has no pod template; add it to [[pools]]");
            PortError::new(PortErrorKind::Denied, "create pod", detail)
        })
    }

    fn pod_api(&self) -> Api<core::Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn secret_api(&self) -> Api<core::Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn within<T: Send>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>> + Send,
    ) -> Result<T, ApiError> {
        within(self.options.call_timeout, call).await
    }

    /// Merges the answer to one of our writes into the view.
    fn record(&self, pod: &core::Pod) {
        if let Some((name, seen)) = reduce_pod(pod) {
            self.pods.write().wrote(name, seen, Instant::now());
        }
    }

    fn forget(&self, name: &WorkerName, uid: &PodUid) {
        self.pods.write().delete(name, uid.as_str(), Instant::now());
    }

    /// A pod of the wanted name exists: is it the one that we would have created?
    async fn adopt_existing(
        &self,
        proof: &LeaderProof,
        request: &PodRequest,
        secret_uid: Option<String>,
    ) -> PortResult<CreatedPod> {
        let name = &request.name;
        let there = self.within(self.pod_api().get(name.as_str())).await.map_err(|error| {
            error.into_port("create pod", format!("pod {name} existed and cannot be read"))
        })?;
        let wanted = identity(request);
        let same = read_pod(&there).ok().filter(|pod| {
            pod.identity.as_ref().is_some_and(|found| {
                (found.scope.scope(), &found.labels, &found.pool)
                    == (wanted.scope.scope(), &wanted.labels, &wanted.pool)
            })
        });
        match same.filter(|_| carries_our_labels(&there)) {
            Some(pod) => {
                self.record(&there);
                Ok(CreatedPod { uid: pod.uid })
            }
            None => {
                self.take_back_secret(proof, name, secret_uid).await;
                let detail = format!("pod {name} exists and is not this worker's; it is left as it is");
                Err(PortError::new(PortErrorKind::Conflict, "create pod", detail))
            }
        }
    }
}

#[async_trait]
impl Cluster for KubeCluster {
    async fn nodes(&self) -> PortResult<NodeMap> {
        self.nodes.synchronised(self.options.call_timeout).await;
        let (now, bound) = (Instant::now(), self.options.stale_after);
        let machines =
            self.nodes.read().read(now, bound).map_err(|blind| blinded("observe nodes", &blind))?;
        // A node that one of our pods is on must never look gone, whatever it advertises.
        let pods = self.pods.read().read(now, bound).ok();
        let used = |name: &NodeName| {
            pods.as_ref().is_none_or(|pods| pods.values().any(|pod| pod.node.as_ref() == Some(name)))
        };
        let boards = machines.into_iter().filter(|(name, machine)| machine.board || used(name));
        Ok(boards.map(|(name, machine)| (name, machine.node)).collect())
    }

    async fn pods(&self) -> PortResult<PodMap> {
        self.pods.synchronised(self.options.call_timeout).await;
        let view = self.pods.read().read(Instant::now(), self.options.stale_after);
        view.map_err(|blind| blinded("observe pods", &blind))
    }

    async fn secrets(&self) -> PortResult<Vec<SecretObject>> {
        // Metadata alone: the content of a secret is nobody's business but its pod's.
        let api: Api<PartialObjectMeta<core::Secret>> = Api::namespaced(self.client.clone(), &self.namespace);
        let selector = format!("{},{MANAGED_BY_LABEL}={MANAGED_BY_VALUE}", ours());
        let listing = self
            .within(api.list(&ListParams::default().labels(&selector)))
            .await
            .map_err(|error| error.into_port("list secrets", format!("namespace {}", self.namespace)))?;
        let secret = |meta: PartialObjectMeta<core::Secret>| {
            let created = meta.metadata.creation_timestamp.as_ref()?.0;
            Some(SecretObject { name: WorkerName::new(meta.name_any()).ok()?, created_at: created })
        };
        Ok(listing.items.into_iter().filter_map(secret).collect())
    }

    async fn create(
        &self,
        proof: &LeaderProof,
        request: &PodRequest,
        jit: &JitConfig,
    ) -> PortResult<CreatedPod> {
        let pool = self.template(&request.pool)?;
        let secret_uid = self.put_secret(proof, &runner_secret(request, &pool, jit)).await?;
        let pod = runner_pod(request, &pool);
        self.guard(proof, "create pod")?;
        match self.within(self.pod_api().create(&PostParams::default(), &pod)).await {
            Ok(pod) => {
                self.record(&pod);
                let uid = pod.uid().and_then(|uid| PodUid::new(uid).ok());
                uid.map(|uid| CreatedPod { uid }).ok_or_else(|| {
                    let detail = format!("the answer for pod {} has no uid", request.name);
                    PortError::new(PortErrorKind::Bug, "create pod", detail)
                })
            }
            Err(error) if error.is_already_exists() => self.adopt_existing(proof, request, secret_uid).await,
            Err(error) => {
                if error.is_certain() {
                    self.take_back_secret(proof, &request.name, secret_uid).await;
                }
                Err(error.into_port("create pod", format!("pod {}", request.name)))
            }
        }
    }

    async fn kill(&self, proof: &LeaderProof, name: &WorkerName, uid: &PodUid) -> PortResult<()> {
        let ended = self
            .pods
            .read()
            .get(name)
            .is_some_and(|seen| seen.uid == uid.as_str() && seen.value.phase.ended_at().is_some());
        if ended {
            return Ok(());
        }
        self.guard(proof, "kill pod")?;
        let patch = Patch::Merge(json!({
            "metadata": { "uid": uid },
            "spec": { "activeDeadlineSeconds": KILL_DEADLINE_SECONDS },
        }));
        match self.within(self.pod_api().patch(name.as_str(), &PatchParams::default(), &patch)).await {
            Ok(pod) => {
                self.record(&pod);
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) if error.is_other_object() => Err(other_pod("kill pod", name, uid, error)),
            Err(error) => Err(error.into_port("kill pod", format!("pod {name}"))),
        }
    }

    async fn delete(
        &self,
        proof: &LeaderProof,
        name: &WorkerName,
        uid: &PodUid,
        grace: Grace,
    ) -> PortResult<()> {
        let params = DeleteParams {
            grace_period_seconds: match grace {
                Grace::Default => None,
                Grace::Zero => Some(0),
            },
            preconditions: Some(Preconditions { uid: Some(uid.to_string()), resource_version: None }),
            ..DeleteParams::default()
        };
        self.guard(proof, "delete pod")?;
        match self.within(self.pod_api().delete(name.as_str(), &params)).await {
            Ok(answer) => match answer.left().filter(is_ending) {
                Some(pod) => self.record(&pod),
                None => self.forget(name, uid),
            },
            Err(error) if error.is_not_found() => self.forget(name, uid),
            Err(error) if error.is_other_object() => return Err(other_pod("delete pod", name, uid, error)),
            Err(error) => return Err(error.into_port("delete pod", format!("pod {name}"))),
        }
        self.delete_secret(proof, name).await
    }

    async fn delete_secret(&self, proof: &LeaderProof, name: &WorkerName) -> PortResult<()> {
        self.guard(proof, "delete secret")?;
        match self.within(self.secret_api().delete(name.as_str(), &DeleteParams::default())).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into_port("delete secret", format!("secret {name}"))),
        }
    }

    async fn diagnose(&self, name: &WorkerName) -> Diagnostics {
        failure_info::collect(&self.client, &self.namespace, name, self.options.call_timeout).await
    }
}

/// Whether a deleted pod is still there until its kubelet, or a finalizer, lets it go.
fn is_ending(pod: &core::Pod) -> bool {
    let metadata = &pod.metadata;
    let graceful = metadata.deletion_timestamp.is_some() && metadata.deletion_grace_period_seconds != Some(0);
    graceful || !pod.finalizers().is_empty()
}

fn carries_our_labels(object: &impl Resource) -> bool {
    let labels = object.meta().labels.as_ref();
    [(APP_LABEL, APP_VALUE), (MANAGED_BY_LABEL, MANAGED_BY_VALUE)]
        .into_iter()
        .all(|(key, value)| labels.is_some_and(|labels| labels.get(key).is_some_and(|found| found == value)))
}

fn blinded(operation: &'static str, blind: &Blind) -> PortError {
    PortError::new(PortErrorKind::Transient, operation, blind.to_string())
}

fn other_pod(operation: &'static str, name: &WorkerName, uid: &PodUid, error: ApiError) -> PortError {
    let detail = format!("pod {name} is not the one with uid {uid}, or it changed meanwhile; look again");
    PortError::new(PortErrorKind::Conflict, operation, detail).with_source(error)
}

fn version(object: &impl Resource) -> u64 {
    object.meta().resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

fn reduce_pod(pod: &core::Pod) -> Option<(WorkerName, Seen<Pod>)> {
    match read_pod(pod) {
        Ok(read) => {
            let seen = Seen { uid: read.uid.as_str().to_owned(), version: version(pod), value: read };
            Some((seen.value.name.clone(), seen))
        }
        Err(error) => {
            tracing::debug!(pod = pod.name_any(), %error, "a pod with our label is not a worker's");
            None
        }
    }
}

fn reduce_node(node: &core::Node) -> Option<(NodeName, Seen<Machine>)> {
    let value = Machine { node: read_node(node)?, board: is_board(node) };
    Some((
        value.node.name.clone(),
        Seen { uid: node.uid().unwrap_or_default(), version: version(node), value },
    ))
}
