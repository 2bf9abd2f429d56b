//! Boards without a device plugin: enrolled by an operator, kept by the leader, withdrawn.

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::{
    github::{NewJob, ORGANIZATION_APP},
    kube::NodeSpec,
};
use serde_json::{Value, json};

use crate::{
    LABELS,
    server::Configuration,
    stage::{Stage, eventually},
};

/// A machine that nobody has labelled, and that has no device plugin.
fn bare(name: &str) -> NodeSpec {
    NodeSpec { labels: [].into(), slots: None, ..NodeSpec::board(name, "none") }
}

/// The same configuration with the kubeconfig of an operator, who has more rights than the server.
fn of_operator(stage: &Stage, postgres: &ThrowAwayPostgres) -> Configuration {
    let configuration = stage.configuration(postgres);
    configuration.write("kubeconfig", &stage.kube.operator_kubeconfig());
    configuration
}

fn slots(stage: &Stage, node: &str) -> Value {
    stage.kube.object("nodes", "", node).unwrap()["status"]["allocatable"]["riseproject.com/runner"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolled_board_serves_jobs_even_after_its_kubelet_forgot_it() {
    let stage = Stage::start(0).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    stage.kubelet.set_node(&bare("lab-1")).await.unwrap();
    let postgres = ThrowAwayPostgres::shared();
    let operator = of_operator(&stage, postgres);
    assert_eq!(operator.rrctl_json(&["nodes", "list"]).await, json!([]));
    let enrolled = operator.rrctl(&["nodes", "enroll", "lab-1", "--board", "spacemit-k1"]).await;
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
    assert_eq!(slots(&stage, "lab-1"), "1");
    let listed = operator.rrctl_json(&["nodes", "list"]).await;
    assert_eq!(
        listed,
        json!([{ "node": "lab-1", "board": "spacemit-k1", "provider": null, "slots": 1,
                 "enrolled_slots": 1, "advertised_by": "enrolled", "ready": true }])
    );

    let server = stage.serve(postgres).await;
    stage.kubelet.forget_slots("lab-1").await.unwrap();
    eventually("the leader advertises it again", async || slots(&stage, "lab-1") == "1").await;
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
    let worker = stage.only_pod().await;
    assert_eq!(stage.kube.object("pods", "default", &worker).unwrap()["spec"]["nodeName"], "lab-1");

    let withdrawn = operator.rrctl(&["nodes", "withdraw", "lab-1"]).await;
    let said = String::from_utf8_lossy(&withdrawn.stderr).into_owned();
    assert!(withdrawn.status.success() && said.contains("1 worker there will finish"), "{said}");
    assert_eq!(slots(&stage, "lab-1"), Value::Null);
    assert_eq!(operator.rrctl_json(&["nodes", "list"]).await, json!([]));
    server.stop().await;
    stage.played_by_the_rules();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_enrolled_is_refused_with_what_to_do() {
    let stage = Stage::start(1).await;
    let operator = of_operator(&stage, ThrowAwayPostgres::shared());
    stage.kubelet.set_node(&bare("lab-1")).await.unwrap();
    for (arguments, said) in [
        (&["enroll", "k1-1", "--board", "spacemit-k1"][..], "its device plugin does what enrolling would"),
        (&["enroll", "nowhere", "--board", "spacemit-k1"], "kubectl get nodes"),
        (&["enroll", "lab-1", "--board", "no label"], "cannot be the value of a label"),
        (&["withdraw", "k1-1"], "was not enrolled"),
        (&["withdraw", "nowhere"], "kubectl get nodes"),
    ] {
        let refused = operator.rrctl(&[&["nodes"], arguments].concat()).await;
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
    let warned = operator.rrctl(&["nodes", "enroll", "lab-1", "--board", "visionfive"]).await;
    let stderr = String::from_utf8_lossy(&warned.stderr).into_owned();
    assert!(warned.status.success() && stderr.contains("no pool"), "{stderr}");
}
