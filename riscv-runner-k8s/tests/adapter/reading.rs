//! Pods and nodes as Kubernetes stores them, in the domain's words.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use riscv_runner_core::pod::PodPhase;
use riscv_runner_k8s::{Unreadable, read_node, read_pod, runner_pod};
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn pod(spec: &Value, status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": "w1", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": { "riseproject.dev/pool": "k1" },
        },
        "spec": spec, "status": status,
    }))
    .unwrap()
}

fn check(status: &Value, phase: &PodPhase) {
    let read = read_pod(&pod(&json!({ "containers": [] }), status)).unwrap();
    assert_eq!(read.phase, *phase, "{status}");
}

fn container(state: &Value) -> Value {
    json!([
        { "name": "sidecar", "image": "", "imageID": "", "ready": true, "restartCount": 0,
          "state": { "running": { "startedAt": "2025-01-01T00:00:00Z" } } },
        { "name": "runner", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state },
    ])
}

#[test]
fn a_pending_pod_says_what_it_waits_for() {
    let pending = |reason: Option<&str>| PodPhase::Pending { reason: reason.map(str::to_owned) };
    check(&json!({}), &pending(None));
    let unmet = json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable" }]);
    check(&json!({ "phase": "Pending", "conditions": unmet }), &pending(Some("Unschedulable")));
    let waiting = container(&json!({ "waiting": { "reason": "ImagePullBackOff" } }));
    check(
        &json!({ "phase": "Pending", "containerStatuses": waiting, "conditions": unmet }),
        &pending(Some("ImagePullBackOff")),
    );
    let met = json!([{ "type": "PodScheduled", "status": "True", "reason": "x" }]);
    check(&json!({ "phase": "Pending", "conditions": met }), &pending(None));
}

#[test]
fn a_pod_runs_since_its_container_started() {
    let running = container(&json!({ "running": { "startedAt": "2026-01-01T00:00:07Z" } }));
    let since = |text: &str| PodPhase::Running { since: at(text) };
    check(&json!({ "phase": "Running", "containerStatuses": running }), &since("2026-01-01T00:00:07Z"));
    let status = json!({ "phase": "Running", "startTime": "2026-01-01T00:00:03Z" });
    check(&status, &since("2026-01-01T00:00:03Z"));
    check(&json!({ "phase": "Running" }), &since("2026-01-01T00:00:00Z"));
}

#[test]
fn a_pod_ended_when_its_last_container_did() {
    let ended = |exit_code: i32| {
        container(&json!({ "terminated": {
            "exitCode": exit_code, "reason": "Error", "finishedAt": "2026-01-02T00:00:00Z",
        }}))
    };
    let when = at("2026-01-02T00:00:00Z");
    check(&json!({ "phase": "Succeeded", "containerStatuses": ended(0) }), &PodPhase::Succeeded { at: when });
    let failed =
        |exit_code, reason: &str| PodPhase::Failed { at: when, exit_code, reason: Some(reason.to_owned()) };
    check(&json!({ "phase": "Failed", "containerStatuses": ended(7) }), &failed(Some(7), "Error"));
    check(
        &json!({ "phase": "Failed", "reason": "DeadlineExceeded", "containerStatuses": ended(137) }),
        &failed(Some(137), "DeadlineExceeded"),
    );
    let evicted = json!({
        "phase": "Failed", "reason": "Evicted",
        "conditions": [{ "type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-01-02T00:00:00Z" }],
    });
    check(&evicted, &failed(None, "Evicted"));
    check(&json!({ "phase": "Unknown" }), &PodPhase::Unknown);
}

