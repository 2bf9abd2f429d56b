//! Evidence from asking GitHub, and the jobs that are worth asking about.

use std::collections::{BTreeMap, BTreeSet};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::JobWrite,
    ids::{InstallationId, RunnerName},
    job::{JobEvent, JobFacts, JobPhase, Loss},
    ports::{Cas, DoubtfulJobs, DoubtfulQuery, Store, WorkerChange},
    worker::WorkerStatus,
};

use super::fixture::{
    at, completed, in_progress, job, job_of_org, job_of_person, lead, placement, queue, reserve, start, tell,
    worker,
};

const PENDING: JobPhase = JobPhase::Pending;
const RUNNING: JobPhase = JobPhase::Running;
const FAILED: JobPhase = JobPhase::Failed;

async fn pending(store: &dyn Store) -> u32 {
    store.demand().await.expect("demand is read").values().map(|demand| demand.pending).sum()
}

pub(super) fn a_requeued_job_waits_again(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        let facts = job_of_org(1);
        tell(store, "1", &facts, in_progress(5, "a")).await;
        assert_eq!(pending(store).await, 0);
        let requeued = JobEvent::Requeued { attempt: 1 };
        let write = store.join_job(&proof, facts.id, &requeued).await.expect("the job is joined");
        assert_eq!(write, JobWrite::Moved { from: RUNNING, to: PENDING });
        let again = store.join_job(&proof, facts.id, &requeued).await.expect("the job is joined");
        assert_eq!(again, JobWrite::Unchanged);
        let state = job(store, &facts).await.state;
        assert_eq!((state.attempt, state.phase, state.start), (2, PENDING, None));
        assert_eq!(state.former_runners, BTreeSet::from([RunnerName::from(&worker("a"))]));
        assert_eq!(pending(store).await, 1);
        let late = tell(store, "2", &facts, in_progress(5, "a")).await;
        assert_eq!(late.job, Some(JobWrite::Unchanged), "the runner of an earlier attempt");
        let confirmed = JobEvent::ConfirmedRunning(start(5, "a"));
        let write = store.join_job(&proof, facts.id, &confirmed).await.expect("the job is joined");
        assert_eq!(write, JobWrite::Moved { from: PENDING, to: RUNNING });
        assert!(job(store, &facts).await.state.former_runners.is_empty());
        let missing =
            store.join_job(&proof, job_of_org(404).id, &confirmed).await.expect("the store is read");
        assert_eq!(missing, JobWrite::NoRow);
    }
    .boxed()
}

pub(super) fn a_lost_job_is_no_demand_until_it_revives(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        let losses = [
            Loss::JobNotFound,
            Loss::InstallationNotFound,
            Loss::RunCompletedJobQueued { conclusion: Some("cancelled".to_owned()) },
            Loss::RunCompletedJobQueued { conclusion: None },
        ];
        for (n, loss) in (1..).zip(losses) {
            let facts = job_of_org(n);
            queue(store, std::slice::from_ref(&facts)).await;
            let lost = JobEvent::Lost { attempt: 1, loss: loss.clone() };
            let write = store.join_job(&proof, facts.id, &lost).await.expect("the job is joined");
            assert_eq!(write, JobWrite::Moved { from: PENDING, to: FAILED });
            let state = job(store, &facts).await.state;
            assert_eq!((state.phase, state.loss), (FAILED, Some(loss)));
            assert_eq!(pending(store).await, 0);
            let revived = JobEvent::Revived { attempt: 1 };
            let write = store.join_job(&proof, facts.id, &revived).await.expect("the job is joined");
            assert_eq!(write, JobWrite::Moved { from: FAILED, to: PENDING });
            let state = job(store, &facts).await.state;
            assert_eq!((state.attempt, state.loss), (2, None));
            assert_eq!(pending(store).await, 1);
            tell(store, &format!("end-{n}"), &facts, completed(99, None)).await;
        }
    }
    .boxed()
}

pub(super) fn a_listed_job_is_inserted_or_joined(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        let facts = job_of_org(1);
        let join = |facts: JobFacts, event: JobEvent| {
            let proof = &proof;
            async move {
                store
                    .join_listed_job(proof, &facts, &placement("k3"), &event)
                    .await
                    .expect("the job is joined")
            }
        };
        let presupposing = JobEvent::Revived { attempt: 1 };
        assert_eq!(join(facts.clone(), presupposing).await, JobWrite::NoRow);
        assert_eq!(store.job(facts.id).await.expect("the store is read"), None);
        assert_eq!(join(facts.clone(), JobEvent::Queued).await, JobWrite::Inserted(PENDING));
        let row = job(store, &facts).await;
        assert_eq!((row.facts, row.placement), (facts.clone(), placement("k3")));
        let reinstalled =
            JobFacts { installation: InstallationId::new(71).expect("an installation id"), ..facts.clone() };
        assert_eq!(join(reinstalled.clone(), JobEvent::Queued).await, JobWrite::Unchanged);
        assert_eq!(job(store, &facts).await.facts, reinstalled);
        let running = JobEvent::ConfirmedRunning(start(5, "a"));
        assert_eq!(join(reinstalled, running).await, JobWrite::Moved { from: PENDING, to: RUNNING });
        assert_eq!(pending(store).await, 0);
    }
    .boxed()
}

