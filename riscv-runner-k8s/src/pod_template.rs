//! What an operator may configure about the pods of a pool; the defaults are the reference service's pod. It
//! says nothing about where pods go: the pool's node selector does.

use std::collections::BTreeMap;

use riscv_runner_core::ids::PoolName;
use serde::{Deserialize, Serialize};

use crate::names::DOCKER_WAIT_VARIABLE;

/// A day in the queue, five days of running (GitHub's limit for a job) and two hours to spare.
const ACTIVE_DEADLINE_SECONDS: i64 = 24 * 3600 + 5 * 24 * 3600 + 2 * 3600;
/// The runner's entry point gives the Docker daemon inside the pod this long.
const DOCKER_WAIT_SECONDS: &str = "60";

/// The templates of all pools, by name.
pub type PoolTemplates = BTreeMap<PoolName, PoolTemplate>;

/// The pods of one pool: their template, and the machines that they may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolTemplate {
    /// Node labels that the pool's boards carry.
    pub node_selector: BTreeMap<String, String>,
    /// The rest of the pod.
    pub template: PodTemplate,
}

/// The pod of a pool: the table `[pools.pod]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PodTemplate {
    /// Whether the container is privileged; the job's Docker daemon, which runs inside, needs it.
    pub privileged: bool,
    /// Whether the pod uses the node's network.
    pub host_network: bool,
    /// More environment variables, by name. Values are visible to everyone who may read pods.
    pub env: BTreeMap<String, String>,
    /// Requests and limits beside the board itself.
    pub resources: Resources,
    /// Shorthand for the request and limit of `ephemeral-storage`, e.g. `90Gi`.
    pub ephemeral_storage: Option<String>,
    /// Taints that the pods tolerate.
    pub tolerations: Vec<Toleration>,
    /// Volumes and where they are mounted; they are added to those for Docker and k0s unless one of
    /// them has the same mount path.
    pub volumes: Vec<Volume>,
    /// When the node pulls the image.
    pub image_pull_policy: PullPolicy,
    /// Names of secrets with credentials for the image's registry.
    pub image_pull_secrets: Vec<String>,
    /// The service account of the pods; none by default.
    pub service_account: Option<String>,
    /// Whether the job may read the service account's token. Jobs are untrusted programs.
    pub mount_service_account_token: bool,
    /// The longest life of a pod, in seconds.
    pub active_deadline_seconds: i64,
    /// How long a pod may take to end when it is deleted, in seconds.
    pub termination_grace_seconds: Option<i64>,
    /// The `RuntimeClass` of the pods.
    pub runtime_class: Option<String>,
    /// The `PriorityClass` of the pods.
    pub priority_class: Option<String>,
    /// More labels. Ours cannot be replaced.
    pub labels: BTreeMap<String, String>,
    /// More annotations. Ours cannot be replaced.
    pub annotations: BTreeMap<String, String>,
}

impl Default for PodTemplate {
    fn default() -> Self {
        Self {
            privileged: true,
            host_network: true,
            env: BTreeMap::new(),
            resources: Resources::default(),
            ephemeral_storage: None,
            tolerations: Vec::new(),
            volumes: Vec::new(),
            image_pull_policy: PullPolicy::IfNotPresent,
            image_pull_secrets: Vec::new(),
            service_account: None,
            mount_service_account_token: false,
            active_deadline_seconds: ACTIVE_DEADLINE_SECONDS,
            termination_grace_seconds: None,
            runtime_class: None,
            priority_class: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }
}

/// Requests and limits, as quantities by resource name (`memory = "8Gi"`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// What a node must have free for the pod.
    pub requests: BTreeMap<String, String>,
    /// What the container may not exceed.
    pub limits: BTreeMap<String, String>,
}

