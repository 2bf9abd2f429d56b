//! The whole pod, secret included, as the API server gets it.

use crate::common::{jit, pool, request, templates};
use riscv_runner_core::ids::NodeName;
use riscv_runner_k8s::{PodTemplate, PoolTemplate, runner_pod, runner_secret};
use serde_json::{Value, json};

fn template(json: Value) -> PoolTemplate {
    let template: PodTemplate = serde_json::from_value(json).unwrap();
    assert_eq!(template.problems(), []);
    PoolTemplate { template, ..templates()[&pool()].clone() }
}

#[test]
fn the_default_pod_is_the_reference_services_pod() {
    let request = request("rise-riscv-runner-abc123def");
    let pod = serde_json::to_value(runner_pod(&request, &templates()[&pool()])).unwrap();
    let identity = pod["metadata"]["annotations"]["riseproject.dev/worker"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(identity).unwrap(),
        json!({
            "scope": { "installation": 11, "entity": 22, "login": "Riscv-Org", "target": "Organization" },
            "labels": ["ubuntu-24.04-riscv"], "pool": "k1", "image": "ghcr.io/example/runner:24.04",
        })
    );
    assert_eq!(
        pod,
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "rise-riscv-runner-abc123def",
                "labels": {
                    "app": "rise-riscv-runner",
                    "app.kubernetes.io/managed-by": "riscv-runner",
                    "riseproject.dev/board": "spacemit-k1",
                    "riseproject.dev/pool": "k1",
                    "riseproject.dev/entity_id": "22",
                    "riseproject.dev/entity_name": "Riscv-Org",
                },
                "annotations": { "riseproject.dev/worker": identity },
            },
            "spec": {
                "activeDeadlineSeconds": 525_600,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "hostNetwork": true,
                "nodeSelector": { "riseproject.dev/board": "spacemit-k1" },
                "restartPolicy": "Never",
                "containers": [{
                    "name": "runner",
                    "image": "ghcr.io/example/runner:24.04",
                    "imagePullPolicy": "IfNotPresent",
                    "env": [
                        { "name": "RUNNER_JITCONFIG", "valueFrom": { "secretKeyRef": {
                            "name": "rise-riscv-runner-abc123def", "key": "jitconfig",
                        }}},
                        { "name": "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS", "value": "60" },
                    ],
                    "resources": { "limits": { "riseproject.com/runner": "1" } },
                    "securityContext": { "privileged": true },
                    "volumeMounts": [
                        { "name": "docker", "mountPath": "/var/lib/docker" },
                        { "name": "k0s", "mountPath": "/var/lib/k0s" },
                    ],
                }],
                "volumes": [{ "name": "docker", "emptyDir": {} }, { "name": "k0s", "emptyDir": {} }],
            },
        })
    );
}

#[test]
fn the_secret_holds_the_jit_configuration_and_nothing_else_does() {
    let request = request("w1");
    let pool = &templates()[&pool()];
    let secret = serde_json::to_value(runner_secret(&request, pool, &jit())).unwrap();
    assert_eq!(secret["metadata"]["name"], "w1");
    assert_eq!(secret["metadata"]["labels"]["app"], "rise-riscv-runner");
    assert_eq!(secret["type"], "Opaque");
    assert_eq!(secret["data"], json!({ "jitconfig": "dGhlLWppdC1jb25maWd1cmF0aW9u" }));
    assert!(!format!("{:?}", runner_pod(&request, pool)).contains("the-jit-configuration"));
}

