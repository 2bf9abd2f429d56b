//! A cluster with which calls go wrong.

use async_trait::async_trait;
use riscv_runner_core::{
    failure::Diagnostics,
    ids::{NodeName, PodUid, WorkerName},
    ports::{
        BoardSlots, Cluster, CreatedPod, Grace, JitConfig, LeaderProof, NodeMap, PodMap, PodRequest,
        PortResult, SecretObject,
    },
};

use super::Faulty;

#[async_trait]
impl<T: Cluster + ?Sized> Cluster for Faulty<T> {
    async fn nodes(&self) -> PortResult<NodeMap> {
        self.call("list nodes", self.inner.nodes()).await
    }

    async fn pods(&self) -> PortResult<PodMap> {
        self.call("list pods", self.inner.pods()).await
    }

    async fn secrets(&self) -> PortResult<Vec<SecretObject>> {
        self.call("list secrets", self.inner.secrets()).await
    }

    async fn create(
        &self,
        proof: &LeaderProof,
        request: &PodRequest,
        jit: &JitConfig,
    ) -> PortResult<CreatedPod> {
        self.call("create a pod", self.inner.create(proof, request, jit)).await
    }

    async fn kill(&self, proof: &LeaderProof, name: &WorkerName, uid: &PodUid) -> PortResult<()> {
        self.call("kill a pod", self.inner.kill(proof, name, uid)).await
    }

    async fn delete(
        &self,
        proof: &LeaderProof,
        name: &WorkerName,
        uid: &PodUid,
        grace: Grace,
    ) -> PortResult<()> {
        self.call("delete a pod", self.inner.delete(proof, name, uid, grace)).await
    }

    async fn delete_secret(&self, proof: &LeaderProof, name: &WorkerName) -> PortResult<()> {
        self.call("delete a secret", self.inner.delete_secret(proof, name)).await
    }

    async fn diagnose(&self, name: &WorkerName) -> Diagnostics {
        let collected = async { Ok(self.inner.diagnose(name).await) };
        self.call("diagnose a pod", collected).await.unwrap_or_else(|error| Diagnostics {
            collect_error: Some(error.to_string()),
            ..Diagnostics::default()
        })
    }
}

#[async_trait]
impl<T: Cluster + ?Sized> BoardSlots for Faulty<T> {
    async fn advertise(&self, proof: &LeaderProof, node: &NodeName, slots: u32) -> PortResult<()> {
        self.call("advertise a board", self.inner.advertise(proof, node, slots)).await
    }
}
