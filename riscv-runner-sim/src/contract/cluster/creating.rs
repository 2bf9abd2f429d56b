//! Laws about creating: it may be repeated, keeps the secret secret, and takes nobody's place.

use futures::{FutureExt, future::BoxFuture};
use riscv_runner_core::{
    pod::{PodIdentity, PodPhase},
    ports::{Grace, JitConfig, LeaderProof, PortErrorKind},
};

use super::Subject;

pub(super) fn a_pod_just_created_is_listed(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let request = subject.request("listed");
        let created = subject.created(&request).await;
        let pod = subject.listed(&request.name).await.expect("a listing after the answer shows the pod");
        assert_eq!(pod.uid, created.uid);
        assert_eq!(pod.phase, PodPhase::Pending { reason: None });
        assert_eq!(pod.pool.as_ref(), Some(&request.pool));
        assert_eq!((pod.node, pod.deleting, pod.killed), (None, false, false));
        let identity = PodIdentity {
            scope: request.scope.clone(),
            labels: request.labels.clone(),
            pool: request.pool.clone(),
            image: request.image.clone(),
        };
        assert_eq!(pod.identity, Some(identity), "its row could be written again");
        subject.clean(&request, None).await;
    }
    .boxed()
}

pub(super) fn create_may_be_repeated(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let request = subject.request("repeated");
        let first = subject.created(&request).await;
        let second = subject.created(&request).await;
        assert_eq!(first, second, "the pod that is there is the one meant");
        subject.clean(&request, None).await;
    }
    .boxed()
}

pub(super) fn the_jit_configuration_is_in_the_secret_alone(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let request = subject.request("secret");
        subject.created_with(&request, "top-secret").await;
        let facts = subject.facts(&request.name).await.expect("the pod is there");
        assert_eq!(facts.jit.as_deref(), Some("top-secret"), "the pod's reference leads to it");
        assert!(!facts.jit_in_the_open);
        let secrets = subject.cluster.secrets().await.expect("secrets can be observed");
        assert!(secrets.iter().any(|secret| secret.name == request.name));
        subject.clean(&request, None).await;
    }
    .boxed()
}

pub(super) fn a_repeated_create_brings_its_own_jit(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let request = subject.request("newjit");
        subject.created_with(&request, "old").await;
        subject.created_with(&request, "new").await;
        let secret = subject.stage.secret(&request.name).await.expect("the secret can be read");
        assert_eq!(secret.as_deref(), Some("new"), "the older registration may be gone by now");
        subject.clean(&request, None).await;
    }
    .boxed()
}

pub(super) fn somebody_elses_pod_is_left_alone(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let request = subject.request("foreign");
        subject.stage.foreign_pod(&request.name).await.expect("somebody has a pod of this name");
        let jit = JitConfig::from("jit".to_owned());
        let refused = subject.cluster.create(&subject.proof, &request, &jit).await;
        let error = refused.expect_err("the name is taken");
        assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
        assert!(subject.facts(&request.name).await.is_some(), "their pod is still there");
        let secret = subject.stage.secret(&request.name).await.expect("secrets can be looked at");
        assert_eq!(secret, None, "our secret is not left behind");
        subject.stage.release(&request.name).await.expect("their pod goes");
    }
    .boxed()
}

pub(super) fn nodes_to_avoid_are_avoided(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let mut request = subject.request("avoiding");
        request.avoid = [subject.node("bad1").name, subject.node("bad2").name].into();
        subject.created(&request).await;
        let facts = subject.facts(&request.name).await.expect("the pod is there");
        assert_eq!(facts.avoided, request.avoid);
        subject.clean(&request, None).await;
    }
    .boxed()
}

pub(super) fn a_lease_that_has_ended_changes_nothing(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let (request, node) = (subject.request("lease"), subject.node("lease"));
        let created = subject.created(&request).await;
        let ended = LeaderProof::issued_by_lease_store(subject.proof.epoch(), subject.platform.now());
        let (cluster, name, jit) = (&subject.cluster, &request.name, JitConfig::from("late".to_owned()));
        let other = subject.request("late");
        let refusals = [
            cluster.create(&ended, &other, &jit).await.map(drop),
            cluster.create(&ended, &request, &jit).await.map(drop),
            cluster.kill(&ended, name, &created.uid).await,
            cluster.delete(&ended, name, &created.uid, Grace::Zero).await,
            cluster.delete_secret(&ended, name).await,
            cluster.advertise(&ended, &node.name, 1).await,
        ];
        for refused in refusals {
            assert_eq!(refused.map_err(|error| error.kind()), Err(PortErrorKind::NotLeader));
        }
        let facts = subject.facts(name).await.expect("the pod is there");
        assert_eq!((facts.killed, facts.jit.as_deref()), (false, Some("jit-of-the-first")));
        assert_eq!(subject.facts(&other.name).await, None);
        let secrets = cluster.secrets().await.expect("secrets can be observed");
        assert!(secrets.iter().all(|secret| secret.name != other.name), "no secret is left either");
        subject.clean(&request, None).await;
    }
    .boxed()
}
