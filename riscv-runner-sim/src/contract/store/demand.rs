//! Demand: counts, and the heads of the queues.

use std::collections::BTreeMap;

use futures::{FutureExt, future::BoxFuture};
use riscv_runner_core::{
    ids::RepoName,
    job::{JobEvent, JobFacts},
    ports::{HeadRequest, PoolShare, Store},
    snapshot::PendingJob,
};

use super::fixture::{
    NO_LIMIT, at, completed, delivery_to, in_progress, job_of_org, job_of_person, labels, placement, pool,
    queue, record, shares, tell,
};

fn head(facts: &JobFacts, skip: u32, limit: u32) -> HeadRequest {
    HeadRequest { key: facts.key(), skip, limit }
}

fn ids(jobs: Option<&Vec<PendingJob>>) -> Vec<i64> {
    jobs.into_iter().flatten().map(|job| job.id.get()).collect()
}

/// A job with a label of its own.
fn other_key(id: i64) -> JobFacts {
    JobFacts { labels: labels(&["other"]), ..job_of_org(id) }
}

pub(super) fn demand_counts_what_waits_and_runs(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        assert!(store.demand().await.expect("demand is read").is_empty());
        queue(store, &[job_of_org(3), job_of_org(2), job_of_org(4), other_key(5)]).await;
        let respelled = JobFacts { labels: labels(&["RVA23", "ubuntu-24.04-RISCV"]), ..job_of_org(6) };
        queue(store, &[respelled]).await;
        tell(store, "run", &job_of_org(2), in_progress(10, "r")).await;
        let demand = store.demand().await.expect("demand is read");
        assert_eq!(demand.len(), 2);
        let first = &demand[&job_of_org(1).key()];
        assert_eq!((first.pending, first.running, first.oldest), (3, 1, Some(at(3))));
        let front = first.front.as_deref().expect("a job waits");
        assert_eq!((front.id, &front.scope), (job_of_org(3).id, &job_of_org(3).scope_ref()));
        assert_eq!(first.pending_by_pool, BTreeMap::from([(pool("k1"), 3)]));
        assert!(first.waiting.is_empty());
        let second = &demand[&other_key(1).key()];
        assert_eq!((second.pending, second.running, second.oldest), (1, 0, Some(at(5))));

        for (n, facts) in [job_of_org(2), job_of_org(3), job_of_org(4), job_of_org(6)].iter().enumerate() {
            tell(store, &format!("end-{n}"), facts, completed(20, None)).await;
        }
        let demand = store.demand().await.expect("demand is read");
        assert_eq!(demand.keys().collect::<Vec<_>>(), [&other_key(1).key()]);
    }
    .boxed()
}

pub(super) fn heads_are_the_oldest(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        // Ids rise as the place in the queue falls, and two share a second.
        let of = |id: i64, second: i64| JobFacts { created_at: at(second), ..job_of_org(id) };
        queue(store, &[of(1, 50), of(2, 40), of(3, 40), of(4, 10), of(5, 20)]).await;
        tell(store, "run", &of(4, 10), in_progress(60, "r")).await;
        let read = |skip, limit| async move {
            let heads = [head(&job_of_org(1), skip, limit), head(&other_key(1), 0, 5)];
            let waiting = store.waiting(&heads, &[], &NO_LIMIT).await.expect("the queue is read");
            ids(waiting.get(&job_of_org(1).key()))
        };
        assert_eq!(read(0, 10).await, [5, 2, 3, 1]);
        assert_eq!(read(1, 2).await, [2, 3]);
        assert_eq!(read(3, 2).await, [1]);
        assert!(read(4, 2).await.is_empty());
        assert!(read(0, 0).await.is_empty());
        let heads = [head(&job_of_org(1), 0, 1)];
        let waiting = store.waiting(&heads, &[], &NO_LIMIT).await.expect("the queue is read");
        let facts = of(5, 20);
        let expected = PendingJob {
            id: facts.id,
            created_at: facts.created_at,
            repo: facts.repo.clone(),
            scope: facts.scope_ref(),
            placement: placement("k1"),
        };
        assert_eq!(waiting.into_values().collect::<Vec<_>>(), [vec![expected]]);
        assert!(store.waiting(&[], &[], &NO_LIMIT).await.expect("the queue is read").is_empty());
    }
    .boxed()
}

pub(super) fn held_back_repositories_are_left_out(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let held = RepoName::new("acme/held").expect("a repository name");
        let of_held = |id| JobFacts { repo: held.clone(), ..job_of_org(id) };
        queue(store, &[of_held(1), job_of_org(2), of_held(3), job_of_org(4), job_of_org(5)]).await;
        let heads = [head(&job_of_org(1), 1, 5)];
        let waiting = store.waiting(&heads, &[held], &NO_LIMIT).await.expect("the queue is read");
        assert_eq!(ids(waiting.get(&job_of_org(1).key())), [4, 5], "those held back are not skipped either");
    }
    .boxed()
}

