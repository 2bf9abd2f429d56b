//! A cluster without nature: nothing happens but what the port is asked for and what a [`Stage`]
//! plays. The contract suite runs on it.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use riscv_runner_core::{
    ids::{NodeName, WorkerName},
    pod::{Node, PodPhase},
    ports::Platform,
};
use secrecy::ExposeSecret;

use super::{Machine, SimCluster, SimPod};
use crate::{
    chance::Stream,
    clock::{SimClock, SimPlatform},
    contract::cluster::{Played, PodFacts, Stage},
    executor::run_alone,
    faults::{FaultControl, FaultProfile},
    truth::{SharedTruth, Truth},
};

/// How long an answer takes.
const LATENCY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(5));

/// A cluster in which only the test acts.
#[derive(Clone)]
pub struct Bench {
    truth: SharedTruth,
    clock: SimClock,
}

impl Default for Bench {
    fn default() -> Self {
        let clock = SimClock::default();
        let truth = Truth::new(clock.clone(), 0, FaultProfile::default(), FaultControl::default());
        Self { truth: SharedTruth::new(truth), clock }
    }
}

impl Bench {
    /// The port.
    #[must_use]
    pub fn cluster(&self) -> SimCluster {
        SimCluster::new(self.truth.clone(), self.clock.clone(), LATENCY, Stream::new(0, "bench"))
    }

    /// Its time, which passes while [`Self::run`] runs.
    #[must_use]
    pub fn platform(&self) -> Arc<dyn Platform> {
        Arc::new(SimPlatform::new(self.clock.clone(), Stream::new(0, "seeds")))
    }

    /// Runs a test to its end.
    pub fn run<T: Send + 'static>(&self, test: impl Future<Output = T> + Send + 'static) -> T {
        run_alone(&self.clock, test)
    }

    fn on_pod<T>(&self, name: &WorkerName, act: impl FnOnce(&mut SimPod) -> T) -> Played<T> {
        self.truth.with(|truth| {
            let pod = truth.boards.pods.get_mut(name);
            Ok(act(pod.ok_or_else(|| format!("there is no pod {name}"))?))
        })
    }
}

#[async_trait]
impl Stage for Bench {
    async fn set_node(&self, node: &Node) -> Played {
        let machine = Machine { node: node.clone(), alive: node.unreachable_since.is_none() };
        self.truth.with(|truth| truth.boards.nodes.insert(node.name.clone(), machine));
        Ok(())
    }

    async fn remove_node(&self, node: &NodeName) -> Played {
        self.truth.with(|truth| truth.boards.nodes.remove(node));
        Ok(())
    }

    async fn bind(&self, pod: &WorkerName, node: &NodeName) -> Played {
        self.on_pod(pod, |pod| pod.pod.node = Some(node.clone()))
    }

    async fn wait(&self, pod: &WorkerName, reason: &str) -> Played {
        self.on_pod(pod, |pod| pod.pod.phase = PodPhase::Pending { reason: Some(reason.to_owned()) })
    }

    async fn start(&self, pod: &WorkerName) -> Played {
        let since = self.clock.now();
        self.on_pod(pod, |pod| pod.pod.phase = PodPhase::Running { since })
    }

    async fn end(&self, pod: &WorkerName, exit_code: i32) -> Played {
        let at = self.clock.now();
        self.on_pod(pod, |pod| {
            pod.pod.phase = match exit_code {
                0 => PodPhase::Succeeded { at },
                _ => PodPhase::Failed { at, exit_code: Some(exit_code), reason: None },
            };
        })
    }

    async fn release(&self, pod: &WorkerName) -> Played {
        self.truth.with(|truth| {
            if !truth.boards.foreign.remove(pod)
                && let Some(number) = truth.boards.pods.get(pod).map(|pod| pod.number)
            {
                truth.forget_pod(number);
            }
        });
        Ok(())
    }

    async fn event(&self, pod: &WorkerName, reason: &str, message: &str) -> Played {
        self.truth.with(|truth| truth.record(pod, "Warning", reason, message));
        Ok(())
    }

    async fn foreign_pod(&self, name: &WorkerName) -> Played {
        self.truth.with(|truth| truth.boards.foreign.insert(name.clone()));
        Ok(())
    }

    async fn facts(&self, pod: &WorkerName) -> Played<Option<PodFacts>> {
        let jit = self.secret(pod).await?;
        Ok(self.truth.with(|truth| {
            if truth.boards.foreign.contains(pod) {
                return Some(PodFacts::default());
            }
            let found = truth.boards.pods.get(pod)?;
            Some(PodFacts {
                jit,
                jit_in_the_open: false,
                killed: found.pod.killed,
                avoided: found.request.avoid.clone(),
            })
        }))
    }

    async fn secret(&self, name: &WorkerName) -> Played<Option<String>> {
        Ok(self.truth.with(|truth| {
            let secret = truth.boards.secrets.get(name)?;
            Some(secret.jit.expose_secret().to_owned())
        }))
    }
}
