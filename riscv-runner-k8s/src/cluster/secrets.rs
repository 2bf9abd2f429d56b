//! The secrets that carry JIT configurations to pods.

use k8s_openapi::api::core::v1 as core;
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams, Preconditions},
};
use riscv_runner_core::{
    ids::WorkerName,
    ports::{LeaderProof, PortError, PortErrorKind, PortResult},
};

use super::{KubeCluster, carries_our_labels};
use crate::api_error::ApiError;

impl KubeCluster {
    /// Writes the secret; one of ours that exists already gets the new content. Returns its uid.
    pub(super) async fn put_secret(
        &self,
        proof: &LeaderProof,
        secret: &core::Secret,
    ) -> PortResult<Option<String>> {
        let api = self.secret_api();
        let name = secret.name_any();
        let failed = |error: ApiError| error.into_port("create secret", format!("secret {name}"));
        self.guard(proof, "create secret")?;
        match self.within(api.create(&PostParams::default(), secret)).await {
            Ok(stored) => return Ok(stored.uid()),
            Err(error) if error.is_already_exists() => {}
            Err(error) => return Err(failed(error)),
        }
        let there = self.within(api.get(&name)).await.map_err(failed)?;
        if !carries_our_labels(&there) {
            let detail = format!("secret {name} is not ours; it is left as it is");
            return Err(PortError::new(PortErrorKind::Conflict, "create secret", detail));
        }
        let mut replacement = secret.clone();
        replacement.metadata.resource_version = there.resource_version();
        self.guard(proof, "create secret")?;
        let stored =
            self.within(api.replace(&name, &PostParams::default(), &replacement)).await.map_err(failed)?;
        Ok(stored.uid())
    }

    /// Deletes a secret whose pod will not be created. If that fails, the sweep will find it.
    pub(super) async fn take_back_secret(&self, proof: &LeaderProof, name: &WorkerName, uid: Option<String>) {
        if self.guard(proof, "delete secret").is_err() {
            return;
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid, resource_version: None }),
            ..DeleteParams::default()
        };
        if let Err(error) = self.within(self.secret_api().delete(name.as_str(), &params)).await
            && !error.is_not_found()
        {
            tracing::warn!(worker.name = %name, %error, "a secret without a pod is left over; the sweep will delete it");
        }
    }
}