pub(super) fn no_more_is_read_than_a_pool_can_serve(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        // Ten keys of three jobs each, interleaved in time: key k has jobs k, 10 + k, 20 + k.
        let of = |id: i64| JobFacts { labels: labels(&[&format!("key-{}", id % 10)]), ..job_of_org(id) };
        let jobs: Vec<_> = (10..40).map(of).collect();
        queue(store, &jobs).await;
        let far = JobFacts { labels: labels(&["far"]), ..job_of_org(90) };
        let nearer = JobFacts { labels: labels(&["far"]), ..job_of_org(89) };
        for facts in [&far, &nearer] {
            record(store, &[delivery_to(&format!("far-{}", facts.id), "far", facts, JobEvent::Queued)]).await;
        }
        let mut heads: Vec<_> = (10..20).map(|id| head(&of(id), 0, 3)).collect();
        heads.push(head(&far, 0, 3));
        for (slots, expected) in [
            (shares([("k1", 4)]), vec![10, 11, 12, 13, 89, 90]),
            (shares([("k1", 12), ("far", 1)]), (10..22).chain([89]).collect()),
            (shares([("k1", 0), ("far", 0)]), vec![]),
            (shares([("k1", 100)]), (10..40).chain([89, 90]).collect()),
        ] {
            let waiting = store.waiting(&heads, &[], &slots).await.expect("the queue is read");
            let mut read: Vec<_> = waiting.values().flat_map(|jobs| ids(Some(jobs))).collect();
            read.sort_unstable();
            assert_eq!(read, expected, "slots {slots:?}");
        }
        let skipping = [head(&of(10), 2, 3), head(&of(11), 0, 3)];
        let two = shares([("k1", 2)]);
        let waiting = store.waiting(&skipping, &[], &two).await.expect("the queue is read");
        let mut read: Vec<_> = waiting.values().flat_map(|jobs| ids(Some(jobs))).collect();
        read.sort_unstable();
        assert_eq!(read, [11, 21]);
    }
    .boxed()
}

pub(super) fn a_share_may_be_that_of_one_account(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        // Two keys of one account, a key of another, whose jobs are younger.
        let other = |id| JobFacts { created_at: at(100 + id), ..job_of_person(id, 11) };
        queue(store, &[job_of_org(1), other_key(2), job_of_org(3), other_key(4), other(5), other(6)]).await;
        let heads = [head(&job_of_org(1), 0, 3), head(&other_key(1), 0, 3), head(&other(1), 0, 3)];
        let share =
            |facts: &JobFacts, rows| PoolShare { pool: pool("k1"), entity: Some(facts.entity.id), rows };
        let dealt = [share(&job_of_org(1), 3), share(&other(1), 1)];
        let waiting = store.waiting(&heads, &[], &dealt).await.expect("the queue is read");
        assert_eq!(ids(waiting.get(&job_of_org(1).key())), [1, 3]);
        assert_eq!(ids(waiting.get(&other_key(1).key())), [2]);
        assert_eq!(ids(waiting.get(&other(1).key())), [5]);
    }
    .boxed()
}

pub(super) fn a_key_may_wait_for_two_pools(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let jobs: Vec<_> = (1..=6).map(job_of_org).collect();
        for (facts, pool) in jobs.iter().zip(["k1", "k3", "k1", "k3", "k3", "k1"]) {
            record(store, &[delivery_to(&facts.id.to_string(), pool, facts, JobEvent::Queued)]).await;
        }
        queue(store, &[other_key(7)]).await;
        let demand = store.demand().await.expect("demand is read");
        let both = &demand[&job_of_org(1).key()];
        assert_eq!((both.pending, both.oldest), (6, Some(at(1))));
        assert_eq!(both.pending_by_pool, BTreeMap::from([(pool("k1"), 3), (pool("k3"), 3)]));
        let heads = [head(&job_of_org(1), 0, 6), head(&other_key(1), 0, 6)];
        let slots = shares([("k1", 1), ("k3", 2)]);
        let waiting = store.waiting(&heads, &[], &slots).await.expect("the queue is read");
        assert_eq!(ids(waiting.get(&job_of_org(1).key())), [1, 2, 4]);
        assert_eq!(ids(waiting.get(&other_key(1).key())), Vec::<i64>::new());
    }
    .boxed()
}

pub(super) fn repositories_of_a_person_are_different_keys(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        queue(store, &[job_of_person(1, 11), job_of_person(2, 12), job_of_person(3, 11)]).await;
        let demand = store.demand().await.expect("demand is read");
        let counts: Vec<_> = demand.values().map(|demand| demand.pending).collect();
        assert_eq!(counts, [2, 1]);
        let heads = [head(&job_of_person(1, 12), 0, 9)];
        let waiting = store.waiting(&heads, &[], &NO_LIMIT).await.expect("the queue is read");
        let found = &waiting[&job_of_person(1, 12).key()];
        assert_eq!(ids(Some(found)), [2]);
        assert_eq!(found[0].scope, job_of_person(2, 12).scope_ref());
    }
    .boxed()
}
