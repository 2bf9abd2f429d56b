//! What the cluster says now of a pod that waits: its states and events, requested when a reader opens its
//! page.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    failure::Diagnostics,
    ids::WorkerName,
    ports::{Cluster, PortError, PortErrorKind},
};

use crate::{
    cached::Cached,
    clients::{Allowances, Client},
};

/// A page does not wait longer; it is shown without.
const PATIENCE: Duration = Duration::from_secs(3);
/// Events come by the second at most, and readers by the page.
const MAX_AGE: Duration = Duration::from_secs(10);
/// Pods that are remembered: more than any cluster starts at once.
const MOST_PODS: usize = 256;
/// Looks that one address may take at once.
const LOOKS: u32 = 20;
/// A further one is allowed this often: a page loads itself anew four times a minute.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Describes pods on request: the cluster that the engine uses, or a host's own.
#[async_trait]
pub trait PodSource: Send + Sync {
    /// States and events of the pod, as far as they are available; what is not is named in `collect_error`.
    async fn diagnose(&self, name: &WorkerName) -> Diagnostics;
}

#[async_trait]
impl<C: Cluster> PodSource for C {
    async fn diagnose(&self, name: &WorkerName) -> Diagnostics {
        Cluster::diagnose(self, name).await
    }
}

/// Asks once for all readers of a moment, and not too often for any client.
pub(crate) struct Pods {
    source: Arc<dyn PodSource>,
    known: Mutex<BTreeMap<WorkerName, Arc<Cached<Diagnostics>>>>,
    looks: Allowances,
}

impl Pods {
    pub(crate) fn new(source: Arc<dyn PodSource>) -> Self {
        Self { source, known: Mutex::default(), looks: Allowances::new(LOOKS, LOOK_EVERY) }
    }

    /// What is known of the pod, without logs; `None` where this client asked too often, or where the cluster
    /// does not answer in time.
    pub(crate) async fn look(
        &self,
        name: &WorkerName,
        client: Client,
        now: Timestamp,
    ) -> Option<Arc<Diagnostics>> {
        self.looks.take(client, now).ok()?;
        let (source, pod) = (Arc::clone(&self.source), name.clone());
        let ask = async move {
            let mut seen = tokio::time::timeout(PATIENCE, source.diagnose(&pod))
                .await
                .map_err(|_| PortError::new(PortErrorKind::Transient, "query a pod", "no answer in time"))?;
            for end in seen.containers.values_mut() {
                end.logs = None;
            }
            Ok(seen)
        };
        self.of(name).get(MAX_AGE, ask).await.ok()
    }

    fn of(&self, name: &WorkerName) -> Arc<Cached<Diagnostics>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_PODS && !known.contains_key(name) {
            known.clear();
        }
        Arc::clone(known.entry(name.clone()).or_default())
    }
}
