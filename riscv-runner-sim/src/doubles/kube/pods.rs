//! What the API server itself knows about pods: what it fills in, what it refuses, what may change.

use serde_json::{Value, json};

use super::{objects::stamp, refusal::Refusal};

/// Kubernetes lets a pod take this long to end unless it says otherwise.
const DEFAULT_GRACE_SECONDS: i64 = 30;
/// The variable that must come from a secret.
const SECRET_VARIABLE: &str = "RUNNER_JITCONFIG";

/// Checks a new pod and fills in what the server fills in.
pub(super) fn admit(pod: &mut Value) -> Result<(), Refusal> {
    let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
    if containers.is_empty() {
        return Err(Refusal::invalid("spec.containers", "Required value"));
    }
    for (n, container) in containers.iter().enumerate() {
        for field in ["name", "image"] {
            if container[field].as_str().is_none_or(str::is_empty) {
                return Err(Refusal::invalid(&format!("spec.containers[{n}].{field}"), "Required value"));
            }
        }
        check_mounts(pod, container, n)?;
        check_resources(container, n)?;
    }
    check_affinity(pod)?;
    if let Some(deadline) = pod["spec"]["activeDeadlineSeconds"].as_i64().filter(|seconds| *seconds < 1) {
        return Err(Refusal::invalid("spec.activeDeadlineSeconds", format!("{deadline} must be positive")));
    }
    let spec = &mut pod["spec"];
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(DEFAULT_GRACE_SECONDS)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
    ] {
        if spec[field].is_null() {
            spec[field] = value;
        }
    }
    pod["status"] = json!({ "phase": "Pending" });
    Ok(())
}

fn check_mounts(pod: &Value, container: &Value, n: usize) -> Result<(), Refusal> {
    let volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        if !volumes.iter().any(|volume| volume["name"] == mount["name"]) {
            let field = format!("spec.containers[{n}].volumeMounts.name");
            return Err(Refusal::invalid(&field, format!("{} not found", mount["name"])));
        }
    }
    Ok(())
}

/// An extended resource cannot be overcommitted: request and limit are equal, and whole.
fn check_resources(container: &Value, n: usize) -> Result<(), Refusal> {
    let limits = &container["resources"]["limits"];
    for (name, requested) in container["resources"]["requests"].as_object().into_iter().flatten() {
        let extended = name.contains('/');
        if extended && limits[name] != *requested {
            let field = format!("spec.containers[{n}].resources.requests");
            return Err(Refusal::invalid(&field, format!("must be equal to {name} limit")));
        }
    }
    Ok(())
}

/// Nodes are excluded by name one at a time.
fn check_affinity(pod: &Value) -> Result<(), Refusal> {
    let required = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = required["nodeSelectorTerms"].as_array().cloned().unwrap_or_default();
    for field in terms.iter().flat_map(|term| term["matchFields"].as_array().into_iter().flatten()) {
        if field["key"] != "metadata.name" || field["values"].as_array().map(Vec::len) != Some(1) {
            let path = "spec.affinity.nodeAffinity.required.matchFields";
            return Err(Refusal::invalid(path, "must be metadata.name with exactly one value"));
        }
    }
    Ok(())
}

/// Checks that an update of a pod changes only what may change after its creation.
pub(super) fn check_update(before: &Value, after: &Value) -> Result<(), Refusal> {
    let deadline = |pod: &Value| pod["spec"]["activeDeadlineSeconds"].as_i64();
    let grows = match (deadline(before), deadline(after)) {
        (Some(before), Some(after)) => after > before,
        (Some(_), None) => true,
        (None, _) => false,
    };
    if grows || deadline(after).is_some_and(|seconds| seconds < 1) {
        let message = "must be less than or equal to the previous value, and positive";
        return Err(Refusal::invalid("spec.activeDeadlineSeconds", message));
    }
    if fixed_part(before) != fixed_part(after) {
        let message =
            "pod updates may not change fields other than image, activeDeadlineSeconds and tolerations";
        return Err(Refusal::invalid("spec", message));
    }
    Ok(())
}

fn fixed_part(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("activeDeadlineSeconds");
        fields.remove("tolerations");
    }
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        container["image"] = Value::Null;
    }
    spec
}

/// Binds a pod to a node, once.
pub(super) fn bind(pod: &mut Value, binding: &Value) -> Result<(), Refusal> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let node = binding["target"]["name"].as_str().filter(|node| !node.is_empty());
    let Some(node) = node else { return Err(Refusal::invalid("target.name", "Required value")) };
    if let Some(bound) = pod["spec"]["nodeName"].as_str() {
        return Err(Refusal::new(409, format!("pod {name} is already assigned to node {bound:?}")));
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return Err(Refusal::new(409, format!("pod {name} is being deleted")));
    }
    pod["spec"]["nodeName"] = node.into();
    let scheduled = json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": stamp() });
    let mut conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|condition| condition["type"] != "PodScheduled");
    conditions.push(scheduled);
    pod["status"]["conditions"] = conditions.into();
    Ok(())
}

/// How long a deleted pod stays until its kubelet lets it go; zero if nobody has to.
pub(super) fn grace_seconds(pod: &Value, asked: Option<i64>) -> i64 {
    let unbound = pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty);
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if unbound || ended {
        return 0;
    }
    asked.or_else(|| pod["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(DEFAULT_GRACE_SECONDS)
}

/// What a control plane of runners must not ask for: a secret value readable in the pod, or a secret
/// that is not there yet.
pub(super) fn misuse(pod: &Value, secret_exists: impl Fn(&str) -> bool) -> Vec<String> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let mut found = Vec::new();
    for variable in pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|container| container["env"].as_array().into_iter().flatten())
    {
        if variable["name"] == SECRET_VARIABLE && !variable["value"].is_null() {
            found.push(format!("pod {name} has {SECRET_VARIABLE} as a literal"));
        }
        if let Some(secret) = variable["valueFrom"]["secretKeyRef"]["name"].as_str()
            && !secret_exists(secret)
        {
            found.push(format!("pod {name} refers to secret {secret}, which is not there"));
        }
    }
    found
}
