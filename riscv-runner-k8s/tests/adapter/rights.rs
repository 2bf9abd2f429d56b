//! Whether the cluster lets us do what the adapter does.

use riscv_runner_k8s::{RIGHTS, missing_rights};
use riscv_runner_sim::doubles::kube::KubeDouble;

use crate::common::{Fixture, connection, eventually, jit, proof, request};

#[tokio::test]
async fn missing_rights_are_named() {
    let double = KubeDouble::start().await.unwrap();
    let connection = connection(&double.kubeconfig(), "default").await;
    assert_eq!(missing_rights(&connection).await.unwrap(), []);
    double.deny("watch", "nodes");
    double.deny("get", "pods/log");
    let missing = missing_rights(&connection).await.unwrap();
    let named: Vec<_> = missing.iter().map(|right| (right.verb, right.resource)).collect();
    assert_eq!(named, [("get", "pods/log"), ("watch", "nodes")]);
    double.outage(true);
    assert!(missing_rights(&connection).await.is_err(), "no answer is not a yes");
}

#[tokio::test]
async fn every_request_of_the_adapter_has_its_right() {
    use riscv_runner_core::ports::{Cluster, Grace};
    let fixture = Fixture::new().await;
    let before = fixture.double.requests().len();
    let name = request("w1").name;
    fixture.pods().await;
    eventually("nodes are seen", async || fixture.cluster.nodes().await.is_ok()).await;
    fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    let pod = fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    fixture.kubelet.start("w1").await.unwrap();
    fixture.cluster.secrets().await.unwrap();
    fixture.cluster.diagnose(&name).await;
    fixture.cluster.kill(&proof(), &name, &pod.uid).await.unwrap();
    fixture.cluster.delete(&proof(), &name, &pod.uid, Grace::Zero).await.unwrap();
    let mut used: Vec<(String, String)> = fixture.double.requests()[before..]
        .iter()
        .filter(|asked| asked.resource != "pods/status")
        .map(|asked| (format!("{:?}", asked.verb).to_lowercase(), asked.resource.clone()))
        .collect();
    used.sort();
    used.dedup();
    for (verb, resource) in &used {
        assert!(
            RIGHTS.iter().any(|right| right.verb == verb && right.resource == resource),
            "{verb} {resource}"
        );
    }
    assert!(used.len() >= 10, "{used:?}");
}
