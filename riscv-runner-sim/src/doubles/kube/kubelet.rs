//! Plays scheduler and kubelets, only by what they would send to the API: so it works on the double
//! and on a bare real API server alike.

use std::{collections::BTreeMap, error::Error};

use axum::http::HeaderValue;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod, Secret, ServiceAccount};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{objects::stamp, rights::PLAYER_HEADER};

/// What stands in the way of playing.
pub type KubeletError = Box<dyn Error + Send + Sync>;

/// Kubernetes' word for "already there".
const CONFLICT: u16 = 409;

/// A machine to be registered.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its extended resource, `riseproject.com/runner`; without one it has no device plugin.
    pub slots: Option<u32>,
    /// Whether its kubelet says that it is ready.
    pub ready: bool,
    /// Whether it is cordoned.
    pub cordoned: bool,
    /// Since when it is tainted as unreachable.
    pub unreachable_since: Option<Timestamp>,
}

impl NodeSpec {
    /// A ready machine with one slot and this value of `riseproject.dev/board`.
    #[must_use]
    pub fn board(name: &str, board: &str) -> Self {
        Self {
            name: name.to_owned(),
            labels: BTreeMap::from([("riseproject.dev/board".to_owned(), board.to_owned())]),
            slots: Some(1),
            ready: true,
            cordoned: false,
            unreachable_since: None,
        }
    }
}

/// Plays scheduler and kubelets in one namespace.
#[derive(Clone)]
pub struct Kubelet {
    pub(super) pods: Api<Pod>,
    pub(super) nodes: Api<Node>,
    pub(super) secrets: Api<Secret>,
    events: Api<Event>,
}

impl Kubelet {
    /// Connects with a kubeconfig given as YAML, and sees to it that the namespace is there.
    ///
    /// # Errors
    /// A kubeconfig that is not one, or a server that does not take the namespace.
    pub async fn connect(kubeconfig: &str, namespace: &str) -> Result<Self, KubeletError> {
        let kubeconfig = Kubeconfig::from_yaml(kubeconfig)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        config.headers.push((PLAYER_HEADER, HeaderValue::from_static("kubelet")));
        let client = Client::try_from(config)?;
        ensure(&Api::<Namespace>::all(client.clone()), namespace).await?;
        // A bare server has no controller that makes it, and refuses pods without it.
        ensure(&Api::<ServiceAccount>::namespaced(client.clone(), namespace), "default").await?;
        Ok(Self {
            pods: Api::namespaced(client.clone(), namespace),
            nodes: Api::all(client.clone()),
            secrets: Api::namespaced(client.clone(), namespace),
            events: Api::namespaced(client, namespace),
        })
    }

