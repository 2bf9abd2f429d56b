//! What the adapter knows through its watches, when they work and when they do not.

use std::time::Duration;

use crate::common::{Fixture, eventually, jit, proof, request};
use riscv_runner_core::{
    ids::NodeName,
    ports::{Cluster, PortErrorKind},
};
use riscv_runner_k8s::ClusterOptions;
use riscv_runner_sim::doubles::kube::{Fault, FaultKind, KubeDouble, NodeSpec, Verb};

async fn woken(fixture: &Fixture) -> bool {
    tokio::time::timeout(Duration::from_secs(20), fixture.wake.woken()).await.is_ok()
}

async fn is_running(fixture: &Fixture, name: &str) -> bool {
    use riscv_runner_core::pod::PodPhase;
    let pods = fixture.cluster.pods().await;
    let phase = pods.ok().and_then(|pods| pods.get(&request(name).name).map(|pod| pod.phase.clone()));
    matches!(phase, Some(PodPhase::Running { .. }))
}

#[tokio::test]
async fn a_change_of_a_pod_or_a_node_wakes() {
    let fixture = Fixture::new().await;
    assert!(fixture.pods().await.is_empty());
    assert!(woken(&fixture).await, "sight itself is news");
    fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    fixture.kubelet.start("w1").await.unwrap();
    assert!(woken(&fixture).await);
    eventually("the pod runs", || is_running(&fixture, "w1")).await;
    fixture.kubelet.set_node(&NodeSpec::board("n1", "k1")).await.unwrap();
    assert!(woken(&fixture).await);
}

#[tokio::test]
async fn before_the_first_listing_nothing_is_known() {
    let options =
        ClusterOptions { call_timeout: Duration::from_millis(50), stale_after: Duration::from_secs(5) };
    let double = KubeDouble::start().await.unwrap();
    double.outage(true);
    let connection = crate::common::connection(&double.kubeconfig(), "default").await;
    let cluster = crate::common::started(&connection, options, &[]);
    for error in [cluster.pods().await.unwrap_err(), cluster.nodes().await.unwrap_err()] {
        assert_eq!(error.kind(), PortErrorKind::Transient);
        assert!(error.to_string().contains("the first listing is not complete"), "{error}");
    }
    double.outage(false);
    eventually("sight is gained", async || cluster.pods().await.is_ok() && cluster.nodes().await.is_ok())
        .await;
}

#[tokio::test]
async fn a_long_outage_is_ignorance_and_not_absence() {
    let fixture = Fixture::new().await;
    let created = fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    fixture.double.outage(true);
    eventually("the view becomes stale", async || fixture.cluster.pods().await.is_err()).await;
    let error = fixture.cluster.pods().await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Transient);
    assert!(error.to_string().contains("the watch has been broken for"), "{error}");
    fixture.double.outage(false);
    eventually("sight is regained", async || fixture.cluster.pods().await.is_ok()).await;
    assert_eq!(fixture.pods().await[&request("w1").name].uid, created.uid);
}

#[tokio::test]
async fn a_watch_that_is_forbidden_is_tried_ever_more_seldom_and_told() {
    let fixture = Fixture::new().await;
    fixture.double.inject(Fault::new(FaultKind::Refuse(403)).on(Verb::Watch, "pods").times(u32::MAX));
    fixture.double.drop_watches();
    let lists = || {
        let asked = fixture.double.requests();
        asked.iter().filter(|asked| asked.verb == Verb::List && asked.resource == "pods").count()
    };
    let before = lists();
    let told =
        async |text: &str| fixture.cluster.pods().await.is_err_and(|error| error.to_string().contains(text));
    eventually("it is told", async || told("the watch has been broken for 3s").await).await;
    // At 0, 0, 100, 300, 700, 1500 and 3100 ms.
    assert!((4..10).contains(&(lists() - before)), "{} listings", lists() - before);
    fixture.double.heal();
    eventually("sight is regained", async || fixture.cluster.pods().await.is_ok()).await;
}

#[tokio::test]
async fn what_went_during_an_outage_is_gone_after_it() {
    let fixture = Fixture::new().await;
    fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    fixture.double.inject(Fault::new(FaultKind::Refuse(500)).on(Verb::List, "pods").times(3));
    fixture.double.inject(Fault::new(FaultKind::Refuse(500)).on(Verb::Watch, "pods").times(3));
    fixture.double.drop_watches();
    fixture.kubelet.release("w1").await.unwrap();
    eventually("the pod is gone", async || fixture.cluster.pods().await.is_ok_and(|pods| pods.is_empty()))
        .await;
}

#[tokio::test]
async fn watches_that_are_cut_or_too_old_go_on() {
    let fixture = Fixture::new().await;
    fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    fixture.double.drop_watches();
    fixture.double.compact();
    fixture.kubelet.start("w1").await.unwrap();
    eventually("the change is seen", || is_running(&fixture, "w1")).await;
    fixture.double.compact();
    fixture.double.drop_watches();
    fixture.cluster.create(&proof(), &request("w2"), &jit()).await.unwrap();
    fixture.kubelet.start("w2").await.unwrap();
    eventually("the next change is seen", || is_running(&fixture, "w2")).await;
}

#[tokio::test]
async fn a_node_with_one_of_our_pods_never_looks_gone() {
    let fixture = Fixture::new().await;
    let mut plain = NodeSpec::board("n1", "k1");
    let name = NodeName::new("n1").unwrap();
    fixture.kubelet.set_node(&plain).await.unwrap();
    eventually("the board is seen", async || {
        fixture.cluster.nodes().await.is_ok_and(|nodes| nodes.get(&name).is_some_and(|node| node.slots == 1))
    })
    .await;
    let no_board = NodeSpec { labels: [].into(), slots: None, ..NodeSpec::board("n2", "") };
    fixture.kubelet.set_node(&no_board).await.unwrap();
    fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    fixture.kubelet.bind("w1", "n2").await.unwrap();
    let second = NodeName::new("n2").unwrap();
    eventually("the used node is seen", async || {
        fixture.cluster.nodes().await.is_ok_and(|nodes| nodes.contains_key(&second))
    })
    .await;
    fixture.kubelet.release("w1").await.unwrap();
    eventually("the unused node is not a board", async || {
        fixture.cluster.nodes().await.is_ok_and(|nodes| !nodes.contains_key(&second))
    })
    .await;
    plain.cordoned = true;
    fixture.kubelet.set_node(&plain).await.unwrap();
    eventually("the cordon is seen", async || {
        fixture.cluster.nodes().await.is_ok_and(|nodes| nodes[&name].cordoned)
    })
    .await;
}

fn listings(fixture: &Fixture) -> usize {
    let requests = fixture.double.requests();
    requests.iter().filter(|r| r.verb == Verb::List && r.resource == "pods").count()
}

#[tokio::test]
async fn a_watch_whose_time_is_over_resumes_where_it_ended() {
    let fixture = Fixture::new().await;
    fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    let before = listings(&fixture);
    fixture.double.end_watches();
    fixture.kubelet.start("w1").await.unwrap();
    eventually("the change is seen", || is_running(&fixture, "w1")).await;
    assert_eq!(listings(&fixture), before, "nothing had to be listed again");
}

#[tokio::test]
async fn a_watch_that_cannot_be_resumed_starts_again() {
    let fixture = Fixture::new().await;
    fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    let before = listings(&fixture);
    fixture.double.compact();
    fixture.kubelet.start("w1").await.unwrap();
    eventually("the change is seen", || is_running(&fixture, "w1")).await;
    assert!(listings(&fixture) > before, "the history was forgotten (410), so all is listed");
}
