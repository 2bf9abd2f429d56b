#![doc = include_str!("../README.md")]

mod api_error;
mod cluster;
mod connect;
mod failure_info;
mod names;
mod nodes;
mod pod_spec;
mod pod_template;
mod read_node;
mod read_pod;
mod rights;
mod slots;
mod template_problems;
mod view;
mod watch;

pub use cluster::{ClusterOptions, KubeCluster};
pub use connect::{ConnectError, Connection, KubeconfigSource, connect};
pub use names::{
    APP_LABEL, APP_VALUE, BOARD_LABEL, ENTITY_ID_LABEL, ENTITY_NAME_LABEL, IDENTITY_ANNOTATION, JIT_KEY,
    JIT_VARIABLE, MANAGED_BY_LABEL, MANAGED_BY_VALUE, POOL_LABEL, PROVIDER_LABEL, RUNNER_CONTAINER,
    RUNNER_RESOURCE,
};
pub use nodes::{BoardNode, Enrolment, SlotSource, board_nodes, enroll, withdraw, workers_on};
pub use pod_spec::{runner_pod, runner_secret};
pub use pod_template::{
    EmptyDir, HostPath, Medium, PodTemplate, PoolTemplate, PoolTemplates, PullPolicy, Resources, Toleration,
    TolerationEffect, Volume, VolumeSource,
};
pub use read_node::read_node;
pub use read_pod::{Unreadable, read_pod};
pub use rights::{RIGHTS, Right, missing_rights};
pub use template_problems::TemplateProblem;
