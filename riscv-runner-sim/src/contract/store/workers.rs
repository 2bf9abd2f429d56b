//! Rows of workers: changes by compare-and-set, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use riscv_runner_core::{
    backoff::Backoff,
    failure::{ContainerEnd, Diagnostics, FailureInfo, FailureReason},
    ids::{ImageRef, NodeName, PodUid, RunnerId},
    job::JobPhase,
    ports::{Cas, DoubtfulQuery, LeaderProof, Reserved, Store, WorkerChange},
    quarantine::Quarantine,
    worker::{KnownJob, Worker, WorkerStatus},
};

use super::fixture::{
    at, completed, in_progress, job_of_org, job_of_person, lead, placement, queue, reservation, reserve,
    tell, worker,
};

async fn change(
    store: &dyn Store,
    proof: &LeaderProof,
    name: &str,
    from: WorkerStatus,
    change: WorkerChange,
) -> Cas {
    store.change_worker(proof, &worker(name), from, &change).await.expect("the row is compared")
}

async fn read(store: &dyn Store, name: &str) -> Worker {
    let mut found = store.workers_named(&[worker(name), worker("nobody")]).await.expect("workers are read");
    assert_eq!(found.len(), 1);
    found.remove(&worker(name)).expect("the worker has a row")
}

fn node(name: &str) -> NodeName {
    NodeName::new(name).expect("a node name")
}

fn runner(id: i64) -> RunnerId {
    RunnerId::new(id).expect("a runner id")
}

pub(super) fn a_worker_is_followed_to_its_end(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1)]).await;
        reserve(store, &proof, &["a"], &job_of_org(1)).await;
        let uid = PodUid::new("uid-1").expect("a uid");
        let mut expected = read(store, "a").await;
        assert_eq!((expected.status, expected.job, &expected.failure), (WorkerStatus::Pending, None, &None));

        let (pending, running) = (WorkerStatus::Pending, WorkerStatus::Running);
        let made = WorkerChange::Provisioned { runner: Some(runner(5)), pod: uid.clone() };
        assert_eq!(change(store, &proof, "a", pending, made).await, Cas::Done);
        (expected.runner, expected.pod_uid) = (Some(runner(5)), Some(uid));
        assert_eq!(read(store, "a").await, expected);

        assert_eq!(
            change(store, &proof, "a", pending, WorkerChange::Bound { node: node("n1") }).await,
            Cas::Done
        );
        let runs = WorkerChange::Running { node: None, at: at(11) };
        assert_eq!(change(store, &proof, "a", pending, runs).await, Cas::Done);
        expected.status = running;
        (expected.node, expected.running_at) = (Some(node("n1")), Some(at(11)));
        assert_eq!(read(store, "a").await, expected);

        let online = WorkerChange::Online { at: at(12), runner: runner(5) };
        assert_eq!(change(store, &proof, "a", running, online).await, Cas::Done);
        let gone = WorkerChange::RegistrationGone { at: at(13) };
        assert_eq!(change(store, &proof, "a", running, gone).await, Cas::Done);
        assert_eq!(
            change(store, &proof, "a", running, WorkerChange::Completed { at: at(14) }).await,
            Cas::Done
        );
        expected.status = WorkerStatus::Completed;
        (expected.online_at, expected.gone_at, expected.completed_at) =
            (Some(at(12)), Some(at(13)), Some(at(14)));
        assert_eq!(read(store, "a").await, expected);
        assert!(store.live_workers().await.expect("workers are read").is_empty());
    }
    .boxed()
}

pub(super) fn a_change_from_another_status_is_stale(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1)]).await;
        reserve(store, &proof, &["a"], &job_of_org(1)).await;
        let before = read(store, "a").await;
        let over = || WorkerChange::Completed { at: at(9) };
        assert_eq!(change(store, &proof, "a", WorkerStatus::Running, over()).await, Cas::Stale);
        assert_eq!(change(store, &proof, "nobody", WorkerStatus::Pending, over()).await, Cas::Stale);
        assert_eq!(read(store, "a").await, before);
        assert_eq!(change(store, &proof, "a", WorkerStatus::Pending, over()).await, Cas::Done);
        let after = read(store, "a").await;
        for from in WorkerStatus::ALL {
            let runs = WorkerChange::Running { node: None, at: at(10) };
            assert_eq!(change(store, &proof, "a", from, runs).await, Cas::Stale, "a status never descends");
        }
        assert_eq!(read(store, "a").await, after);
    }
    .boxed()
}

