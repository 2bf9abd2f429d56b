//! A pod as Kubernetes stores it, reduced to what the domain knows about pods. Pure.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{self as core, ContainerState, ContainerStateTerminated, ContainerStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};
use riscv_runner_core::{
    ids::{IdError, NodeName, PodUid, PoolName, WorkerName},
    pod::{Pod, PodPhase},
};

use crate::names::{IDENTITY_ANNOTATION, POOL_LABEL, RUNNER_CONTAINER};

/// The deadline by which we ask a kubelet to end a pod: the smallest that the API accepts.
pub(crate) const KILL_DEADLINE_SECONDS: i64 = 1;

/// Why a pod cannot be one of ours although it carries our label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its name is not a worker's.
    #[error("its name is not a worker's name")]
    Name(#[source] IdError),
    /// The API server left out what every stored object has.
    #[error("it has no {0}")]
    Missing(&'static str),
}

/// Reads a pod.
///
/// # Errors
/// A pod that cannot be a worker's.
pub fn read_pod(pod: &core::Pod) -> Result<Pod, Unreadable> {
    let metadata = &pod.metadata;
    let name = metadata.name.as_deref().ok_or(Unreadable::Missing("name"))?;
    let uid = metadata.uid.as_deref().ok_or(Unreadable::Missing("uid"))?;
    let created = metadata.creation_timestamp.as_ref().ok_or(Unreadable::Missing("creation time"))?;
    let spec = pod.spec.as_ref();
    let identity = metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(IDENTITY_ANNOTATION))
        .and_then(|json| serde_json::from_str(json).ok());
    Ok(Pod {
        name: WorkerName::new(name).map_err(Unreadable::Name)?,
        uid: PodUid::new(uid).map_err(|_| Unreadable::Missing("uid"))?,
        phase: phase(pod, created.0),
        node: spec.and_then(|spec| spec.node_name.as_deref()).and_then(|node| NodeName::new(node).ok()),
        pool: metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(POOL_LABEL))
            .and_then(|pool| PoolName::new(pool).ok()),
        created_at: created.0,
        deleting: metadata.deletion_timestamp.is_some(),
        killed: spec.and_then(|spec| spec.active_deadline_seconds) == Some(KILL_DEADLINE_SECONDS),
        identity,
    })
}

fn phase(pod: &core::Pod, created: Timestamp) -> PodPhase {
    let empty = core::PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&empty);
    match status.phase.as_deref() {
        Some("Running") => PodPhase::Running { since: running_since(status, created) },
        Some("Succeeded") => PodPhase::Succeeded { at: ended_at(pod, status, created) },
        Some("Failed") => PodPhase::Failed {
            at: ended_at(pod, status, created),
            exit_code: runner(status).and_then(terminated).map(|end| end.exit_code),
            reason: status
                .reason
                .clone()
                .or_else(|| runner(status).and_then(terminated).and_then(|end| end.reason.clone())),
        },
        Some("Unknown") => PodPhase::Unknown,
        Some(_) | None => PodPhase::Pending { reason: pending_reason(status) },
    }
}

fn runner(status: &core::PodStatus) -> Option<&ContainerStatus> {
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    containers.iter().find(|container| container.name == RUNNER_CONTAINER).or_else(|| containers.first())
}

fn terminated(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.state.as_ref().and_then(|state| state.terminated.as_ref())
}

fn running_since(status: &core::PodStatus, created: Timestamp) -> Timestamp {
    let started = |state: &ContainerState| {
        let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
        running.or_else(|| state.terminated.as_ref().and_then(|end| end.started_at.as_ref())).map(time)
    };
    runner(status)
        .and_then(|container| container.state.as_ref())
        .and_then(started)
        .or_else(|| status.start_time.as_ref().map(time))
        .unwrap_or(created)
}

/// A pod that was evicted or never started has no container that finished: then the last change of
/// its conditions, its deletion and its start are the next best evidence.
fn ended_at(pod: &core::Pod, status: &core::PodStatus, created: Timestamp) -> Timestamp {
    let containers = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    let finished =
        containers.filter_map(terminated).filter_map(|end| end.finished_at.as_ref()).map(time).max();
    let changed = || {
        let conditions = status.conditions.iter().flatten();
        conditions.filter_map(|condition| condition.last_transition_time.as_ref()).map(time).max()
    };
    finished
        .or_else(changed)
        .or_else(|| pod.metadata.deletion_timestamp.as_ref().map(time))
        .or_else(|| status.start_time.as_ref().map(time))
        .unwrap_or(created)
}

/// Why the pod waits: what its container waits for, else what the scheduler says.
fn pending_reason(status: &core::PodStatus) -> Option<String> {
    let waiting = |container: &ContainerStatus| {
        container.state.as_ref().and_then(|state| state.waiting.as_ref()).and_then(|wait| wait.reason.clone())
    };
    let unmet = || {
        let mut conditions = status.conditions.iter().flatten();
        conditions
            .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
            .and_then(|condition| condition.reason.clone())
    };
    let init = || status.init_container_statuses.iter().flatten().find_map(waiting);
    runner(status).and_then(waiting).or_else(init).or_else(unmet).or_else(|| status.reason.clone())
}

const fn time(time: &Time) -> Timestamp {
    time.0
}