pub(super) fn doubtful_jobs_are_those_unchanged_for_long(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        for id in 1..=4 {
            queue(store, &[job_of_org(id)]).await;
        }
        reserve(store, &proof, &["a"], &job_of_org(1)).await;
        tell(store, "3", &job_of_org(3), completed(9, None)).await;
        tell(store, "1", &job_of_org(1), in_progress(5, "a")).await;
        tell(store, "5", &job_of_org(5), in_progress(5, "elsewhere")).await;
        let doubtful = |phase| async move {
            let query = DoubtfulQuery { phase, before: Timestamp::MAX, after: None, limit: 10 };
            let read = store.doubtful_jobs(&query).await.expect("jobs are read");
            assert_eq!(read.next, None, "there are no more");
            assert!(read.jobs.is_sorted_by_key(|doubt| doubt.updated_at), "the oldest change first");
            let jobs = read.jobs.into_iter().map(|doubt| (doubt.job.facts.id.get(), doubt.worker));
            jobs.collect::<BTreeMap<_, _>>()
        };
        assert_eq!(doubtful(PENDING).await, BTreeMap::from([(2, None), (4, None)]));
        let ran_by = |status| BTreeMap::from([(1, Some(status)), (5, None)]);
        assert_eq!(doubtful(RUNNING).await, ran_by(WorkerStatus::Pending));
        for ended in [FAILED, JobPhase::Completed] {
            assert_eq!(doubtful(ended).await, BTreeMap::new());
        }
        let over = WorkerChange::Completed { at: at(20) };
        let cas = store.change_worker(&proof, &worker("a"), WorkerStatus::Pending, &over).await;
        assert_eq!(cas.expect("the row is written"), Cas::Done);
        assert_eq!(doubtful(RUNNING).await, ran_by(WorkerStatus::Completed));
        let before = Timestamp::UNIX_EPOCH;
        let query = DoubtfulQuery { phase: PENDING, before, after: None, limit: 10 };
        assert_eq!(store.doubtful_jobs(&query).await.expect("jobs are read"), DoubtfulJobs::default());
    }
    .boxed()
}

pub(super) fn doubtful_jobs_are_read_on_from_where_it_ended(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        // One batch: the rows may all have changed at one time.
        queue(store, &(1..=5).map(job_of_org).collect::<Vec<_>>()).await;
        tell(store, "9", &job_of_org(9), in_progress(5, "a")).await;
        let (mut after, mut seen, mut pages) = (None, Vec::new(), Vec::new());
        loop {
            let query = DoubtfulQuery { phase: PENDING, before: Timestamp::MAX, after, limit: 2 };
            let read = store.doubtful_jobs(&query).await.expect("jobs are read");
            let places = read.jobs.iter().map(|doubt| (doubt.updated_at, doubt.job.facts.id));
            pages.push(places.len());
            seen.extend(places);
            after = read.next;
            if after.is_none() {
                break;
            }
            assert_eq!(after, seen.last().copied(), "the last row read");
        }
        assert_eq!(pages, [2, 2, 1]);
        assert!(seen.is_sorted() && seen.iter().map(|(_, id)| id.get()).eq(1..=5), "{seen:?}");
    }
    .boxed()
}

pub(super) fn jobs_are_found(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        queue(store, &[job_of_org(1), job_of_org(2), job_of_person(3, 11), job_of_org(4)]).await;
        tell(store, "2", &job_of_org(2), completed(9, None)).await;
        let wanted = [2, 3, 404].map(|id| job_of_org(id).id);
        let found = store.jobs_with_ids(&wanted).await.expect("jobs are read");
        let ids: BTreeSet<_> = found.iter().map(|job| job.facts.id.get()).collect();
        assert_eq!(ids, BTreeSet::from([2, 3]), "in any phase");

        let known = |since| async move {
            let mut repos = store.known_repos(since).await.expect("repositories are read");
            repos.sort_by_key(|known| known.repo_id);
            repos.into_iter().map(|known| (known.repo, known.installation)).collect::<Vec<_>>()
        };
        let (org, person) = (job_of_org(1), job_of_person(3, 11));
        let (of_org, of_person) =
            ((org.repo.clone(), org.installation), (person.repo.clone(), person.installation));
        assert_eq!(known(at(0)).await, [of_person, of_org.clone()]);
        assert_eq!(known(at(4)).await, [of_org]);
        assert!(known(at(5)).await.is_empty());
    }
    .boxed()
}