#[test]
fn a_template_changes_what_it_says() {
    let pool = template(json!({
        "privileged": false,
        "host_network": false,
        "env": { "HTTP_PROXY": "http://proxy", "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS": "5" },
        "resources": { "requests": { "cpu": "2" }, "limits": { "memory": "8Gi" } },
        "ephemeral_storage": "90Gi",
        "tolerations": [
            { "key": "board", "value": "k1", "effect": "NoSchedule" },
            { "key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "seconds": 60 },
        ],
        "volumes": [
            { "name": "cache", "mount": "/var/lib/docker", "host_path": { "path": "/mnt/docker", "type": "DirectoryOrCreate" } },
            { "name": "fast", "mount": "/fast", "empty_dir": { "medium": "Memory", "size_limit": "1Gi" } },
            { "name": "certs", "mount": "/certs", "read_only": true, "config_map": "ca" },
            { "name": "data", "mount": "/data", "claim": "models" },
        ],
        "image_pull_policy": "Always",
        "image_pull_secrets": ["registry"],
        "service_account": "runner",
        "active_deadline_seconds": 3600,
        "termination_grace_seconds": 10,
        "runtime_class": "kata",
        "priority_class": "ci",
        "labels": { "team": "ci" },
        "annotations": { "note": "any text at all" },
    }));
    let pod = serde_json::to_value(runner_pod(&request("w1"), &pool)).unwrap();
    assert_eq!(pod["metadata"]["labels"]["team"], "ci");
    assert_eq!(pod["metadata"]["annotations"]["note"], "any text at all");
    let mut spec = pod["spec"].clone();
    let container = spec["containers"][0].take();
    spec.as_object_mut().unwrap().remove("containers");
    assert_eq!(
        spec,
        json!({
            "activeDeadlineSeconds": 3600,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "imagePullSecrets": [{ "name": "registry" }],
            "nodeSelector": { "riseproject.dev/board": "spacemit-k1" },
            "priorityClassName": "ci",
            "restartPolicy": "Never",
            "runtimeClassName": "kata",
            "serviceAccountName": "runner",
            "terminationGracePeriodSeconds": 10,
            "tolerations": [
                { "key": "board", "operator": "Equal", "value": "k1", "effect": "NoSchedule" },
                { "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
                  "tolerationSeconds": 60 },
            ],
            "volumes": [
                { "name": "k0s", "emptyDir": {} },
                { "name": "cache", "hostPath": { "path": "/mnt/docker", "type": "DirectoryOrCreate" } },
                { "name": "fast", "emptyDir": { "medium": "Memory", "sizeLimit": "1Gi" } },
                { "name": "certs", "configMap": { "name": "ca" } },
                { "name": "data", "persistentVolumeClaim": { "claimName": "models" } },
            ],
        })
    );
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(container["securityContext"], json!({ "privileged": false }));
    assert_eq!(
        container["resources"],
        json!({
            "requests": { "cpu": "2", "ephemeral-storage": "90Gi" },
            "limits": { "memory": "8Gi", "ephemeral-storage": "90Gi", "riseproject.com/runner": "1" },
        })
    );
    assert_eq!(container["env"][1], json!({ "name": "HTTP_PROXY", "value": "http://proxy" }));
    assert_eq!(container["env"][2], json!({ "name": "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS", "value": "5" }));
    assert_eq!(
        container["volumeMounts"][3],
        json!({ "name": "certs", "mountPath": "/certs", "readOnly": true })
    );
}

#[test]
fn nodes_are_avoided_by_name_one_requirement_each() {
    let mut request = request("w1");
    request.avoid = [NodeName::new("bad1").unwrap(), NodeName::new("bad2").unwrap()].into();
    let pod = serde_json::to_value(runner_pod(&request, &templates()[&pool()])).unwrap();
    let not_in = |name: &str| json!({ "key": "metadata.name", "operator": "NotIn", "values": [name] });
    assert_eq!(
        pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"],
        json!({ "nodeSelectorTerms": [{ "matchFields": [not_in("bad1"), not_in("bad2")] }] })
    );
}

#[test]
fn a_pool_without_a_board_is_named_for_itself_and_a_provider_is_told() {
    let node_selector = [("riseproject.dev/provider".to_owned(), "scaleway".to_owned())].into();
    let pool = PoolTemplate { node_selector, template: PodTemplate::default() };
    let labels =
        serde_json::to_value(runner_pod(&request("w1"), &pool)).unwrap()["metadata"]["labels"].take();
    assert_eq!(labels["riseproject.dev/board"], "k1");
    assert_eq!(labels["riseproject.dev/provider"], "scaleway");
}

#[test]
fn unknown_keys_are_refused_and_what_is_written_is_read_back() {
    let read = |json: Value| serde_json::from_value::<PodTemplate>(json).map_err(|error| error.to_string());
    assert!(read(json!({ "privilegd": true })).unwrap_err().contains("privilegd"));
    let two = json!({ "volumes": [{ "name": "v", "mount": "/v", "empty_dir": {}, "claim": "c" }] });
    assert!(read(two).unwrap_err().contains("exactly one of"));
    let none = json!({ "volumes": [{ "name": "v", "mount": "/v" }] });
    assert!(read(none).unwrap_err().contains("exactly one of"));
    let full =
        read(json!({ "volumes": [{ "name": "v", "mount": "/v", "host_path": { "path": "/x" } }] })).unwrap();
    assert_eq!(read(serde_json::to_value(&full).unwrap()).unwrap(), full);
}