pub(super) fn a_failure_keeps_its_consequences(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        let facts = job_of_org(1);
        queue(store, &[facts.clone(), job_of_org(2)]).await;
        reserve(store, &proof, &["a", "b"], &facts).await;
        let ended = ContainerEnd {
            exit_code: Some(137),
            logs: Some("last words \0 \u{1b}[0m\n".to_owned()),
            ..ContainerEnd::default()
        };
        let diagnostics = Diagnostics {
            pod_reason: Some("Evicted".to_owned()),
            containers: BTreeMap::from([("runner".to_owned(), ended)]),
            ..Diagnostics::default()
        };
        let backoff = Backoff { failures: 3, since: at(100), until: at(300) };
        let held = Quarantine { strikes: 2, times: 1, until: Some(at(900)) };
        let failed = |info: FailureInfo, backoff, quarantine| WorkerChange::Failed {
            at: at(20),
            reason: FailureReason::PodFailed,
            info: Box::new(info),
            backoff,
            quarantine,
        };
        let info = FailureInfo::pod(FailureReason::PodFailed, diagnostics);
        let first = failed(info, Some(backoff), Some((node("n1"), held)));
        assert_eq!(change(store, &proof, "a", WorkerStatus::Running, first.clone()).await, Cas::Stale);
        let nothing = store.standing().await.expect("the standing is read");
        assert!(
            nothing.backoffs.is_empty() && nothing.quarantines.is_empty(),
            "a stale change has no consequence"
        );
        assert_eq!(change(store, &proof, "a", WorkerStatus::Pending, first).await, Cas::Done);
        let row = read(store, "a").await;
        assert_eq!((row.status, row.completed_at), (WorkerStatus::Failed, Some(at(20))));
        let (reason, info) = row.failure.expect("a failed worker says why");
        assert_eq!(reason, FailureReason::PodFailed);
        let FailureInfo::V2(pod) = info else { panic!("the details are kept") };
        assert_eq!(pod.diagnostics.pod_reason.as_deref(), Some("Evicted"));
        let logs = pod.diagnostics.containers["runner"].logs.clone().expect("the log is kept");
        assert!(logs.starts_with("last words") && logs.ends_with("\u{1b}[0m\n"), "{logs:?}");

        let second = failed(FailureInfo::message("no answer"), None, None);
        assert_eq!(change(store, &proof, "b", WorkerStatus::Pending, second).await, Cas::Done);
        let standing = store.standing().await.expect("the standing is read");
        assert_eq!(standing.backoffs, BTreeMap::from([(facts.key(), backoff)]));
        assert_eq!(standing.quarantines, BTreeMap::from([(node("n1"), held)]));
        let failure = read(store, "b").await.failure;
        assert_eq!(failure, Some((FailureReason::PodFailed, FailureInfo::message("no answer"))));
    }
    .boxed()
}

pub(super) fn a_worker_knows_the_job_that_names_it(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1), job_of_org(2), job_of_org(3)]).await;
        reserve(store, &proof, &["a", "b"], &job_of_org(1)).await;
        // GitHub gave the job to another runner than the one that was made for it.
        tell(store, "1", &job_of_org(2), in_progress(5, "a")).await;
        let known = |id: i64, phase| Some(KnownJob { id: job_of_org(id).id, phase });
        let live = store.live_workers().await.expect("workers are read");
        assert_eq!(live[&worker("a")].job, known(2, JobPhase::Running));
        assert!(live[&worker("a")].runs_known_job());
        assert_eq!(live[&worker("b")].job, None);
        tell(store, "2", &job_of_org(2), completed(9, None)).await;
        let row = read(store, "a").await;
        assert_eq!(row.job, known(2, JobPhase::Completed));
        assert!(row.is_spent());
        // One that runs says more than one that is over.
        tell(store, "3", &job_of_org(1), in_progress(6, "a")).await;
        assert_eq!(read(store, "a").await.job, known(1, JobPhase::Running));
    }
    .boxed()
}

pub(super) fn a_runner_of_another_account_is_not_the_worker(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1), job_of_person(2, 11)]).await;
        reserve(store, &proof, &["a"], &job_of_org(1)).await;
        // Somebody else registered a runner of their own under the name of our worker.
        tell(store, "2", &job_of_person(2, 11), in_progress(5, "a")).await;
        assert_eq!(read(store, "a").await.job, None);
        assert_eq!(store.live_workers().await.expect("workers are read")[&worker("a")].job, None);
        let row = store.worker(&worker("a")).await.expect("the worker is read").expect("it has a row");
        assert_eq!(row.worker.job, None);
        let query =
            DoubtfulQuery { phase: JobPhase::Running, before: Timestamp::MAX, after: None, limit: 10 };
        let doubtful = store.doubtful_jobs(&query).await.expect("jobs are read");
        assert_eq!(doubtful.jobs.iter().map(|doubt| doubt.worker).collect::<Vec<_>>(), [None]);
        // Nor does the end of their job spend our worker: it is still the supply of its key.
        tell(store, "3", &job_of_person(2, 11), completed(9, None)).await;
        let results = store.reserve(&proof, &[reservation("b", &job_of_org(1))]).await;
        assert_eq!(results.expect("the rows are counted"), [Reserved::DemandMet]);
        tell(store, "4", &job_of_org(1), in_progress(6, "a")).await;
        let known = KnownJob { id: job_of_org(1).id, phase: JobPhase::Running };
        assert_eq!(read(store, "a").await.job, Some(known));
    }
    .boxed()
}

