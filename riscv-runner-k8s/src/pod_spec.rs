//! A worker's pod and secret from its request and its pool's template. Pure: the same request gives
//! the same objects, and the JIT configuration is in the secret alone.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    ByteString,
    api::core::v1::{
        Affinity, ConfigMapVolumeSource, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource,
        HostPathVolumeSource, LocalObjectReference, NodeAffinity, NodeSelector, NodeSelectorRequirement,
        NodeSelectorTerm, PersistentVolumeClaimVolumeSource, Pod, PodSpec, ResourceRequirements, Secret,
        SecretKeySelector, SecurityContext, Toleration, Volume, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use riscv_runner_core::{
    ids::{NodeName, WorkerName},
    pod::PodIdentity,
    ports::{JitConfig, PodRequest},
};
use secrecy::ExposeSecret;

use crate::{
    names::{
        APP_LABEL, APP_VALUE, BOARD_LABEL, ENTITY_ID_LABEL, ENTITY_NAME_LABEL, IDENTITY_ANNOTATION, JIT_KEY,
        JIT_VARIABLE, MANAGED_BY_LABEL, MANAGED_BY_VALUE, POOL_LABEL, PROVIDER_LABEL, RUNNER_CONTAINER,
        RUNNER_RESOURCE, label_value,
    },
    pod_template::{self, EmptyDir, Medium, PodTemplate, PoolTemplate, VolumeSource},
};

/// Directories that the job's own Docker daemon and k0s write; overlay file systems cannot be nested,
/// so they must not be on the container's.
const SCRATCH: [(&str, &str); 2] = [("docker", "/var/lib/docker"), ("k0s", "/var/lib/k0s")];

/// The pod of a worker.
#[must_use]
pub fn runner_pod(request: &PodRequest, pool: &PoolTemplate) -> Pod {
    let template = &pool.template;
    let mut annotations = template.annotations.clone();
    annotations.insert(IDENTITY_ANNOTATION.to_owned(), identity_json(request));
    Pod {
        metadata: ObjectMeta {
            name: Some(request.name.to_string()),
            labels: Some(labels(request, pool)),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: Some(spec(request, pool)),
        status: None,
    }
}

/// The secret that holds the JIT configuration of a worker.
#[must_use]
pub fn runner_secret(request: &PodRequest, pool: &PoolTemplate, jit: &JitConfig) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(request.name.to_string()),
            labels: Some(labels(request, pool)),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(
            JIT_KEY.to_owned(),
            ByteString(jit.expose_secret().as_bytes().to_vec()),
        )])),
        ..Secret::default()
    }
}

/// What a worker's row could be written from again.
pub(crate) fn identity(request: &PodRequest) -> PodIdentity {
    PodIdentity {
        scope: request.scope.clone(),
        labels: request.labels.clone(),
        pool: request.pool.clone(),
        image: request.image.clone(),
    }
}

fn identity_json(request: &PodRequest) -> String {
    serde_json::to_string(&identity(request)).unwrap_or_default()
}

fn labels(request: &PodRequest, pool: &PoolTemplate) -> BTreeMap<String, String> {
    let selector = &pool.node_selector;
    let board = selector.get(BOARD_LABEL).map_or(request.pool.as_str(), String::as_str);
    let mut labels = pool.template.labels.clone();
    let mut ours = vec![
        (APP_LABEL, APP_VALUE.to_owned()),
        (MANAGED_BY_LABEL, MANAGED_BY_VALUE.to_owned()),
        (BOARD_LABEL, label_value(board)),
        (POOL_LABEL, request.pool.to_string()),
        (ENTITY_ID_LABEL, request.scope.entity.to_string()),
        (ENTITY_NAME_LABEL, label_value(request.scope.login.as_str())),
    ];
    if let Some(provider) = selector.get(PROVIDER_LABEL) {
        ours.push((PROVIDER_LABEL, label_value(provider)));
    }
    labels.extend(ours.into_iter().map(|(key, value)| (key.to_owned(), value)));
    labels
}

fn spec(request: &PodRequest, pool: &PoolTemplate) -> PodSpec {
    let template = &pool.template;
    let volumes = volumes(template);
    PodSpec {
        active_deadline_seconds: Some(template.active_deadline_seconds),
        affinity: avoid(&request.avoid),
        automount_service_account_token: Some(template.mount_service_account_token),
        containers: vec![container(request, template, &volumes)],
        enable_service_links: Some(false),
        host_network: template.host_network.then_some(true),
        image_pull_secrets: references(&template.image_pull_secrets),
        node_selector: Some(pool.node_selector.clone()).filter(|selector| !selector.is_empty()),
        priority_class_name: template.priority_class.clone(),
        restart_policy: Some("Never".to_owned()),
        runtime_class_name: template.runtime_class.clone(),
        service_account_name: template.service_account.clone(),
        termination_grace_period_seconds: template.termination_grace_seconds,
        tolerations: tolerations(template),
        volumes: Some(volumes.iter().map(volume).collect()),
        ..PodSpec::default()
    }
}

