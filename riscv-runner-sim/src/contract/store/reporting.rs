//! Reading for pages.

use std::collections::BTreeMap;

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use riscv_runner_core::{
    job::JobPhase,
    ports::{Page, ReportWindow, Store},
    worker::WorkerStatus,
};

use super::fixture::{
    at, completed, in_progress, job_of_org, job_of_person, lead, pool, queue, reserve, tell, worker,
};

const ALWAYS: ReportWindow = ReportWindow { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
const NEVER: ReportWindow = ReportWindow { start: Timestamp::UNIX_EPOCH, end: Timestamp::UNIX_EPOCH };

pub(super) fn pages_are_disjoint_and_newest_first(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        store.ping().await.expect("the store answers");
        let proof = lead(store).await;
        for id in 1..=5 {
            queue(store, &[job_of_org(id)]).await;
        }
        reserve(store, &proof, &["a", "b", "c"], &job_of_org(1)).await;
        for (page, expected) in [(0, vec![5, 4]), (1, vec![3, 2]), (2, vec![1]), (3, vec![])] {
            let (rows, n) = store.jobs(ALWAYS, Page { page, per_page: 2 }).await.expect("a page is read");
            assert_eq!(n, 5);
            assert_eq!(rows.iter().map(|row| row.job.facts.id.get()).collect::<Vec<_>>(), expected);
        }
        // Reserved at the same time: by name.
        for (page, expected) in [(0, vec![worker("c"), worker("b")]), (1, vec![worker("a")])] {
            let (rows, n) = store.workers(ALWAYS, Page { page, per_page: 2 }).await.expect("a page is read");
            assert_eq!(n, 3);
            assert_eq!(rows.into_iter().map(|row| row.worker.name).collect::<Vec<_>>(), expected);
        }
        let first = Page { page: 0, per_page: 10 };
        assert_eq!(store.jobs(NEVER, first).await.expect("a page is read"), (vec![], 0));
        let at_reservation = |start, end| ReportWindow { start: at(start), end: at(end) };
        let (_, n) = store.workers(at_reservation(1, 2), first).await.expect("a page is read");
        assert_eq!(n, 3, "the start is part of the window");
        let (_, n) = store.workers(at_reservation(0, 1), first).await.expect("a page is read");
        assert_eq!(n, 0, "the end is not");
        let row = store.job(job_of_org(1).id).await.expect("a job is read").expect("it has a row");
        assert!(row.updated_at >= row.stored_at);
    }
    .boxed()
}

pub(super) fn usage_counts_by_account_pool_and_labels(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1), job_of_org(2), job_of_org(3), job_of_org(4)]).await;
        queue(store, &[job_of_person(5, 11), job_of_person(6, 12)]).await;
        reserve(store, &proof, &["a", "b"], &job_of_org(1)).await;
        tell(store, "1", &job_of_org(1), in_progress(5, "a")).await;
        tell(store, "2", &job_of_org(2), completed(9, None)).await;
        let mut usage = store.usage().await.expect("the usage is read");
        usage.sort_by_key(|row| row.entity_id);
        assert_eq!(usage.len(), 2);
        let (org, person) = (&usage[0], &usage[1]);
        assert_eq!(org.entity_name, job_of_org(1).entity.login);
        assert_eq!((&org.k8s_pool, &org.job_labels), (&pool("k1"), &job_of_org(1).labels));
        assert_eq!(org.jobs, BTreeMap::from([(JobPhase::Pending, 2), (JobPhase::Running, 1)]));
        assert_eq!(org.workers, BTreeMap::from([(WorkerStatus::Pending, 2)]));
        assert_eq!(person.jobs, BTreeMap::from([(JobPhase::Pending, 2)]), "both repositories");
        assert!(person.workers.is_empty());
    }
    .boxed()
}
