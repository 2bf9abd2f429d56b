//! Manifests, judged by Kubernetes' own description of its objects: whatever the generated types do not read
//! back is a field that Kubernetes does not know.

use std::net::IpAddr;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Affinity, ConfigMap, Namespace, PodSpec, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{read, root};

/// The documents of a YAML text.
pub(crate) fn documents(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    all.into_iter().filter(|document| !document.is_null()).collect()
}

/// What is wrong with an object, by the description of its kind.
pub(crate) fn problems(object: &Value) -> Vec<String> {
    let (kind, version) =
        (object["kind"].as_str().unwrap_or_default(), object["apiVersion"].as_str().unwrap_or_default());
    match (version, kind) {
        ("v1", "Namespace") => unknown::<Namespace>(object),
        ("v1", "ServiceAccount") => unknown::<ServiceAccount>(object),
        ("v1", "Service") => unknown::<Service>(object),
        ("v1", "ConfigMap") => unknown::<ConfigMap>(object),
        ("apps/v1", "Deployment") => unknown::<Deployment>(object),
        ("policy/v1", "PodDisruptionBudget") => unknown::<PodDisruptionBudget>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => unknown::<NetworkPolicy>(object),
        ("networking.k8s.io/v1", "Ingress") => unknown::<Ingress>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => unknown::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => unknown::<RoleBinding>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => unknown::<ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => unknown::<ClusterRoleBinding>(object),
        ("monitoring.coreos.com/v1", "ServiceMonitor") => of_service_monitor(object),
        other => vec![format!("this test does not know {other:?}")],
    }
}

fn unknown<K: DeserializeOwned + Serialize>(object: &Value) -> Vec<String> {
    let read: K = match serde_json::from_value(object.clone()) {
        Ok(read) => read,
        Err(error) => return vec![format!("{}: {error}", object["kind"])],
    };
    let mut lost = Vec::new();
    compare(object, &serde_json::to_value(read).unwrap(), "", &mut lost);
    lost
}

/// What the written object has and the read one has not. Empty values may be left out.
fn compare(written: &Value, read: &Value, path: &str, lost: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(fields), _) => {
            for (name, value) in fields {
                compare(value, &read[name], &format!("{path}.{name}"), lost);
            }
        }
        (Value::Array(items), _) => {
            for (n, item) in items.iter().enumerate() {
                compare(item, &read[n], &format!("{path}[{n}]"), lost);
            }
        }
        (written, read) if written == read => {}
        (written, read) => lost.push(format!("{path}: {written} is read as {read}")),
    }
}

/// The kind of the Prometheus operator, as far as ours uses it.
fn of_service_monitor(object: &Value) -> Vec<String> {
    let fields = |value: &Value, known: &[&str], at: &str| -> Vec<String> {
        let names = value.as_object().unwrap().keys();
        names.filter(|name| !known.contains(&&***name)).map(|name| format!("{at}.{name}")).collect()
    };
    let mut found = fields(&object["spec"], &["selector", "endpoints"], "spec");
    for endpoint in object["spec"]["endpoints"].as_array().unwrap() {
        found.extend(fields(
            endpoint,
            &["port", "path", "interval", "authorization", "scheme", "tlsConfig"],
            "spec.endpoints",
        ));
        if let Some(authorization) = endpoint.get("authorization") {
            found.extend(fields(authorization, &["type", "credentials"], "spec.endpoints.authorization"));
            let credentials = &authorization["credentials"];
            found.extend(fields(credentials, &["name", "key"], "spec.endpoints.authorization.credentials"));
        }
    }
    found
}

