//! The double itself, through an ordinary client: what a real API server would refuse, it refuses.

use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::{ConfigMap, Pod},
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use super::{Fault, FaultKind, KubeDouble, Kubelet, NodeSpec, Verb};

struct Fixture {
    double: KubeDouble,
    client: Client,
    pods: Api<Pod>,
}

async fn fixture() -> Fixture {
    let double = KubeDouble::start().await.unwrap();
    let kubeconfig = Kubeconfig::from_yaml(&double.kubeconfig()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    let client = Client::try_from(config).unwrap();
    let pods = Api::namespaced(client.clone(), "default");
    Fixture { double, client, pods }
}

fn pod(name: &str, spec: &Value) -> Pod {
    serde_json::from_value(json!({ "metadata": { "name": name, "labels": { "n": name } }, "spec": spec }))
        .unwrap()
}

fn plain(name: &str) -> Pod {
    pod(name, &json!({ "containers": [{ "name": "main", "image": "i" }] }))
}

#[track_caller]
fn refused<T>(answer: kube::Result<T>, code: u16, reason: &str) {
    match answer {
        Err(kube::Error::Api(status)) => {
            assert_eq!((status.code, &*status.reason), (code, reason), "{status}");
        }
        Err(other) => panic!("no refusal but {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

impl Fixture {
    async fn create(&self, pod: &Pod) -> kube::Result<Pod> {
        self.pods.create(&PostParams::default(), pod).await
    }

    async fn merge(&self, name: &str, patch: Value) -> kube::Result<Pod> {
        self.pods.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }
}

#[tokio::test]
async fn new_objects_are_checked_and_filled_in() {
    let fixture = fixture().await;
    let created = fixture.create(&plain("a")).await.unwrap();
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some());
    assert_eq!(created.status.unwrap().phase.as_deref(), Some("Pending"));
    refused(fixture.create(&plain("a")).await, 409, "AlreadyExists");
    refused(fixture.create(&plain("Not_A_Name")).await, 422, "Invalid");
    refused(fixture.create(&pod("b", &json!({ "containers": [] }))).await, 422, "Invalid");
    let dangling = json!({ "containers": [{ "name": "m", "image": "i",
        "volumeMounts": [{ "name": "v", "mountPath": "/v" }] }] });
    refused(fixture.create(&pod("b", &dangling)).await, 422, "Invalid");
    let elsewhere: Api<Pod> = Api::namespaced(fixture.client.clone(), "nowhere");
    refused(elsewhere.create(&PostParams::default(), &plain("a")).await, 404, "NotFound");
}

#[tokio::test]
async fn only_some_of_a_pod_may_change() {
    let fixture = fixture().await;
    fixture.create(&plain("a")).await.unwrap();
    fixture.merge("a", json!({ "spec": { "activeDeadlineSeconds": 60 } })).await.unwrap();
    fixture.merge("a", json!({ "spec": { "activeDeadlineSeconds": 1 } })).await.unwrap();
    refused(fixture.merge("a", json!({ "spec": { "activeDeadlineSeconds": 2 } })).await, 422, "Invalid");
    refused(fixture.merge("a", json!({ "spec": { "activeDeadlineSeconds": null } })).await, 422, "Invalid");
    refused(fixture.merge("a", json!({ "spec": { "nodeName": "n" } })).await, 422, "Invalid");
    refused(fixture.merge("a", json!({ "metadata": { "uid": "other" } })).await, 422, "Invalid");
    refused(fixture.merge("a", json!({ "metadata": { "resourceVersion": "1" } })).await, 409, "Conflict");
    let patched = fixture.merge("a", json!({ "status": { "phase": "Running" } })).await.unwrap();
    assert_eq!(patched.status.unwrap().phase.as_deref(), Some("Pending"), "status has its own door");
}

#[tokio::test]
async fn versions_grow_with_changes_alone() {
    let fixture = fixture().await;
    let version = |pod: &Pod| pod.metadata.resource_version.clone().unwrap().parse::<u64>().unwrap();
    let first = fixture.create(&plain("a")).await.unwrap();
    let labels = json!({ "metadata": { "labels": { "x": "y" } } });
    let second = fixture.merge("a", labels.clone()).await.unwrap();
    let third = fixture.merge("a", labels).await.unwrap();
    assert!(version(&first) < version(&second));
    assert_eq!(version(&second), version(&third));
}

#[tokio::test]
async fn pods_are_bound_once_and_stay_until_their_kubelet_lets_them_go() {
    let fixture = fixture().await;
    let kubelet = Kubelet::connect(&fixture.double.kubeconfig(), "default").await.unwrap();
    kubelet.set_node(&NodeSpec::board("n1", "k1")).await.unwrap();
    fixture.create(&plain("a")).await.unwrap();
    kubelet.bind("a", "n1").await.unwrap();
    assert!(kubelet.bind("a", "n1").await.is_err());
    let ending = fixture.pods.delete("a", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(ending.metadata.deletion_grace_period_seconds, Some(30));
    assert!(fixture.double.violations().iter().any(|violation| violation.contains("whatever its uid")));
    kubelet.release("a").await.unwrap();
    refused(fixture.pods.get("a").await, 404, "NotFound");

    fixture.create(&plain("b")).await.unwrap();
    fixture.pods.delete("b", &DeleteParams::default()).await.unwrap();
    assert!(fixture.double.names("pods").is_empty(), "an unbound pod has no kubelet to wait for");
}

#[tokio::test]
async fn misuse_is_a_violation() {
    let fixture = fixture().await;
    let open = json!({ "containers": [{ "name": "m", "image": "i", "env": [
        { "name": "RUNNER_JITCONFIG", "value": "secret" },
        { "name": "X", "valueFrom": { "secretKeyRef": { "name": "missing", "key": "k" } } },
    ]}]});
    fixture.create(&pod("a", &open)).await.unwrap();
    let unknown: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    refused(unknown.list(&ListParams::default()).await, 404, "NotFound");
    let violations = fixture.double.violations();
    for part in ["RUNNER_JITCONFIG as a literal", "secret missing", "no such resource"] {
        assert!(violations.iter().any(|violation| violation.contains(part)), "{part}: {violations:?}");
    }
}

#[tokio::test]
async fn selectors_select_and_faults_are_used_up() {
    let fixture = fixture().await;
    fixture.create(&plain("a")).await.unwrap();
    fixture.create(&plain("b")).await.unwrap();
    let names = |list: kube::core::ObjectList<Pod>| -> Vec<String> {
        list.items.into_iter().filter_map(|pod| pod.metadata.name).collect()
    };
    let labelled = fixture.pods.list(&ListParams::default().labels("n in (b)")).await.unwrap();
    assert_eq!(names(labelled), ["b"]);
    let named = fixture.pods.list(&ListParams::default().fields("metadata.name!=b")).await.unwrap();
    assert_eq!(names(named), ["a"]);
    refused(fixture.pods.list(&ListParams::default().fields("spec.color=red")).await, 400, "BadRequest");

    fixture.double.inject(Fault::new(FaultKind::Refuse(503)).on(Verb::Get, "pods").times(2));
    fixture.double.inject(Fault::new(FaultKind::PerformThenFail(500)).on(Verb::Create, "pods"));
    for _ in 0..2 {
        refused(fixture.pods.get("a").await, 503, "ServiceUnavailable");
    }
    fixture.pods.get("a").await.unwrap();
    refused(fixture.create(&plain("c")).await, 500, "InternalError");
    fixture.pods.get("c").await.unwrap();
}

#[tokio::test]
async fn access_is_reviewed() {
    let fixture = fixture().await;
    fixture.double.deny("create", "pods");
    let reviews: Api<SelfSubjectAccessReview> = Api::all(fixture.client.clone());
    for (verb, resource, allowed) in [("create", "pods", false), ("list", "nodes", true)] {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(verb.to_owned()),
                    resource: Some(resource.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        assert_eq!(answer.status.unwrap().allowed, allowed, "{verb} {resource}");
    }
}
