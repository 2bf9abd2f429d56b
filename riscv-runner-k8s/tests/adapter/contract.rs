//! The cluster contract, on the adapter in front of the double, and in front of a real API server when
//! `RRCTL_TEST_KUBECONFIG` names one (bare: no kubelet, no scheduler, no controllers).

use std::sync::Arc;

use crate::common::{Fixture, RealTime, connection, pool, proof};
use riscv_runner_k8s::{ClusterOptions, KubeCluster};
use riscv_runner_sim::{
    contract::cluster::{CHECKS, Subject, check_all},
    doubles::kube::Kubelet,
};

fn subject(cluster: Arc<KubeCluster>, kubelet: Kubelet, prefix: &str) -> Subject {
    Subject {
        cluster,
        stage: Arc::new(kubelet),
        platform: Arc::new(RealTime),
        prefix: prefix.to_owned(),
        pool: pool(),
        proof: proof(),
    }
}

/// Every law, in front of a double.
pub(crate) async fn every_check(fixture: &Fixture) {
    let subject = subject(Arc::clone(&fixture.cluster), fixture.kubelet.clone(), "contract-");
    for (name, check) in CHECKS {
        check(&subject).await;
        assert_eq!(fixture.double.violations(), Vec::<String>::new(), "{name}");
        assert_eq!(fixture.double.names("pods"), Vec::<String>::new(), "{name} leaves nothing behind");
        assert_eq!(fixture.double.names("secrets"), Vec::<String>::new(), "{name} leaves nothing behind");
    }
}

async fn on_a_real_api_server(kubeconfig: &str) {
    let namespace = "riscv-runner-contract";
    let prefix = format!("contract-{}-", std::process::id());
    let kubelet = Kubelet::connect(kubeconfig, namespace).await.unwrap();
    let connection = connection(kubeconfig, namespace).await;
    let cluster = crate::common::started(&connection, ClusterOptions::default(), &[]);
    check_all(&subject(Arc::new(cluster), kubelet, &prefix)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_adapter_keeps_the_contract() {
    every_check(&Fixture::new().await).await;
    if let Some(path) = std::env::var_os("RRCTL_TEST_KUBECONFIG") {
        on_a_real_api_server(&std::fs::read_to_string(path).unwrap()).await;
    }
}
