//! The kubelet's part in the cluster contract.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{self as core, EnvVar};
use kube::api::PostParams;
use riscv_runner_core::{
    ids::{NodeName, WorkerName},
    pod::Node,
};
use serde_json::json;

use super::{Kubelet, NodeSpec};
use crate::contract::cluster::{Played, PodFacts, Stage};

#[async_trait]
impl Stage for Kubelet {
    async fn set_node(&self, node: &Node) -> Played {
        let spec = NodeSpec {
            name: node.name.to_string(),
            labels: node.labels.clone(),
            slots: Some(node.slots),
            ready: node.ready,
            cordoned: node.cordoned,
            unreachable_since: node.unreachable_since,
        };
        Self::set_node(self, &spec).await
    }

    async fn remove_node(&self, node: &NodeName) -> Played {
        Self::remove_node(self, node.as_str()).await
    }

    async fn bind(&self, pod: &WorkerName, node: &NodeName) -> Played {
        Self::bind(self, pod.as_str(), node.as_str()).await
    }

    async fn wait(&self, pod: &WorkerName, reason: &str) -> Played {
        Self::wait(self, pod.as_str(), reason).await
    }

    async fn start(&self, pod: &WorkerName) -> Played {
        Self::start(self, pod.as_str()).await
    }

    async fn end(&self, pod: &WorkerName, exit_code: i32) -> Played {
        Self::end(self, pod.as_str(), exit_code).await
    }

    async fn release(&self, pod: &WorkerName) -> Played {
        Self::release(self, pod.as_str()).await
    }

    async fn event(&self, pod: &WorkerName, reason: &str, message: &str) -> Played {
        let n_before = self.events_of(pod.as_str()).await?;
        Self::event(self, pod.as_str(), n_before, reason, message).await
    }

    async fn foreign_pod(&self, name: &WorkerName) -> Played {
        let pod = json!({
            "metadata": { "name": name, "labels": { "app": "somebody-elses" } },
            "spec": { "containers": [{ "name": "main", "image": "example.org/other" }] },
        });
        self.pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        Ok(())
    }

    async fn facts(&self, pod: &WorkerName) -> Played<Option<PodFacts>> {
        let Some(found) = self.pods.get_opt(pod.as_str()).await? else { return Ok(None) };
        let spec = found.spec.unwrap_or_default();
        let variables = spec.containers.iter().flat_map(|container| container.env.iter().flatten());
        let mut facts = PodFacts {
            killed: spec.active_deadline_seconds == Some(1),
            avoided: avoided(&spec),
            ..PodFacts::default()
        };
        for variable in variables.filter(|variable| variable.name == "RUNNER_JITCONFIG") {
            facts.jit_in_the_open |= variable.value.is_some();
            facts.jit = self.referred(variable).await?;
        }
        Ok(Some(facts))
    }

    async fn secret(&self, name: &WorkerName) -> Played<Option<String>> {
        let found = self.secrets.get_opt(name.as_str()).await?;
        let value = found.and_then(|secret| secret.data?.into_values().next());
        Ok(value.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()))
    }
}

impl Kubelet {
    /// What the variable's reference leads to.
    async fn referred(&self, variable: &EnvVar) -> Played<Option<String>> {
        let source = variable.value_from.as_ref().and_then(|source| source.secret_key_ref.as_ref());
        let Some(reference) = source else { return Ok(None) };
        let secret = self.secrets.get_opt(&reference.name).await?;
        let bytes = secret.and_then(|secret| secret.data?.remove(&reference.key));
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()))
    }
}

pub(super) fn avoided(spec: &core::PodSpec) -> std::collections::BTreeSet<NodeName> {
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    let terms = required.into_iter().flat_map(|selector| &selector.node_selector_terms);
    terms
        .flat_map(|term| term.match_fields.iter().flatten())
        .filter(|field| field.operator == "NotIn")
        .flat_map(|field| field.values.iter().flatten())
        .filter_map(|name| NodeName::new(name).ok())
        .collect()
}
