//! Laws about observing: what kubelets and machines report is told in the domain's words.

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use riscv_runner_core::pod::{Node, PodPhase};

use super::Subject;

pub(super) fn phases_are_told(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let (request, node) = (subject.request("phases"), subject.node("phases"));
        let (name, stage) = (&request.name, &subject.stage);
        subject.created(&request).await;
        stage.set_node(&node).await.expect("the node is there");
        stage.bind(name, &node.name).await.expect("the pod is bound");
        let bound = subject.pod_becomes(name, "bound", |pod| pod.node.is_some()).await;
        assert_eq!(bound.node.as_ref(), Some(&node.name));
        assert!(matches!(bound.phase, PodPhase::Pending { .. }), "{bound:?}");

        stage.wait(name, "ImagePullBackOff").await.expect("the container waits");
        let stuck = PodPhase::Pending { reason: Some("ImagePullBackOff".to_owned()) };
        subject.pod_becomes(name, "stuck", |pod| pod.phase == stuck).await;

        stage.start(name).await.expect("the container starts");
        let running =
            subject.pod_becomes(name, "running", |pod| matches!(pod.phase, PodPhase::Running { .. })).await;
        assert!(running.holds_slot());

        stage.end(name, 0).await.expect("the container ends");
        let ended =
            subject.pod_becomes(name, "over", |pod| matches!(pod.phase, PodPhase::Succeeded { .. })).await;
        assert!(ended.phase.ended_at() >= Some(ended.created_at) && !ended.holds_slot(), "{ended:?}");
        subject.clean(&request, Some(&node)).await;
    }
    .boxed()
}

pub(super) fn a_failure_has_its_exit_code(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let (request, _, node) = subject.running("failing").await;
        subject.stage.end(&request.name, 7).await.expect("the container ends");
        let failed = subject
            .pod_becomes(&request.name, "failed", |pod| matches!(pod.phase, PodPhase::Failed { .. }))
            .await;
        let PodPhase::Failed { exit_code, .. } = failed.phase else { unreachable!("it was looked at") };
        assert_eq!(exit_code, Some(7), "by which an image that GitHub refuses is known");
        subject.clean(&request, Some(&node)).await;
    }
    .boxed()
}

pub(super) fn machines_are_told(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let ready = subject.node("machine");
        let unreachable_since = Some(Timestamp::from_second(1_700_000_000).expect("a time"));
        let looks = [
            ready.clone(),
            Node { cordoned: true, ..ready.clone() },
            Node { ready: false, slots: 0, ..ready.clone() },
            Node { ready: false, unreachable_since, ..ready.clone() },
            Node { slots: 2, ..ready.clone() },
        ];
        for look in &looks {
            subject.stage.set_node(look).await.expect("the machine changes");
            let told = async || {
                let nodes = subject.cluster.nodes().await.expect("nodes can be observed");
                nodes.get(&look.name).filter(|node| same_machine(node, look)).cloned()
            };
            subject.eventually(&format!("the machine looks like {look:?}"), told).await;
        }
        subject.stage.remove_node(&ready.name).await.expect("the machine goes");
        let gone = async || {
            let nodes = subject.cluster.nodes().await.expect("nodes can be observed");
            (!nodes.contains_key(&ready.name)).then_some(())
        };
        subject.eventually("the machine is gone", gone).await;
    }
    .boxed()
}

/// Clusters put labels of their own on machines.
fn same_machine(found: &Node, wanted: &Node) -> bool {
    found.matches(&wanted.labels) && *wanted == Node { labels: wanted.labels.clone(), ..found.clone() }
}

pub(super) fn a_failed_pod_can_be_diagnosed(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let (request, _, node) = subject.running("diagnosed").await;
        subject.stage.event(&request.name, "Pulled", "the image was there").await.expect("an event");
        subject.stage.event(&request.name, "BackOff", "it does not work").await.expect("an event");
        subject.stage.end(&request.name, 3).await.expect("the container ends");
        let diagnostics = subject.cluster.diagnose(&request.name).await;
        let end = diagnostics.containers.get("runner").expect("the runner's container is told");
        assert_eq!(end.exit_code, Some(3));
        let reasons: Vec<&str> = diagnostics.events.iter().map(|event| &*event.reason).collect();
        assert_eq!(reasons, ["Pulled", "BackOff"], "oldest first");
        subject.clean(&request, Some(&node)).await;
    }
    .boxed()
}

pub(super) fn diagnosing_what_is_not_there_does_not_fail(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let diagnostics = subject.cluster.diagnose(&subject.name("nowhere")).await;
        assert!(diagnostics.collect_error.is_some(), "it says why it is empty");
        assert!(diagnostics.containers.is_empty());
    }
    .boxed()
}