#[test]
fn deletion_kill_node_and_pool_are_told() {
    let mut raw = pod(&json!({ "containers": [], "nodeName": "n1", "activeDeadlineSeconds": 1 }), &json!({}));
    let read = read_pod(&raw).unwrap();
    assert!(read.killed && !read.deleting);
    assert_eq!(read.node.as_ref().unwrap().as_str(), "n1");
    assert_eq!(read.pool.as_ref().unwrap().as_str(), "k1");
    assert_eq!((read.uid.as_str(), read.identity), ("u1", None));
    raw.metadata.deletion_timestamp = raw.metadata.creation_timestamp.clone();
    raw.spec.as_mut().unwrap().active_deadline_seconds = Some(525_600);
    let read = read_pod(&raw).unwrap();
    assert!(read.deleting && !read.killed);
}

#[test]
fn what_we_write_on_a_pod_is_read_back() {
    let request = crate::common::request("w1");
    let mut written = runner_pod(&request, &crate::common::templates()[&crate::common::pool()]);
    written.metadata.uid = Some("u1".to_owned());
    written.metadata.creation_timestamp = Some(Timestamp::UNIX_EPOCH.into());
    let identity = read_pod(&written).unwrap().identity.unwrap();
    assert_eq!(identity.scope, request.scope);
    assert_eq!(identity.labels.originals(), request.labels.originals());
    assert_eq!((identity.pool, identity.image), (request.pool, request.image));
}

#[test]
fn a_pod_that_is_no_workers_is_refused() {
    let mut raw = pod(&json!({ "containers": [] }), &json!({}));
    raw.metadata.name = Some("has.a.dot".to_owned());
    assert!(matches!(read_pod(&raw), Err(Unreadable::Name(_))));
    raw.metadata.name = None;
    assert_eq!(read_pod(&raw), Err(Unreadable::Missing("name")));
}

fn node(spec: &Value, status: &Value) -> Node {
    serde_json::from_value(json!({
        "metadata": { "name": "n1", "labels": { "a": "b" }, "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": spec, "status": status,
    }))
    .unwrap()
}

#[test]
fn a_machine_is_ready_when_its_kubelet_says_so() {
    let ready = |status: &str| json!({ "conditions": [{ "type": "Ready", "status": status }] });
    for (status, expected) in [("True", true), ("False", false), ("Unknown", false)] {
        assert_eq!(read_node(&node(&json!({}), &ready(status))).unwrap().ready, expected, "{status}");
    }
    let bare = read_node(&node(&json!({}), &json!({}))).unwrap();
    assert!(!bare.ready && !bare.cordoned && bare.slots == 0);
    assert_eq!(bare.labels["a"], "b");
    assert!(read_node(&node(&json!({ "unschedulable": true }), &json!({}))).unwrap().cordoned);
}

#[test]
fn slots_are_what_the_device_plugin_advertises() {
    let slots = |quantity: &str| {
        let status = json!({ "allocatable": { "riseproject.com/runner": quantity } });
        read_node(&node(&json!({}), &status)).unwrap().slots
    };
    assert_eq!((slots("2"), slots("0"), slots("1k")), (2, 0, 0));
}

#[test]
fn a_machine_is_unreachable_since_its_earliest_taint() {
    let key = "node.kubernetes.io/unreachable";
    let since = |taints: &Value, status: &Value| {
        read_node(&node(&json!({ "taints": taints }), status)).unwrap().unreachable_since
    };
    let both = json!([
        { "key": key, "effect": "NoSchedule" },
        { "key": key, "effect": "NoExecute", "timeAdded": "2026-01-03T00:00:00Z" },
    ]);
    assert_eq!(since(&both, &json!({})), Some(at("2026-01-03T00:00:00Z")));
    let timeless = json!([{ "key": key, "effect": "NoSchedule" }]);
    let unknown = json!({ "conditions": [
        { "type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-04T00:00:00Z" },
    ]});
    assert_eq!(since(&timeless, &unknown), Some(at("2026-01-04T00:00:00Z")));
    assert_eq!(since(&timeless, &json!({})), Some(at("2026-01-01T00:00:00Z")));
    assert_eq!(since(&json!([{ "key": "other", "effect": "NoSchedule" }]), &unknown), None);
}
