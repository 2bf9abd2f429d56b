//! Collects what is available about a pod that failed: states, the end of its logs, events. It never fails:
//! what is not available is named in `collect_error`.

use std::{collections::BTreeMap, time::Duration};

use futures::{AsyncRead, AsyncReadExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{self as core, ContainerStatus};
use kube::{
    Api, Client,
    api::{ListParams, LogParams},
};
use riscv_runner_core::{
    failure::{ContainerEnd, Diagnostics, MAX_LOG_BYTES, PodEvent, tail_of_log},
    ids::WorkerName,
};

use crate::api_error::within;

/// More lines than this do not help a reader of a failure.
const LOG_LINES: i64 = 5_000;
/// A guard against endless lines; the kubelet counts it from the first of the lines asked for.
const LOG_BYTES: i64 = 16 * 1024 * 1024;
/// The latest events are kept.
const MAX_EVENTS: usize = 100;

/// Everything that is available about the pod of this name, each part within `bound`.
pub(crate) async fn collect(
    client: &Client,
    namespace: &str,
    name: &WorkerName,
    bound: Duration,
) -> Diagnostics {
    let pods: Api<core::Pod> = Api::namespaced(client.clone(), namespace);
    let mut missing = Vec::new();
    let mut diagnostics = Diagnostics::default();
    let mut uid = None;
    match within(bound, pods.get(name.as_str())).await {
        Ok(pod) => {
            let status = pod.status.clone().unwrap_or_default();
            diagnostics.containers = containers(&status);
            diagnostics.pod_reason = status.reason;
            diagnostics.pod_message = status.message;
            uid = pod.metadata.uid;
        }
        Err(error) if error.is_not_found() => missing.push("pod: it is not there".to_owned()),
        Err(error) => missing.push(format!("pod: {error}")),
    }
    let started = diagnostics.containers.iter_mut().filter(|(_, end)| end.logs.is_some());
    for (container, end) in started {
        end.logs = match tokio::time::timeout(bound, log_tail(&pods, name, container)).await {
            Ok(Ok(log)) => Some(log),
            Ok(Err(error)) => {
                missing.push(format!("log of {container}: {error}"));
                None
            }
            Err(_) => {
                missing.push(format!("log of {container}: not complete within {bound:?}"));
                None
            }
        };
    }
    let events: Api<core::Event> = Api::namespaced(client.clone(), namespace);
    let about_it = ListParams::default().fields(&event_selector(name, uid.as_deref()));
    match within(bound, events.list(&about_it)).await {
        Ok(list) => diagnostics.events = pod_events(list.items),
        Err(error) => missing.push(format!("events: {error}")),
    }
    diagnostics.collect_error = Some(missing.join("; ")).filter(|text| !text.is_empty());
    diagnostics
}

/// Without the uid the events of an earlier pod of the same name might be meant.
fn event_selector(name: &WorkerName, uid: Option<&str>) -> String {
    let mut selector = format!("involvedObject.kind=Pod,involvedObject.name={name}");
    if let Some(uid) = uid {
        selector.push_str(",involvedObject.uid=");
        selector.push_str(uid);
    }
    selector
}

/// How the containers stand; those that have started, and so have a log, carry an empty one.
fn containers(status: &core::PodStatus) -> BTreeMap<String, ContainerEnd> {
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    all.map(|container| (container.name.clone(), container_end(container))).collect()
}

fn container_end(container: &ContainerStatus) -> ContainerEnd {
    let Some(state) = &container.state else { return ContainerEnd::default() };
    if let Some(end) = &state.terminated {
        ContainerEnd {
            exit_code: Some(end.exit_code),
            reason: end.reason.clone(),
            message: end.message.clone(),
            // A container that could not be created ends without ever having an id.
            logs: end.started_at.as_ref().map(|_| String::new()),
        }
    } else if let Some(waiting) = &state.waiting {
        let (reason, message) = (waiting.reason.clone(), waiting.message.clone());
        ContainerEnd { exit_code: None, reason, message, logs: None }
    } else {
        let logs = state.running.as_ref().map(|_| String::new());
        ContainerEnd { logs, ..ContainerEnd::default() }
    }
}

async fn log_tail(
    pods: &Api<core::Pod>,
    name: &WorkerName,
    container: &str,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let params = LogParams {
        container: Some(container.to_owned()),
        tail_lines: Some(LOG_LINES),
        limit_bytes: Some(LOG_BYTES),
        ..LogParams::default()
    };
    let stream = pods.log_stream(name.as_str(), &params).await?;
    let bytes = last_bytes(std::pin::pin!(stream)).await?;
    Ok(tail_of_log(&String::from_utf8_lossy(&bytes)).to_owned())
}

/// Reads to the end, keeping no more than the last [`MAX_LOG_BYTES`] (and as much again at times).
async fn last_bytes(mut stream: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let n = stream.read(&mut chunk).await?;
        if n == 0 {
            break;
        }
        kept.extend_from_slice(&chunk[..n]);
        if kept.len() > 2 * MAX_LOG_BYTES {
            kept.drain(..kept.len() - MAX_LOG_BYTES);
        }
    }
    let surplus = kept.len().saturating_sub(MAX_LOG_BYTES);
    kept.drain(..surplus);
    Ok(kept)
}

/// Oldest first, the latest [`MAX_EVENTS`].
fn pod_events(events: Vec<core::Event>) -> Vec<PodEvent> {
    let mut read: Vec<PodEvent> = events.into_iter().map(pod_event).collect();
    read.sort_by_key(|event| (event.last_seen, event.first_seen));
    let surplus = read.len().saturating_sub(MAX_EVENTS);
    read.drain(..surplus);
    read
}

/// Events of the newer kind have a time and a series instead of two times and a count.
fn pod_event(event: core::Event) -> PodEvent {
    let at: Option<Timestamp> = event.event_time.map(|time| time.0);
    let series = event.series.as_ref();
    let created = event.metadata.creation_timestamp.map(|time| time.0);
    let first_seen = event.first_timestamp.map(|time| time.0).or(at).or(created);
    let last_observed = series.and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    PodEvent {
        kind: event.type_.unwrap_or_else(|| "Normal".to_owned()),
        reason: event.reason.unwrap_or_default(),
        message: event.message.unwrap_or_default(),
        count: event.count.or_else(|| series.and_then(|series| series.count)).unwrap_or(1),
        first_seen,
        last_seen: event.last_timestamp.map(|time| time.0).or(last_observed).or(first_seen),
    }
}
