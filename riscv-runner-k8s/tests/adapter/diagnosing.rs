//! What can be had about a pod that failed.

use crate::common::{Fixture, jit, proof, request};
use riscv_runner_core::{failure::MAX_LOG_BYTES, ports::Cluster};
use riscv_runner_sim::doubles::kube::{Fault, FaultKind, NodeSpec, Verb};

async fn failed_pod() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    fixture.kubelet.set_node(&NodeSpec::board("n1", "k1")).await.unwrap();
    fixture.kubelet.bind("w1", "n1").await.unwrap();
    fixture.kubelet.start("w1").await.unwrap();
    fixture.kubelet.enforce_deadline("w1").await.unwrap();
    fixture
}

#[tokio::test]
async fn the_end_of_the_log_is_kept() {
    let fixture = failed_pod().await;
    let line = |n: usize| format!("line {n:06} {}\n", "ü".repeat(100));
    fixture.double.write_log("w1", "runner", (0..20_000).map(line).collect::<String>());
    let diagnostics = fixture.cluster.diagnose(&request("w1").name).await;
    assert_eq!(diagnostics.collect_error, None);
    assert_eq!(diagnostics.pod_reason.as_deref(), Some("DeadlineExceeded"));
    assert!(diagnostics.pod_message.is_some());
    let runner = &diagnostics.containers["runner"];
    assert_eq!((runner.exit_code, runner.reason.as_deref()), (Some(137), Some("Error")));
    let log = runner.logs.as_deref().unwrap();
    assert!(log.ends_with(&line(19_999)), "{}", &log[log.len() - 300..]);
    assert!(log.len() <= MAX_LOG_BYTES && log.len() > MAX_LOG_BYTES - 4, "{}", log.len());
}

#[tokio::test]
async fn a_container_that_never_started_has_no_log_to_ask_for() {
    let fixture = Fixture::new().await;
    fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    fixture.kubelet.wait("w1", "ErrImagePull").await.unwrap();
    let diagnostics = fixture.cluster.diagnose(&request("w1").name).await;
    assert_eq!(diagnostics.collect_error, None);
    let runner = &diagnostics.containers["runner"];
    assert_eq!((runner.reason.as_deref(), runner.logs.as_deref()), (Some("ErrImagePull"), None));
    assert!(fixture.double.requests().iter().all(|r| r.resource != "pods/log"));
}

#[tokio::test]
async fn what_cannot_be_had_is_named() {
    let fixture = failed_pod().await;
    fixture.double.inject(Fault::new(FaultKind::Refuse(500)).on(Verb::Get, "pods/log"));
    fixture.double.inject(Fault::new(FaultKind::Refuse(403)).on(Verb::List, "events"));
    let diagnostics = fixture.cluster.diagnose(&request("w1").name).await;
    let error = diagnostics.collect_error.unwrap();
    assert!(error.contains("log of runner: ") && error.contains("; events: "), "{error}");
    assert_eq!(diagnostics.containers["runner"].exit_code, Some(137), "the rest is there");
    assert_eq!(diagnostics.containers["runner"].logs, None);
}

#[tokio::test]
async fn events_are_of_this_pod_and_not_of_its_predecessor() {
    let fixture = failed_pod().await;
    fixture.kubelet.event("w1", 1, "OfTheFirst", "").await.unwrap();
    fixture.kubelet.release("w1").await.unwrap();
    fixture.cluster.create(&proof(), &request("w1"), &jit()).await.unwrap();
    fixture.kubelet.event("w1", 3, "Later", "b").await.unwrap();
    fixture.kubelet.event("w1", 2, "Earlier", "a").await.unwrap();
    let events = fixture.cluster.diagnose(&request("w1").name).await.events;
    let reasons: Vec<&str> = events.iter().map(|event| &*event.reason).collect();
    assert_eq!(reasons, ["Earlier", "Later"]);
    assert_eq!((events[0].kind.as_str(), events[0].count), ("Warning", 1));
}
