//! What the adapter sends when it changes something, and what it does when that goes wrong.

use std::time::Duration;

use crate::common::{Fixture, jit, proof, request};
use riscv_runner_core::{
    ids::PoolName,
    ports::{Cluster, Grace, PortErrorKind, PortResult},
};
use riscv_runner_k8s::ClusterOptions;
use riscv_runner_sim::doubles::kube::{Fault, FaultKind, NodeSpec, Verb};
use serde_json::json;

impl Fixture {
    async fn create(&self, name: &str) -> PortResult<riscv_runner_core::ports::CreatedPod> {
        self.cluster.create(&proof(), &request(name), &jit()).await
    }

    fn writes(&self) -> Vec<String> {
        let requests = self.double.requests().into_iter();
        requests
            .filter(|r| !matches!(r.verb, Verb::Get | Verb::List | Verb::Watch))
            .filter(|r| matches!(&*r.resource, "pods" | "secrets"))
            .map(|r| format!("{} {}", r.method, r.path))
            .collect()
    }
}

#[tokio::test]
async fn the_secret_comes_before_the_pod() {
    let fixture = Fixture::new().await;
    fixture.create("w1").await.unwrap();
    let namespace = "/api/v1/namespaces/default";
    assert_eq!(fixture.writes(), [format!("POST {namespace}/secrets"), format!("POST {namespace}/pods")]);
    fixture.assert_clean();
}

#[tokio::test]
async fn a_pod_that_is_refused_for_certain_takes_its_secret_back() {
    let fixture = Fixture::new().await;
    for (status, kind) in
        [(403, PortErrorKind::Denied), (422, PortErrorKind::Denied), (404, PortErrorKind::NotFound)]
    {
        fixture.double.inject(Fault::new(FaultKind::Refuse(status)).on(Verb::Create, "pods"));
        let error = fixture.create("w1").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", error.chain());
        assert_eq!(fixture.double.names("secrets"), Vec::<String>::new(), "{status}");
    }
}

#[tokio::test]
async fn an_unclear_answer_leaves_everything_and_the_repetition_finds_the_pod() {
    let fixture = Fixture::new().await;
    fixture.double.inject(Fault::new(FaultKind::PerformThenFail(500)).on(Verb::Create, "pods"));
    let error = fixture.create("w1").await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Transient);
    assert_eq!(fixture.double.names("secrets"), ["w1"], "the pod may be there and need it");
    let uid = fixture.create("w1").await.unwrap().uid;
    assert_eq!(fixture.double.object("pods", "default", "w1").unwrap()["metadata"]["uid"], uid.as_str());
    assert_eq!(fixture.pods().await.len(), 1);
    fixture.assert_clean();
}

#[tokio::test]
async fn overload_and_silence_are_transient() {
    let options =
        ClusterOptions { call_timeout: Duration::from_millis(200), stale_after: Duration::from_secs(5) };
    let fixture = Fixture::with(options).await;
    for fault in [FaultKind::Refuse(429), FaultKind::Refuse(503), FaultKind::Delay(Duration::from_secs(30))] {
        fixture.double.inject(Fault::new(fault).on(Verb::Create, "secrets"));
        let error = fixture.create("w1").await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Transient, "{fault:?}");
    }
    assert_eq!(fixture.writes().len(), 3, "nothing is retried below the port");
}

#[tokio::test]
async fn somebody_elses_secret_is_not_overwritten() {
    let fixture = Fixture::new().await;
    let client = crate::common::connection(&fixture.double.kubeconfig(), "default").await;
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(client.client().clone(), "default");
    let theirs =
        serde_json::from_value(json!({ "metadata": { "name": "w1" }, "stringData": { "a": "b" } })).unwrap();
    secrets.create(&kube::api::PostParams::default(), &theirs).await.unwrap();
    let error = fixture.create("w1").await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{}", error.chain());
    assert_eq!(fixture.double.object("secrets", "default", "w1").unwrap()["data"], json!({ "a": "Yg==" }));
    assert_eq!(fixture.double.names("pods"), Vec::<String>::new());
}