/// A taint that the pods tolerate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toleration {
    /// The taint's key; without one every taint is tolerated.
    pub key: Option<String>,
    /// The taint's value; without one every value is tolerated.
    pub value: Option<String>,
    /// The taint's effect; without one every effect is tolerated.
    pub effect: Option<TolerationEffect>,
    /// How many seconds a `NoExecute` taint is tolerated.
    pub seconds: Option<i64>,
}

/// What a taint does to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TolerationEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away if they can.
    PreferNoSchedule,
    /// Running pods are evicted.
    NoExecute,
}

impl TolerationEffect {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// When the node pulls the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PullPolicy {
    /// For every pod.
    Always,
    /// When it does not have it.
    IfNotPresent,
    /// Never: the node must have it already.
    Never,
}

impl PullPolicy {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// A volume and where it is mounted:
/// `{ name = "kvm", mount = "/dev/kvm", host_path = { path = "/dev/kvm" } }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "VolumeRow", into = "VolumeRow")]
pub struct Volume {
    /// Its name in the pod.
    pub name: String,
    /// The path in the container.
    pub mount: String,
    /// Whether the job may only read it.
    pub read_only: bool,
    /// What is mounted.
    pub source: VolumeSource,
}

/// What a volume holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// A new empty directory, gone with the pod.
    EmptyDir(EmptyDir),
    /// A file or directory of the node.
    HostPath(HostPath),
    /// A `ConfigMap` of the same namespace, by name.
    ConfigMap(String),
    /// A `PersistentVolumeClaim` of the same namespace, by name.
    Claim(String),
}

/// A new empty directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmptyDir {
    /// Where it is kept.
    pub medium: Medium,
    /// The most it may hold, e.g. `10Gi`.
    pub size_limit: Option<String>,
}

/// Where an empty directory is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    /// On the node's disk.
    #[default]
    Disk,
    /// In the node's memory.
    Memory,
}

/// A file or directory of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostPath {
    /// The path on the node.
    pub path: String,
    /// What Kubernetes checks about it first, e.g. `DirectoryOrCreate` or `CharDevice`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VolumeRow {
    name: String,
    mount: String,
    #[serde(default)]
    read_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    empty_dir: Option<EmptyDir>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_path: Option<HostPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config_map: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<String>,
}

impl TryFrom<VolumeRow> for Volume {
    type Error = String;

    fn try_from(row: VolumeRow) -> Result<Self, String> {
        let source = match (row.empty_dir, row.host_path, row.config_map, row.claim) {
            (Some(dir), None, None, None) => VolumeSource::EmptyDir(dir),
            (None, Some(path), None, None) => VolumeSource::HostPath(path),
            (None, None, Some(name), None) => VolumeSource::ConfigMap(name),
            (None, None, None, Some(name)) => VolumeSource::Claim(name),
            _ => {
                return Err(format!(
                    "volume {:?} needs exactly one of empty_dir, host_path, config_map and claim",
                    row.name
                ));
            }
        };
        Ok(Self { name: row.name, mount: row.mount, read_only: row.read_only, source })
    }
}

impl From<Volume> for VolumeRow {
    fn from(volume: Volume) -> Self {
        let mut row = Self {
            name: volume.name,
            mount: volume.mount,
            read_only: volume.read_only,
            empty_dir: None,
            host_path: None,
            config_map: None,
            claim: None,
        };
        match volume.source {
            VolumeSource::EmptyDir(dir) => row.empty_dir = Some(dir),
            VolumeSource::HostPath(path) => row.host_path = Some(path),
            VolumeSource::ConfigMap(name) => row.config_map = Some(name),
            VolumeSource::Claim(name) => row.claim = Some(name),
        }
        row
    }
}

impl PodTemplate {
    /// The environment with defaults, without the JIT configuration.
    pub(crate) fn environment(&self) -> BTreeMap<&str, &str> {
        let mut env = BTreeMap::from([(DOCKER_WAIT_VARIABLE, DOCKER_WAIT_SECONDS)]);
        env.extend(self.env.iter().map(|(name, value)| (&**name, &**value)));
        env
    }
}
