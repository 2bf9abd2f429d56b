//! Whether the cluster lets us do what the adapter does, and whether what we ask for is what we use.

use std::{collections::BTreeSet, path::Path};

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use riscv_runner_core::ports::{Cluster, Grace};
use riscv_runner_k8s::{RIGHTS, missing_rights};
use riscv_runner_sim::doubles::kube::KubeDouble;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    common::{Fixture, connection, eventually, jit, proof, request},
    contract,
};

type Rights = BTreeSet<(String, String, bool)>;

fn declared() -> Rights {
    RIGHTS.iter().map(|right| (right.verb.to_owned(), right.resource.to_owned(), right.namespaced)).collect()
}

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
async fn what_is_not_granted_is_refused_and_noted() {
    let fixture = Fixture::new().await;
    fixture.double.allow_only("elsewhere", [("list", "secrets", true)]);
    let error = fixture.cluster.secrets().await.unwrap_err();
    assert!(error.chain().contains("cannot list resource \"secrets\""), "{}", error.chain());
    let connection = connection(&fixture.double.kubeconfig(), "default").await;
    assert_eq!(missing_rights(&connection).await.unwrap().len(), RIGHTS.len() - 1);
    assert!(fixture.double.violations().contains(&"list secrets: not granted".to_owned()));
}

/// The double refuses whatever is not among the declared rights, here and in every other test. This looks
/// at the other side: after the whole contract and everything else that the port can do, no right is unused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "a reviewer wants to see the list")]
async fn every_right_is_used() {
    let fixture = Fixture::new().await;
    contract::every_check(&fixture).await;
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
    let used: BTreeSet<(String, String)> = fixture
        .double
        .used_rights()
        .into_iter()
        .map(|(verb, resource)| (verb.to_owned(), resource))
        .collect();
    let granted: BTreeSet<_> = declared().into_iter().map(|(verb, resource, _)| (verb, resource)).collect();
    for (verb, resource) in &used {
        println!("used: {verb} {resource}");
    }
    assert_eq!(used, granted);
    fixture.assert_clean();
}

#[test]
fn the_shipped_roles_grant_the_rights_and_no_more() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/manifests/rbac.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let mut granted = Rights::new();
    for role in of_kind::<Role>(&documents, "Role") {
        granted.extend(rights_of(role.rules.unwrap(), true));
    }
    for role in of_kind::<ClusterRole>(&documents, "ClusterRole") {
        granted.extend(rights_of(role.rules.unwrap(), false));
    }
    assert_eq!(granted, declared());
}

fn of_kind<K: DeserializeOwned>(documents: &[Value], kind: &str) -> Vec<K> {
    let of_kind = documents.iter().filter(|document| document["kind"] == kind);
    let read: Vec<K> = of_kind.map(|document| serde_json::from_value(document.clone()).unwrap()).collect();
    assert!(!read.is_empty(), "there is a {kind}");
    read
}

fn rights_of(rules: Vec<PolicyRule>, namespaced: bool) -> Rights {
    let mut rights = Rights::new();
    for rule in rules {
        assert_eq!(rule.api_groups, Some(vec![String::new()]), "everything used is of the core group");
        assert!(rule.resource_names.is_none() && rule.non_resource_urls.is_none());
        for resource in rule.resources.unwrap() {
            for verb in &rule.verbs {
                assert_ne!(verb, "*");
                rights.insert((verb.clone(), resource.clone(), namespaced));
            }
        }
    }
    rights
}