/// What every Deployment of ours must be, wherever it comes from.
pub(crate) fn assert_hardened(deployment: &Value) {
    let name = &deployment["metadata"]["name"];
    let spec: PodSpec = serde_json::from_value(deployment["spec"]["template"]["spec"].clone()).unwrap();
    let pod = spec.security_context.unwrap();
    assert_eq!((pod.run_as_non_root, pod.run_as_user), (Some(true), Some(65532)), "{name}");
    assert_eq!(pod.seccomp_profile.unwrap().type_, "RuntimeDefault");
    let is_scheduler = name.as_str().unwrap().ends_with("scheduler");
    assert_eq!(spec.automount_service_account_token, Some(is_scheduler), "only the scheduler has a token");
    assert_eq!((spec.host_network, spec.host_pid, spec.host_ipc), (None, None, None));
    assert!(keeps_off_boards(spec.affinity.as_ref()), "{name} may run beside a job that owns its node");
    for container in spec.containers {
        let context = container.security_context.unwrap();
        assert_eq!(context.read_only_root_filesystem, Some(true));
        assert_eq!(context.allow_privilege_escalation, Some(false));
        assert_eq!(context.capabilities.unwrap().drop, Some(vec!["ALL".to_owned()]));
        let (live, ready) = (container.liveness_probe.unwrap(), container.readiness_probe.unwrap());
        let start = container.startup_probe.unwrap();
        let patience = start.period_seconds.unwrap() * start.failure_threshold.unwrap();
        assert!(patience >= 60, "{name} is killed after {patience} s of a slow start");
        assert_eq!(start.http_get.unwrap().path.as_deref(), Some("/health"));
        assert_eq!(live.http_get.unwrap().path.as_deref(), Some("/health"));
        assert_eq!(ready.http_get.unwrap().path.as_deref(), Some("/ready"));
        assert!(container.resources.unwrap().limits.unwrap().contains_key("memory"));
        assert!(container.env.iter().flatten().all(|variable| !secret_name(&variable.name)));
    }
}

/// Whether every way to be scheduled demands a node that is no board: the terms are alternatives.
fn keeps_off_boards(affinity: Option<&Affinity>) -> bool {
    let node = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let required = node.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_some_and(|required| {
        let mut terms = required.node_selector_terms.iter();
        let demanded = terms.all(|term| {
            let mut expressions = term.match_expressions.iter().flatten();
            expressions.any(|found| found.key == "riseproject.dev/board" && found.operator == "DoesNotExist")
        });
        demanded && !required.node_selector_terms.is_empty()
    })
}

fn secret_name(name: &str) -> bool {
    ["SECRET", "TOKEN", "PASSWORD", "KEY"].iter().any(|word| name.contains(word)) && !name.ends_with("_FILE")
}

/// Every object of the plain manifests, with its file.
pub(crate) fn plain() -> Vec<(String, Value)> {
    let folder = root().join("deploy/manifests");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let yaml = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "yaml"));
    let mut all = Vec::new();
    for path in yaml.filter(|path| !path.ends_with("kustomization.yaml")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        all.extend(documents(&text).into_iter().map(|document| (name.clone(), document)));
    }
    all
}

#[test]
fn plain_manifests_are_what_kubernetes_describes() {
    let all = plain();
    assert!(all.len() >= 18, "{}", all.len());
    for (file, object) in &all {
        assert_eq!(problems(object), Vec::<String>::new(), "{file}: {}", object["kind"]);
    }
    for (_, deployment) in all.iter().filter(|(_, object)| object["kind"] == "Deployment") {
        assert_hardened(deployment);
    }
    let kustomization = documents(&read("deploy/manifests/kustomization.yaml")).remove(0);
    for file in kustomization["resources"].as_array().unwrap() {
        assert!(all.iter().any(|(name, _)| file == name.as_str()), "{file} is there");
    }
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_found() {
    let yaml = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80, targetPort: http, tls: true}]}";
    let object = documents(yaml).remove(0);
    assert_eq!(problems(&object), [".spec.ports[0].tls: true is read as null"]);
    let mut wrong = object;
    wrong["spec"]["ports"][0]["port"] = "eighty".into();
    assert_eq!(problems(&wrong).len(), 1);
}

