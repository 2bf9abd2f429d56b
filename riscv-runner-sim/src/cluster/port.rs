//! The `Cluster` port on the simulated machines, as one process sees it: every answer takes time.

use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use riscv_runner_core::{
    failure::{ContainerEnd, Diagnostics},
    ids::{PodUid, WorkerName},
    pod::PodPhase,
    ports::{
        Cluster, CreatedPod, Grace, JitConfig, LeaderProof, NodeMap, PodMap, PodRequest, PortError,
        PortErrorKind, PortResult, SecretObject,
    },
};

use super::{Secret, SimPod};
use crate::{
    chance::Stream,
    clock::{SimClock, lock},
    truth::{SharedTruth, Truth},
};

/// The cluster as one process sees it.
pub struct SimCluster {
    truth: SharedTruth,
    pub(super) clock: SimClock,
    latency: (Duration, Duration),
    luck: Mutex<Stream>,
}

impl SimCluster {
    pub(crate) const fn new(
        truth: SharedTruth,
        clock: SimClock,
        latency: (Duration, Duration),
        luck: Stream,
    ) -> Self {
        Self { truth, clock, latency, luck: Mutex::new(luck) }
    }

    async fn transit(&self) {
        let wait = lock(&self.luck).between(self.latency.0, self.latency.1) / 2;
        self.clock.sleep(wait).await;
    }

    /// One request: there, an effect in no time, and back.
    pub(super) async fn ask<R: Send>(&self, act: impl FnOnce(&mut Truth) -> R + Send) -> R {
        self.transit().await;
        let result = self.truth.with(act);
        self.transit().await;
        result
    }
}

/// The pod of this name, if there is one, provided that it is the pod meant.
fn meant<'a>(
    truth: &'a Truth,
    name: &WorkerName,
    uid: &PodUid,
    operation: &'static str,
) -> PortResult<Option<&'a SimPod>> {
    match truth.boards.pods.get(name) {
        Some(pod) if pod.pod.uid != *uid => {
            let detail = format!("pod {name} has uid {}, not {uid}", pod.pod.uid);
            Err(PortError::new(PortErrorKind::Conflict, operation, detail))
        }
        found => Ok(found),
    }
}

#[async_trait]
impl Cluster for SimCluster {
    async fn nodes(&self) -> PortResult<NodeMap> {
        Ok(self
            .ask(|truth| {
                let nodes = truth.boards.nodes.iter();
                nodes.map(|(name, machine)| (name.clone(), machine.node.clone())).collect()
            })
            .await)
    }

    async fn pods(&self) -> PortResult<PodMap> {
        Ok(self
            .ask(|truth| {
                let pods = truth.boards.pods.iter();
                pods.map(|(name, pod)| (name.clone(), pod.pod.clone())).collect()
            })
            .await)
    }

    async fn secrets(&self) -> PortResult<Vec<SecretObject>> {
        Ok(self
            .ask(|truth| {
                let secrets = truth.boards.secrets.iter();
                let object = |(name, secret): (&WorkerName, &Secret)| SecretObject {
                    name: name.clone(),
                    created_at: secret.created_at,
                };
                secrets.map(object).collect()
            })
            .await)
    }

    async fn create(
        &self,
        proof: &LeaderProof,
        request: &PodRequest,
        jit: &JitConfig,
    ) -> PortResult<CreatedPod> {
        proof.guard(self.clock.now(), "create a pod")?;
        self.ask(|truth| {
            let secret = Secret { created_at: truth.now(), jit: jit.clone() };
            truth.boards.secrets.entry(request.name.clone()).or_insert(secret).jit = jit.clone();
        })
        .await;
        self.ask(|truth| {
            if truth.boards.foreign.contains(&request.name) {
                truth.boards.secrets.remove(&request.name);
                let detail = format!("{} is somebody else's pod", request.name);
                return Err(PortError::new(PortErrorKind::Conflict, "create a pod", detail));
            }
            Ok(CreatedPod { uid: truth.create_pod(request) })
        })
        .await
    }

    async fn kill(&self, proof: &LeaderProof, name: &WorkerName, uid: &PodUid) -> PortResult<()> {
        proof.guard(self.clock.now(), "kill a pod")?;
        self.ask(|truth| {
            let found = meant(truth, name, uid, "kill a pod")?;
            if found.is_some_and(|pod| pod.pod.holds_slot()) {
                truth.kill_pod(name);
            }
            Ok(())
        })
        .await
    }

    async fn delete(
        &self,
        proof: &LeaderProof,
        name: &WorkerName,
        uid: &PodUid,
        grace: Grace,
    ) -> PortResult<()> {
        proof.guard(self.clock.now(), "delete a pod")?;
        self.ask(|truth| {
            meant(truth, name, uid, "delete a pod")?;
            truth.delete_pod(name, grace);
            Ok(())
        })
        .await
    }

    async fn delete_secret(&self, proof: &LeaderProof, name: &WorkerName) -> PortResult<()> {
        proof.guard(self.clock.now(), "delete a secret")?;
        self.ask(|truth| {
            truth.boards.secrets.remove(name);
        })
        .await;
        Ok(())
    }

    async fn diagnose(&self, name: &WorkerName) -> Diagnostics {
        self.ask(|truth| truth.boards.pods.get(name).map(diagnostics)).await.unwrap_or_else(|| Diagnostics {
            collect_error: Some("the pod is gone".to_owned()),
            ..Diagnostics::default()
        })
    }
}

fn diagnostics(pod: &SimPod) -> Diagnostics {
    let (reason, container) = match &pod.pod.phase {
        PodPhase::Pending { reason } => {
            (None, ContainerEnd { reason: reason.clone(), ..ContainerEnd::default() })
        }
        PodPhase::Running { .. } | PodPhase::Unknown => {
            (None, ContainerEnd { logs: Some("waiting for a job\n".to_owned()), ..ContainerEnd::default() })
        }
        PodPhase::Succeeded { .. } => (None, ContainerEnd { exit_code: Some(0), ..ContainerEnd::default() }),
        PodPhase::Failed { exit_code, reason, .. } => {
            (reason.clone(), ContainerEnd { exit_code: *exit_code, ..ContainerEnd::default() })
        }
    };
    Diagnostics {
        pod_reason: reason,
        containers: [("runner".to_owned(), container)].into(),
        events: pod.events.clone(),
        ..Diagnostics::default()
    }
}