    /// Registers a machine, or changes it to look like this.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn set_node(&self, spec: &NodeSpec) -> Result<(), KubeletError> {
        let node = json!({ "metadata": { "name": spec.name, "labels": spec.labels } });
        created(self.nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await)?;
        let taints: Vec<Value> = spec
            .unreachable_since
            .iter()
            .map(|since| {
                let since = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                json!({ "key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": since })
            })
            .collect();
        let look = json!({
            "metadata": { "labels": spec.labels },
            "spec": { "unschedulable": spec.cordoned, "taints": taints },
        });
        self.nodes.patch(&spec.name, &PatchParams::default(), &Patch::Merge(look)).await?;
        let mut resources = json!({ "cpu": "8" });
        if let Some(slots) = spec.slots {
            resources["riseproject.com/runner"] = slots.to_string().into();
        }
        let ready = if spec.ready { "True" } else { "False" };
        let status = json!({ "status": {
            "capacity": resources, "allocatable": resources,
            "conditions": [{ "type": "Ready", "status": ready, "reason": "Played", "message": "played",
                             "lastHeartbeatTime": stamp(), "lastTransitionTime": stamp() }],
        }});
        self.nodes.patch_status(&spec.name, &PatchParams::default(), &Patch::Strategic(status)).await?;
        Ok(())
    }

    /// A kubelet that starts anew forgets the extended resources that it does not count itself.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn forget_slots(&self, name: &str) -> Result<(), KubeletError> {
        let none = json!({ "riseproject.com/runner": null });
        let status = json!({ "status": { "capacity": none, "allocatable": none } });
        self.nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }

    /// Takes a machine out of the cluster.
    ///
    /// # Errors
    /// Whatever the server refuses; a machine that is not there is fine.
    pub async fn remove_node(&self, name: &str) -> Result<(), KubeletError> {
        gone(self.nodes.delete(name, &DeleteParams::default()).await)
    }

    /// Binds a pod to a node, as the scheduler does.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn bind(&self, pod: &str, node: &str) -> Result<(), KubeletError> {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": { "name": pod },
            "target": { "apiVersion": "v1", "kind": "Node", "name": node },
        });
        let _: Value = self.pods.create_subresource("binding", pod, &PostParams::default(), &binding).await?;
        Ok(())
    }

    /// The scheduler finds no node for the pod.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn refuse_to_schedule(&self, pod: &str, message: &str) -> Result<(), KubeletError> {
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastTransitionTime": stamp(),
        });
        self.patch_status(pod, json!({ "phase": "Pending", "conditions": [condition] })).await
    }

    /// The container waits, e.g. for `ImagePullBackOff`.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn wait(&self, pod: &str, reason: &str) -> Result<(), KubeletError> {
        let state = json!({ "waiting": { "reason": reason, "message": "played" } });
        self.report(pod, "Pending", state).await
    }

    /// The container starts.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn start(&self, pod: &str) -> Result<(), KubeletError> {
        self.report(pod, "Running", json!({ "running": { "startedAt": stamp() } })).await
    }

    /// The container ends, and the pod with it.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn end(&self, pod: &str, exit_code: i32) -> Result<(), KubeletError> {
        let (phase, reason) = if exit_code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
        let state = json!({ "terminated": {
            "exitCode": exit_code, "reason": reason, "startedAt": stamp(), "finishedAt": stamp(),
        }});
        self.report(pod, phase, state).await
    }

    /// The kubelet ends a pod whose deadline is over.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn enforce_deadline(&self, pod: &str) -> Result<(), KubeletError> {
        let state = json!({ "terminated": {
            "exitCode": 137, "reason": "Error", "startedAt": stamp(), "finishedAt": stamp(),
        }});
        self.report(pod, "Failed", state).await?;
        let message = "Pod was active on the node longer than the specified deadline";
        self.patch_status(pod, json!({ "reason": "DeadlineExceeded", "message": message })).await
    }

    /// The kubelet lets a deleted pod go.
    ///
    /// # Errors
    /// Whatever the server refuses; a pod that is not there is fine.
    pub async fn release(&self, pod: &str) -> Result<(), KubeletError> {
        let Some(uid) = self.pods.get_opt(pod).await?.and_then(|pod| pod.metadata.uid) else { return Ok(()) };
        let preconditions = Some(Preconditions { uid: Some(uid), resource_version: None });
        let now = DeleteParams { preconditions, ..DeleteParams::default() }.grace_period(0);
        gone(self.pods.delete(pod, &now).await)
    }

    /// How many events there are about a pod.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn events_of(&self, pod: &str) -> Result<u64, KubeletError> {
        let about = ListParams::default().fields(&format!("involvedObject.name={pod}"));
        Ok(u64::try_from(self.events.list(&about).await?.items.len())?)
    }

    /// Records the `n`th event about a pod, a second after the one before it.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn event(&self, pod: &str, n: u64, reason: &str, message: &str) -> Result<(), KubeletError> {
        let about = self.pods.get(pod).await?.metadata;
        let at = i64::try_from(n).ok().and_then(|n| Timestamp::from_second(1_700_000_000 + n).ok());
        let event = json!({
            "metadata": { "name": format!("{pod}.{n:x}"), "namespace": about.namespace },
            "involvedObject": { "kind": "Pod", "apiVersion": "v1", "name": pod,
                                "namespace": about.namespace, "uid": about.uid },
            "type": "Warning", "reason": reason, "message": message, "count": 1,
            "firstTimestamp": at, "lastTimestamp": at, "source": { "component": "kubelet" },
        });
        created(self.events.create(&PostParams::default(), &serde_json::from_value(event)?).await)
    }

    async fn report(&self, pod: &str, phase: &str, state: Value) -> Result<(), KubeletError> {
        let container = json!({
            "name": "runner", "image": "played", "imageID": "", "restartCount": 0,
            "ready": phase == "Running", "state": state,
        });
        self.patch_status(
            pod,
            json!({ "phase": phase, "startTime": stamp(), "containerStatuses": [container] }),
        )
        .await
    }

    async fn patch_status(&self, pod: &str, status: Value) -> Result<(), KubeletError> {
        let patch = Patch::Strategic(json!({ "status": status }));
        self.pods.patch_status(pod, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

async fn ensure<K>(api: &Api<K>, name: &str) -> Result<(), KubeletError>
where
    K: Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
{
    let object = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
    created(api.create(&PostParams::default(), &object).await)
}

fn created<K>(answer: kube::Result<K>) -> Result<(), KubeletError> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == CONFLICT => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn gone<T>(answer: kube::Result<T>) -> Result<(), KubeletError> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
