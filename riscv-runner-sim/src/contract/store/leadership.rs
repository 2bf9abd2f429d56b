//! The lease, and the fence that a leader's writes must pass.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use riscv_runner_core::{
    delivery::JobWrite,
    ids::{ImageRef, NodeName},
    job::{JobEvent, Loss},
    ports::{Cas, LeaderProof, PortErrorKind, PortResult, Reserved, Store, WorkerChange},
    quarantine::Quarantine,
    worker::{Worker, WorkerStatus},
};

use super::fixture::{at, job, job_of_org, placement, queue, replica, reservation, reserve, worker};

const LONG: Duration = Duration::from_secs(3600);

async fn acquire(store: &dyn Store, name: &str, ttl: Duration) -> Option<LeaderProof> {
    store.acquire_lease(&replica(name), ttl, at(100)).await.expect("the store is asked")
}

async fn leader(store: &dyn Store) -> Option<String> {
    store.leader().await.expect("the lease is read").map(|(name, ..)| name.to_string())
}

pub(super) fn one_holder_leads_at_a_time(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        assert_eq!(leader(store).await, None);
        let first = acquire(store, "a", LONG).await.expect("nobody leads");
        assert_eq!(first.until(), at(100 + 3600), "dated by the caller's clock");
        assert_eq!(acquire(store, "b", LONG).await, None);
        let renewed = acquire(store, "a", LONG).await.expect("its own lease");
        assert_eq!(renewed.epoch(), first.epoch(), "a renewal stays in its term");
        assert_eq!(leader(store).await.as_deref(), Some("a"));
        let (_, epoch, _) = store.leader().await.expect("the lease is read").expect("somebody leads");
        assert_eq!(epoch, first.epoch());
    }
    .boxed()
}

pub(super) fn a_lease_that_is_over_is_taken(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let first = acquire(store, "a", Duration::ZERO).await.expect("nobody leads");
        assert_eq!(leader(store).await, None, "it was over at once");
        let second = acquire(store, "b", LONG).await.expect("the first is over");
        assert!(second.epoch() > first.epoch());
        assert_eq!(acquire(store, "a", LONG).await, None);
        assert_eq!(leader(store).await.as_deref(), Some("b"));
    }
    .boxed()
}

pub(super) fn a_released_lease_is_free_at_once(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let first = acquire(store, "a", LONG).await.expect("nobody leads");
        store.release_lease(&first).await.expect("the lease is given back");
        assert_eq!(leader(store).await, None);
        let second = acquire(store, "b", LONG).await.expect("it was given back");
        assert!(second.epoch() > first.epoch());
        let late = store.release_lease(&first).await.expect_err("it is another's by now");
        assert_eq!(late.kind(), PortErrorKind::NotLeader);
        assert_eq!(leader(store).await.as_deref(), Some("b"), "only its holder gives a lease back");
    }
    .boxed()
}

fn refused<T: std::fmt::Debug>(result: PortResult<T>) {
    let error = result.expect_err("the write of an earlier term");
    assert_eq!(error.kind(), PortErrorKind::NotLeader, "{error}");
}

pub(super) fn a_succeeded_leader_writes_nothing(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let old = acquire(store, "a", Duration::ZERO).await.expect("nobody leads");
        queue(store, &[job_of_org(1), job_of_org(2)]).await;
        reserve(store, &old, &["w"], &job_of_org(1)).await;
        // Paused here; its lease runs out, and another takes over.
        let new = acquire(store, "b", LONG).await.expect("the lease before is over");
        let before = store.workers_named(&[worker("w")]).await.expect("workers are read");
        let standing = store.standing().await.expect("the standing is read");

        let facts = job_of_org(1);
        refused(store.reserve(&old, &[reservation("x", &facts)]).await);
        let over = WorkerChange::Completed { at: at(5) };
        refused(store.change_worker(&old, &worker("w"), WorkerStatus::Pending, &over).await);
        let pod = Worker { name: worker("x"), ..before[&worker("w")].clone() };
        refused(store.adopt_worker(&old, &pod).await);
        let lost = JobEvent::Lost { attempt: 1, loss: Loss::JobNotFound };
        refused(store.join_job(&old, facts.id, &lost).await);
        let listed = job_of_org(3);
        refused(store.join_listed_job(&old, &listed, &placement("k1"), &JobEvent::Queued).await);
        let image = ImageRef::new("image").expect("an image");
        refused(store.refuse_image(&old, &image, Some(at(1))).await);
        refused(store.clear_backoff(&old, &facts.key()).await);
        let node = NodeName::new("n1").expect("a node name");
        refused(store.set_quarantine(&old, &node, Some(&Quarantine::default())).await);

        assert_eq!(store.workers_named(&[worker("w"), worker("x")]).await.expect("workers are read"), before);
        assert_eq!(store.standing().await.expect("the standing is read"), standing);
        assert_eq!(store.job(listed.id).await.expect("the store is read"), None);
        assert_eq!(job(store, &facts).await.state.loss, None);

        // The successor's writes pass.
        let granted = store.reserve(&new, &[reservation("x", &facts)]).await.expect("the rows are written");
        assert_eq!(granted, [Reserved::Yes]);
        let cas = store.change_worker(&new, &worker("w"), WorkerStatus::Pending, &over).await;
        assert_eq!(cas.expect("the row is written"), Cas::Done);
        let write = store.join_job(&new, facts.id, &lost).await.expect("the job is joined");
        assert!(matches!(write, JobWrite::Moved { .. }));
    }
    .boxed()
}
