//! Laws about ending: only the pod that was meant, through its kubelet where there is one, and with
//! its secret.

use futures::{FutureExt, future::BoxFuture};
use riscv_runner_core::{
    ids::PodUid,
    pod::PodPhase,
    ports::{Grace, PortErrorKind},
};

use super::Subject;

fn another() -> PodUid {
    PodUid::new("11111111-2222-4333-8444-555555555555").expect("a uid")
}

pub(super) fn a_kill_tells_the_kubelet(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let (request, created, node) = subject.running("killed").await;
        let (name, cluster) = (&request.name, &subject.cluster);
        for attempt in ["the first", "a repeated"] {
            let killed = cluster.kill(&subject.proof, name, &created.uid).await;
            assert!(killed.is_ok(), "{attempt} kill: {killed:?}");
        }
        assert!(subject.facts(name).await.is_some_and(|facts| facts.killed));
        let pod = subject.listed(name).await.expect("the kubelet has not acted yet");
        assert!(pod.killed && pod.holds_slot() && !pod.deleting, "{pod:?}");

        subject.stage.end(name, 137).await.expect("the kubelet acts");
        subject.pod_becomes(name, "failed", |pod| matches!(pod.phase, PodPhase::Failed { .. })).await;
        cluster.kill(&subject.proof, name, &created.uid).await.expect("what has ended needs no kill");
        subject.clean(&request, Some(&node)).await;
        cluster.kill(&subject.proof, name, &created.uid).await.expect("what is gone needs no kill");
    }
    .boxed()
}

pub(super) fn only_the_pod_meant_is_killed(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let (request, _, node) = subject.running("spared").await;
        let refused = subject.cluster.kill(&subject.proof, &request.name, &another()).await;
        assert_eq!(refused.expect_err("it is another pod").kind(), PortErrorKind::Conflict);
        assert!(subject.facts(&request.name).await.is_some_and(|facts| !facts.killed));
        subject.clean(&request, Some(&node)).await;
    }
    .boxed()
}

pub(super) fn only_the_pod_meant_is_deleted(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let request = subject.request("kept");
        subject.created(&request).await;
        for grace in [Grace::Default, Grace::Zero] {
            let refused = subject.cluster.delete(&subject.proof, &request.name, &another(), grace).await;
            assert_eq!(refused.expect_err("it is another pod").kind(), PortErrorKind::Conflict);
        }
        let facts = subject.facts(&request.name).await.expect("it is still there");
        assert!(facts.jit.is_some(), "and so is its secret");
        subject.clean(&request, None).await;
    }
    .boxed()
}

pub(super) fn a_deleted_pod_takes_its_secret_with_it(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let (request, created, node) = subject.running("gone").await;
        let (name, cluster) = (&request.name, &subject.cluster);
        cluster.delete(&subject.proof, name, &created.uid, Grace::Zero).await.expect("it is deleted");
        assert_eq!(subject.listed(name).await, None, "a listing after the answer does not show it");
        assert_eq!(subject.facts(name).await, None);
        assert_eq!(subject.stage.secret(name).await.expect("secrets can be looked at"), None);
        let again = cluster.delete(&subject.proof, name, &created.uid, Grace::Zero).await;
        again.expect("what is gone is deleted");
        subject.clean(&request, Some(&node)).await;
    }
    .boxed()
}

pub(super) fn a_deleted_pod_stays_until_released(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let (request, created, node) = subject.running("leaving").await;
        let name = &request.name;
        let deleted = subject.cluster.delete(&subject.proof, name, &created.uid, Grace::Default).await;
        deleted.expect("it is deleted");
        let leaving = subject.listed(name).await.expect("its kubelet still has it");
        assert!(leaving.deleting && leaving.uid == created.uid, "{leaving:?}");
        subject.stage.release(name).await.expect("the kubelet lets it go");
        let gone = async || subject.listed(name).await.is_none().then_some(());
        subject.eventually("the pod is gone", gone).await;
        subject.clean(&request, Some(&node)).await;
    }
    .boxed()
}

pub(super) fn a_secret_may_be_deleted_twice(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let request = subject.request("used");
        subject.created(&request).await;
        for _ in 0..2 {
            subject.cluster.delete_secret(&subject.proof, &request.name).await.expect("it is deleted");
        }
        let secrets = subject.cluster.secrets().await.expect("secrets can be observed");
        assert!(secrets.iter().all(|secret| secret.name != request.name));
        assert!(subject.listed(&request.name).await.is_some(), "its pod stays");
        subject.clean(&request, None).await;
    }
    .boxed()
}