#[test]
fn every_service_and_budget_selects_its_pods() {
    let all = plain();
    let labels: Vec<_> = all
        .iter()
        .filter(|(_, object)| object["kind"] == "Deployment")
        .map(|(_, object)| object["spec"]["template"]["metadata"]["labels"].clone())
        .collect();
    assert_eq!(labels.len(), 2);
    for (_, object) in &all {
        let selector = match object["kind"].as_str().unwrap() {
            "Service" => &object["spec"]["selector"],
            "PodDisruptionBudget" | "ServiceMonitor" => &object["spec"]["selector"]["matchLabels"],
            _ => continue,
        };
        let fits =
            |labels: &&Value| selector.as_object().unwrap().iter().all(|(key, value)| labels[key] == *value);
        assert!(labels.iter().any(|labels| fits(&labels)), "{selector} selects something");
    }
}

/// What ingress-nginx takes must not be less than what we take.
pub(crate) fn lets_deliveries_pass(ingress: &Value) {
    let size = &ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"];
    assert_eq!(size, "25m", "ingress-nginx refuses larger deliveries than 1 MiB by itself");
    assert!(read("rrctl.example.toml").contains("# body_limit = \"25MiB\""), "which is server.body_limit");
}

#[test]
fn the_ingress_lets_the_largest_deliveries_pass() {
    let all = plain();
    let mut of_ingress = all.iter().filter(|(_, object)| object["kind"] == "Ingress");
    lets_deliveries_pass(&of_ingress.next().unwrap().1);
}

#[test]
fn the_shipped_configuration_is_accepted() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_rrctl"))
        .args(["config", "check", "--config"])
        .arg(root().join("deploy/manifests/rrctl.toml"))
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether an address is in a block such as `10.0.0.0/8`.
fn is_in(address: &str, block: &str) -> bool {
    let bits = |text: &str| match text.parse::<IpAddr>().unwrap() {
        IpAddr::V4(v4) => (32, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (128, v6.to_bits()),
    };
    let (network, length) = block.split_once('/').unwrap();
    let ((width, address), (block_width, network)) = (bits(address), bits(network));
    let shift = width - length.parse::<u32>().unwrap();
    width == block_width && (shift == 128 || address >> shift == network >> shift)
}

#[test]
fn workers_reach_the_internet_and_no_network_beside_them() {
    let all = plain();
    let policies = all.iter().map(|(_, object)| object).filter(|object| object["kind"] == "NetworkPolicy");
    let workers = policies.clone().find(|policy| policy["metadata"]["name"] == "workers").unwrap();
    assert_eq!(workers["spec"]["podSelector"], serde_json::json!({}), "every pod of their namespace");
    assert_eq!(workers["spec"]["ingress"], serde_json::json!([]), "nobody begins to talk to them");
    let blocks: Vec<&Value> = workers["spec"]["egress"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["to"].as_array().unwrap())
        .filter(|to| to["ipBlock"].is_object())
        .map(|to| &to["ipBlock"])
        .collect();
    let reached = |address: &str| {
        blocks.iter().any(|block| {
            let out = block["except"].as_array().unwrap();
            is_in(address, block["cidr"].as_str().unwrap())
                && !out.iter().any(|except| is_in(address, except.as_str().unwrap()))
        })
    };
    for address in ["140.82.112.3", "185.199.108.133", "2606:50c0:8000::153"] {
        assert!(reached(address), "{address} is GitHub's");
    }
    for address in
        ["10.96.0.1", "172.20.0.5", "192.168.1.1", "100.64.0.1", "169.254.169.254", "fd00::1", "fe80::1"]
    {
        assert!(!reached(address), "{address} is beside them");
    }
    let ours = policies.clone().find(|policy| policy["metadata"]["name"] == "rrctl").unwrap();
    assert_eq!(ours["spec"]["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
    assert_eq!(ours["spec"]["ingress"].as_array().unwrap().len(), 1, "those who are named, and nobody else");
}