#[tokio::test]
async fn a_pool_without_a_template_creates_nothing() {
    let fixture = Fixture::new().await;
    let mut unknown = request("w1");
    unknown.pool = PoolName::new("unknown").unwrap();
    let error = fixture.cluster.create(&proof(), &unknown, &jit()).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Denied);
    assert!(error.to_string().contains("pool unknown has no pod template"), "{error}");
    assert_eq!(fixture.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn new_templates_hold_from_the_next_pod_on() {
    let fixture = Fixture::new().await;
    fixture.create("w1").await.unwrap();
    let mut templates = crate::common::templates();
    templates.values_mut().for_each(|pool| pool.template.active_deadline_seconds = 60);
    fixture.cluster.replace_templates(templates);
    fixture.create("w2").await.unwrap();
    let deadline = |name: &str| {
        fixture.double.object("pods", "default", name).unwrap()["spec"]["activeDeadlineSeconds"].clone()
    };
    assert_eq!((deadline("w1"), deadline("w2")), (json!(525_600), json!(60)));
}

#[tokio::test]
async fn a_kill_is_one_patch_that_names_the_uid() {
    let fixture = Fixture::new().await;
    let pod = fixture.create("w1").await.unwrap();
    fixture.cluster.kill(&proof(), &request("w1").name, &pod.uid).await.unwrap();
    let last = fixture.double.requests().into_iter().rfind(|r| r.verb == Verb::Patch).unwrap();
    assert_eq!(last.path, "/api/v1/namespaces/default/pods/w1");
    let body = json!({ "metadata": { "uid": pod.uid }, "spec": { "activeDeadlineSeconds": 1 } });
    assert_eq!(last.body, Some(body));
    fixture.assert_clean();
}

#[tokio::test]
async fn a_deletion_names_the_uid_and_its_grace() {
    let fixture = Fixture::new().await;
    fixture.kubelet.set_node(&NodeSpec::board("n1", "spacemit-k1")).await.unwrap();
    for (name, grace, body_grace) in [("w1", Grace::Default, json!(null)), ("w2", Grace::Zero, json!(0))] {
        let pod = fixture.create(name).await.unwrap();
        fixture.kubelet.bind(name, "n1").await.unwrap();
        fixture.cluster.delete(&proof(), &request(name).name, &pod.uid, grace).await.unwrap();
        let mut sent = fixture.double.requests().into_iter();
        let body = sent.rfind(|r| r.verb == Verb::Delete && r.resource == "pods").unwrap().body.unwrap();
        assert_eq!(body["preconditions"], json!({ "uid": pod.uid }));
        assert_eq!(body["gracePeriodSeconds"], body_grace);
    }
    assert_eq!(fixture.double.names("secrets"), Vec::<String>::new());
    assert_eq!(fixture.double.names("pods"), ["w1"], "its kubelet has it still");
    assert!(fixture.pods().await[&request("w1").name].deleting);
    fixture.assert_clean();
}

#[tokio::test]
async fn a_secret_that_could_not_be_deleted_is_an_error_and_may_be_tried_again() {
    let fixture = Fixture::new().await;
    let pod = fixture.create("w1").await.unwrap();
    let name = request("w1").name;
    fixture.double.inject(Fault::new(FaultKind::Refuse(500)).on(Verb::Delete, "secrets"));
    let error = fixture.cluster.delete(&proof(), &name, &pod.uid, Grace::Zero).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Transient);
    fixture.cluster.delete(&proof(), &name, &pod.uid, Grace::Zero).await.unwrap();
    assert_eq!(fixture.double.names("secrets"), Vec::<String>::new());
}

#[tokio::test]
async fn secrets_are_listed_without_their_content() {
    let fixture = Fixture::new().await;
    fixture.create("w1").await.unwrap();
    let secrets = fixture.cluster.secrets().await.unwrap();
    assert_eq!(secrets.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(), ["w1"]);
    let listing = fixture.double.requests().into_iter().rfind(|r| r.resource == "secrets").unwrap();
    assert!(listing.query.contains("labelSelector=app%3Drise-riscv-runner"), "{}", listing.query);
    fixture.double.inject(Fault::new(FaultKind::Refuse(500)).on(Verb::List, "secrets"));
    assert_eq!(fixture.cluster.secrets().await.unwrap_err().kind(), PortErrorKind::Transient);
}