fn found_pod(name: &str) -> Worker {
    let (facts, placement) = (job_of_person(1, 11), placement("k3"));
    Worker {
        name: worker(name),
        scope: facts.scope_ref(),
        labels: facts.labels,
        pool: placement.pool,
        image: placement.image,
        status: WorkerStatus::Running,
        node: Some(node("n2")),
        pod_uid: Some(PodUid::new("uid-2").expect("a uid")),
        runner: None,
        created_at: at(2),
        running_at: Some(at(3)),
        completed_at: None,
        online_at: None,
        gone_at: None,
        failure: None,
        job: None,
    }
}

pub(super) fn a_pod_without_a_row_is_adopted_once(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        let found = found_pod("found");
        assert_eq!(store.adopt_worker(&proof, &found).await.expect("the row is written"), Cas::Done);
        assert_eq!(read(store, "found").await, found);
        let other = Worker { node: None, ..found.clone() };
        assert_eq!(store.adopt_worker(&proof, &other).await.expect("the row is read"), Cas::Stale);
        assert_eq!(read(store, "found").await, found);
        let live = store.live_workers().await.expect("workers are read");
        assert_eq!(live.into_values().collect::<Vec<_>>(), [found]);
    }
    .boxed()
}

pub(super) fn scopes_of_recent_workers_are_found(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1)]).await;
        // Reserved at second 1, ended at second 30.
        reserve(store, &proof, &["a"], &job_of_org(1)).await;
        let over = WorkerChange::Completed { at: at(30) };
        assert_eq!(change(store, &proof, "a", WorkerStatus::Pending, over).await, Cas::Done);
        let adopted = store.adopt_worker(&proof, &found_pod("b")).await;
        assert_eq!(adopted.expect("the row is written"), Cas::Done);
        let scopes = |since: Timestamp| async move {
            let scopes = store.scopes_of_workers(since).await.expect("workers are read");
            scopes.into_iter().collect::<BTreeSet<_>>()
        };
        let (org, person) = (job_of_org(1).scope_ref(), job_of_person(1, 11).scope_ref());
        assert_eq!(scopes(at(0)).await, BTreeSet::from([org.clone(), person.clone()]));
        assert_eq!(scopes(at(2)).await, BTreeSet::from([org.clone(), person]));
        assert_eq!(scopes(at(30)).await, BTreeSet::from([org]));
        assert!(scopes(at(31)).await.is_empty());
    }
    .boxed()
}

pub(super) fn what_holds_is_replaced_and_forgotten(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        let image = ImageRef::new("registry.example/runner:old").expect("an image");
        for since in [Some(at(1)), Some(at(2)), None, None] {
            store.refuse_image(&proof, &image, since).await.expect("the image is marked");
            let standing = store.standing().await.expect("the standing is read");
            assert_eq!(standing.refused_images.get(&image).copied(), since);
        }
        let first = Quarantine { strikes: 1, times: 0, until: None };
        let second = Quarantine { strikes: 3, times: 1, until: Some(at(600)) };
        for held in [Some(first), Some(second), None] {
            store.set_quarantine(&proof, &node("n1"), held.as_ref()).await.expect("the board is marked");
            let standing = store.standing().await.expect("the standing is read");
            assert_eq!(standing.quarantines.get(&node("n1")).copied(), held);
        }
        queue(store, &[job_of_org(1)]).await;
        reserve(store, &proof, &["a"], &job_of_org(1)).await;
        let failed = WorkerChange::Failed {
            at: at(20),
            reason: FailureReason::PodStuckPending,
            info: Box::new(FailureInfo::message("stuck")),
            backoff: Some(Backoff { failures: 1, since: at(20), until: at(50) }),
            quarantine: None,
        };
        assert_eq!(change(store, &proof, "a", WorkerStatus::Pending, failed).await, Cas::Done);
        let key = job_of_org(1).key();
        assert!(store.standing().await.expect("the standing is read").backoffs.contains_key(&key));
        store.clear_backoff(&proof, &key).await.expect("the back-off is cleared");
        assert!(store.standing().await.expect("the standing is read").backoffs.is_empty());
    }
    .boxed()
}