fn container(request: &PodRequest, template: &PodTemplate, volumes: &[pod_template::Volume]) -> Container {
    Container {
        name: RUNNER_CONTAINER.to_owned(),
        image: Some(request.image.to_string()),
        image_pull_policy: Some(template.image_pull_policy.as_str().to_owned()),
        env: Some(environment(&request.name, template)),
        resources: Some(resources(template)),
        security_context: Some(SecurityContext {
            privileged: Some(template.privileged),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(volumes.iter().map(mount).collect()),
        ..Container::default()
    }
}

fn environment(name: &WorkerName, template: &PodTemplate) -> Vec<EnvVar> {
    let jit = EnvVar {
        name: JIT_VARIABLE.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: name.to_string(),
                key: JIT_KEY.to_owned(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    };
    let others = template.environment().into_iter().map(|(name, value)| EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    });
    std::iter::once(jit).chain(others).collect()
}

fn resources(template: &PodTemplate) -> ResourceRequirements {
    let quantities = |table: &BTreeMap<String, String>| {
        let mut quantities: BTreeMap<String, Quantity> =
            table.iter().map(|(name, quantity)| (name.clone(), Quantity(quantity.clone()))).collect();
        if let Some(storage) = &template.ephemeral_storage {
            quantities.insert("ephemeral-storage".to_owned(), Quantity(storage.clone()));
        }
        quantities
    };
    let mut limits = quantities(&template.resources.limits);
    limits.insert(RUNNER_RESOURCE.to_owned(), Quantity("1".to_owned()));
    let requests = quantities(&template.resources.requests);
    ResourceRequirements {
        claims: None,
        limits: Some(limits),
        requests: Some(requests).filter(|requests| !requests.is_empty()),
    }
}

/// The scratch directories that no configured volume replaces, then the configured ones.
fn volumes(template: &PodTemplate) -> Vec<pod_template::Volume> {
    let replaced = |name: &str, mount: &str| {
        template.volumes.iter().any(|volume| volume.name == name || volume.mount == mount)
    };
    SCRATCH
        .into_iter()
        .filter(|(name, mount)| !replaced(name, mount))
        .map(|(name, mount)| pod_template::Volume {
            name: name.to_owned(),
            mount: mount.to_owned(),
            read_only: false,
            source: VolumeSource::EmptyDir(EmptyDir::default()),
        })
        .chain(template.volumes.iter().cloned())
        .collect()
}

fn volume(volume: &pod_template::Volume) -> Volume {
    let mut built = Volume { name: volume.name.clone(), ..Volume::default() };
    match &volume.source {
        VolumeSource::EmptyDir(dir) => {
            built.empty_dir = Some(EmptyDirVolumeSource {
                medium: (dir.medium == Medium::Memory).then(|| "Memory".to_owned()),
                size_limit: dir.size_limit.clone().map(Quantity),
            });
        }
        VolumeSource::HostPath(host) => {
            built.host_path =
                Some(HostPathVolumeSource { path: host.path.clone(), type_: host.kind.clone() });
        }
        VolumeSource::ConfigMap(name) => {
            built.config_map =
                Some(ConfigMapVolumeSource { name: name.clone(), ..ConfigMapVolumeSource::default() });
        }
        VolumeSource::Claim(name) => {
            built.persistent_volume_claim = Some(PersistentVolumeClaimVolumeSource {
                claim_name: name.clone(),
                read_only: volume.read_only.then_some(true),
            });
        }
    }
    built
}

fn mount(volume: &pod_template::Volume) -> VolumeMount {
    VolumeMount {
        name: volume.name.clone(),
        mount_path: volume.mount.clone(),
        read_only: volume.read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn tolerations(template: &PodTemplate) -> Option<Vec<Toleration>> {
    let built = template.tolerations.iter().map(|toleration| Toleration {
        key: toleration.key.clone(),
        operator: Some(if toleration.value.is_some() { "Equal" } else { "Exists" }.to_owned()),
        value: toleration.value.clone(),
        effect: toleration.effect.map(|effect| effect.as_str().to_owned()),
        toleration_seconds: toleration.seconds,
    });
    Some(built.collect::<Vec<_>>()).filter(|tolerations| !tolerations.is_empty())
}

fn references(names: &[String]) -> Option<Vec<LocalObjectReference>> {
    let built = names.iter().map(|name| LocalObjectReference { name: name.clone() });
    Some(built.collect::<Vec<_>>()).filter(|references| !references.is_empty())
}

/// Keeps the pod off these nodes. By the node's name and not by a label, which may differ; the API
/// takes one name per requirement, and all requirements of a term must hold.
fn avoid(nodes: &BTreeSet<NodeName>) -> Option<Affinity> {
    if nodes.is_empty() {
        return None;
    }
    let requirement = |node: &NodeName| NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(vec![node.to_string()]),
    };
    let term = NodeSelectorTerm {
        match_expressions: None,
        match_fields: Some(nodes.iter().map(requirement).collect()),
    };
    Some(Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                node_selector_terms: vec![term],
            }),
            ..NodeAffinity::default()
        }),
        ..Affinity::default()
    })
}
