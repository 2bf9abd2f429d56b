//! The played kubelet on its own: pods go their course while the adapter watches.

use std::time::Duration;

use crate::common::{Fixture, eventually, jit, proof, request};
use riscv_runner_core::{
    pod::{Pod, PodPhase},
    ports::{Cluster, Grace},
};
use riscv_runner_sim::doubles::kube::{Behaviour, Course, NodeSpec};

fn behave(name: &str) -> Behaviour {
    let course = match name {
        "ends" => Course::RunFor(Duration::from_millis(20), 0),
        "fails" => Course::RunFor(Duration::from_millis(20), 7),
        "stuck" => Course::Stuck("ImagePullBackOff"),
        "homeless" => Course::NeverScheduled,
        _ => Course::RunOn,
    };
    Behaviour { course, ..Behaviour::default() }
}

async fn becomes(fixture: &Fixture, name: &str, what: &str, holds: impl Fn(&Pod) -> bool) {
    let name = request(name).name;
    let seen = async || fixture.cluster.pods().await.is_ok_and(|pods| pods.get(&name).is_some_and(&holds));
    eventually(&format!("{name} becomes {what}"), seen).await;
}

#[tokio::test]
async fn pods_go_their_course() {
    let fixture = Fixture::new().await;
    let _pilot = fixture.kubelet.autopilot(behave);
    for n in 0..5 {
        fixture.kubelet.set_node(&NodeSpec::board(&format!("n{n}"), "spacemit-k1")).await.unwrap();
    }
    let mut uid = None;
    for name in ["ends", "fails", "stuck", "homeless", "runs"] {
        uid = Some(fixture.cluster.create(&proof(), &request(name), &jit()).await.unwrap().uid);
    }
    let waits = |reason: &'static str| {
        move |pod: &Pod| pod.phase == PodPhase::Pending { reason: Some(reason.to_owned()) }
    };
    becomes(&fixture, "ends", "over", |pod| matches!(pod.phase, PodPhase::Succeeded { .. })).await;
    let seven = |pod: &Pod| matches!(pod.phase, PodPhase::Failed { exit_code: Some(7), .. });
    becomes(&fixture, "fails", "failed", seven).await;
    becomes(&fixture, "stuck", "stuck", waits("ImagePullBackOff")).await;
    becomes(&fixture, "homeless", "unschedulable", waits("Unschedulable")).await;
    becomes(&fixture, "runs", "running", |pod| matches!(pod.phase, PodPhase::Running { .. })).await;

    let runs = request("runs").name;
    fixture.cluster.kill(&proof(), &runs, uid.as_ref().unwrap()).await.unwrap();
    let ended = |pod: &Pod| matches!(&pod.phase, PodPhase::Failed { reason: Some(reason), .. } if reason == "DeadlineExceeded");
    becomes(&fixture, "runs", "ended by its kubelet", ended).await;
    fixture.assert_clean();
}

#[tokio::test]
async fn one_slot_takes_one_pod_at_a_time() {
    let fixture = Fixture::new().await;
    let _pilot = fixture.kubelet.autopilot(behave);
    fixture.kubelet.set_node(&NodeSpec::board("n1", "spacemit-k1")).await.unwrap();
    fixture.kubelet.set_node(&NodeSpec::board("other", "spacemit-k3")).await.unwrap();
    let first = fixture.cluster.create(&proof(), &request("first"), &jit()).await.unwrap();
    let running = |pod: &Pod| matches!(pod.phase, PodPhase::Running { .. });
    becomes(&fixture, "first", "running", running).await;
    fixture.cluster.create(&proof(), &request("second"), &jit()).await.unwrap();
    let name = request("first").name;
    fixture.cluster.delete(&proof(), &name, &first.uid, Grace::Default).await.unwrap();
    becomes(&fixture, "second", "running where the first was", |pod| {
        running(pod) && pod.node.as_ref().is_some_and(|node| node.as_str() == "n1")
    })
    .await;
    assert!(!fixture.pods().await.contains_key(&name), "the slot was free only after the first had gone");
}
