//! Slots in a node's status, for machines without a device plugin. The kubelet counts what is written there,
//! but may forget it when it restarts.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use riscv_runner_core::{
    ids::NodeName,
    ports::{BoardSlots, LeaderProof, PortResult},
};
use serde_json::{Value, json};

use crate::{api_error::within, cluster::KubeCluster, names::RUNNER_RESOURCE};

/// The patch that advertises so many slots, or none. Capacity is what the kubelet goes by; allocatable
/// is what the scheduler sees until the kubelet's next report.
pub(crate) fn slots_patch(slots: Option<u32>) -> Patch<Value> {
    let quantity = slots.map(|slots| slots.to_string());
    let resources = json!({ RUNNER_RESOURCE: quantity });
    Patch::Merge(json!({ "status": { "capacity": resources, "allocatable": resources } }))
}

#[async_trait]
impl BoardSlots for KubeCluster {
    async fn advertise(&self, proof: &LeaderProof, node: &NodeName, slots: u32) -> PortResult<()> {
        self.guard(proof, "advertise a board")?;
        let api: Api<Node> = Api::all(self.client().clone());
        let (params, patch) = (PatchParams::default(), slots_patch(Some(slots)));
        let call = api.patch_status(node.as_str(), &params, &patch);
        let answer = within(self.call_timeout(), call).await;
        answer.map(|_| ()).map_err(|error| error.into_port("advertise a board", format!("node {node}")))
    }
}
