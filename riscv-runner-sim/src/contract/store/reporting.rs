//! Reading for pages.

use std::collections::BTreeMap;

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use riscv_runner_core::{
    failure::{
        ContainerEnd, Diagnostics, FailureInfo, FailureReason, MAX_LISTED_BYTES, PodEvent,
        TOO_LONG_FOR_A_LIST,
    },
    ids::Login,
    job::{JobEvent, JobFacts, JobPhase},
    ports::{Ahead, Cas, Page, ReportWindow, RowFilter, Store, Total, WorkerChange},
    worker::WorkerStatus,
};

use super::fixture::{
    at, completed, delivery_to, in_progress, job, job_of_org, job_of_person, lead, pool, queue, record,
    reserve, tell, worker,
};

const ALWAYS: ReportWindow = ReportWindow { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
const NEVER: ReportWindow = ReportWindow { start: Timestamp::UNIX_EPOCH, end: Timestamp::UNIX_EPOCH };

pub(super) fn pages_are_disjoint_and_newest_first(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        for id in 1..=5 {
            queue(store, &[job_of_org(id)]).await;
        }
        reserve(store, &proof, &["a", "b", "c"], &job_of_org(1)).await;
        let all = RowFilter::default();
        for (page, expected) in [(0, vec![5, 4]), (1, vec![3, 2]), (2, vec![1]), (3, vec![])] {
            let (rows, n) =
                store.jobs(ALWAYS, &all, Page { page, per_page: 2 }).await.expect("a page is read");
            assert_eq!(n, Total::Exactly(5));
            assert_eq!(rows.iter().map(|row| row.job.facts.id.get()).collect::<Vec<_>>(), expected);
        }
        // Reserved at the same time: by name.
        for (page, expected) in [(0, vec![worker("c"), worker("b")]), (1, vec![worker("a")])] {
            let (rows, n) = store
                .workers(ALWAYS, &RowFilter::default(), Page { page, per_page: 2 })
                .await
                .expect("a page is read");
            assert_eq!(n, Total::Exactly(3));
            assert_eq!(rows.into_iter().map(|row| row.worker.name).collect::<Vec<_>>(), expected);
        }
        let first = Page { page: 0, per_page: 10 };
        assert_eq!(
            store.jobs(NEVER, &all, first).await.expect("a page is read"),
            (vec![], Total::Exactly(0))
        );
        let at_reservation = |start, end| ReportWindow { start: at(start), end: at(end) };
        let (_, n) =
            store.workers(at_reservation(1, 2), &RowFilter::default(), first).await.expect("a page is read");
        assert_eq!(n, Total::Exactly(3), "the start is part of the window");
        let (_, n) =
            store.workers(at_reservation(0, 1), &RowFilter::default(), first).await.expect("a page is read");
        assert_eq!(n, Total::Exactly(0), "the end is not");
        let row = store.job(job_of_org(1).id).await.expect("a job is read").expect("it has a row");
        assert!(row.updated_at >= row.stored_at);
    }
    .boxed()
}

pub(super) fn a_filter_shows_what_is_asked_for(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1), job_of_org(2), job_of_person(3, 11)]).await;
        reserve(store, &proof, &["a", "b"], &job_of_org(1)).await;
        tell(store, "done", &job_of_org(2), completed(9, None)).await;
        let page = Page { page: 0, per_page: 10 };
        let jobs = async |filter: RowFilter<JobPhase>| {
            let (rows, n) = store.jobs(ALWAYS, &filter, page).await.expect("a page is read");
            assert_eq!(n, Total::Exactly(rows.len() as u64), "the others are not counted");
            rows.iter().map(|row| row.job.facts.id.get()).collect::<Vec<_>>()
        };
        let with = |status| RowFilter { status, ..RowFilter::default() };
        assert_eq!(jobs(with(Some(JobPhase::Completed))).await, [2]);
        assert_eq!(jobs(with(Some(JobPhase::Running))).await, [0; 0]);
        let organization = job_of_org(1).entity.login;
        let shouted = Login::new(organization.as_str().to_uppercase()).expect("a login");
        let of_org = RowFilter { entity: Some(shouted), ..RowFilter::default() };
        assert_eq!(jobs(of_org.clone()).await, [2, 1]);
        assert_eq!(jobs(RowFilter { status: Some(JobPhase::Pending), ..of_org }).await, [1]);
        assert_eq!(jobs(RowFilter { pool: Some(pool("k1")), ..RowFilter::default() }).await, [3, 2, 1]);
        assert_eq!(jobs(RowFilter { pool: Some(pool("none")), ..RowFilter::default() }).await, [0; 0]);
        let workers = async |filter: RowFilter<WorkerStatus>| {
            store.workers(ALWAYS, &filter, page).await.expect("a page is read").1.counted()
        };
        assert_eq!(
            workers(RowFilter { status: Some(WorkerStatus::Pending), ..RowFilter::default() }).await,
            2
        );
        assert_eq!(
            workers(RowFilter { status: Some(WorkerStatus::Failed), ..RowFilter::default() }).await,
            0
        );
        assert_eq!(workers(RowFilter { entity: Some(organization), ..RowFilter::default() }).await, 2);
        assert_eq!(workers(RowFilter { pool: Some(pool("none")), ..RowFilter::default() }).await, 0);
    }
    .boxed()
}

pub(super) fn a_list_has_no_logs(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1), job_of_org(2)]).await;
        reserve(store, &proof, &["a", "b"], &job_of_org(1)).await;
        let end = |logs: Option<&str>| ContainerEnd {
            exit_code: Some(1),
            message: Some("told".into()),
            logs: logs.map(Into::into),
            ..ContainerEnd::default()
        };
        let event = PodEvent {
            kind: "Normal".into(),
            reason: "Scheduled".into(),
            message: "m".into(),
            count: 1,
            first_seen: None,
            last_seen: None,
        };
        let seen = |logs, events| Diagnostics {
            containers: BTreeMap::from([("runner".to_owned(), end(logs))]),
            events,
            ..Diagnostics::default()
        };
        let long = Diagnostics { pod_message: Some("x".repeat(MAX_LISTED_BYTES)), ..Diagnostics::default() };
        for (name, diagnostics) in [("a", seen(Some("a line"), vec![event.clone()])), ("b", long.clone())] {
            let info = Box::new(FailureInfo::pod(FailureReason::PodFailed, diagnostics));
            let failed = WorkerChange::Failed {
                at: at(9),
                reason: FailureReason::PodFailed,
                info,
                backoff: None,
                quarantine: None,
            };
            let changed = store.change_worker(&proof, &worker(name), WorkerStatus::Pending, &failed).await;
            assert_eq!(changed.expect("the row is written"), Cas::Done);
        }
        let page = Page { page: 0, per_page: 10 };
        let (rows, _) = store.workers(ALWAYS, &RowFilter::default(), page).await.expect("a page is read");
        let listed: BTreeMap<_, _> = rows
            .into_iter()
            .map(|row| (row.worker.name.clone(), row.worker.failure.expect("it failed")))
            .collect();
        let pod =
            |diagnostics| (FailureReason::PodFailed, FailureInfo::pod(FailureReason::PodFailed, diagnostics));
        assert_eq!(listed[&worker("a")], pod(seen(None, Vec::new())));
        let short = FailureInfo::message(TOO_LONG_FOR_A_LIST);
        assert_eq!(listed[&worker("b")], (FailureReason::PodFailed, short));
        for (name, whole) in [("a", seen(Some("a line"), vec![event])), ("b", long)] {
            let row = store.worker(&worker(name)).await.expect("a worker is read").expect("it has a row");
            assert_eq!(row.worker.failure, Some(pod(whole)), "its own page has everything");
        }
    }
    .boxed()
}

pub(super) fn places_are_counted_among_those_that_wait(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        queue(store, &[job_of_org(1), job_of_org(2), job_of_org(3), job_of_org(5)]).await;
        queue(store, &[job_of_person(4, 11)]).await;
        let elsewhere = delivery_to("elsewhere", "k2", &job_of_org(6), JobEvent::Queued);
        record(store, &[elsewhere]).await;
        tell(store, "runs", &job_of_org(2), in_progress(9, "a")).await;
        let ahead =
            async |facts: JobFacts| store.ahead(&job(store, &facts).await).await.expect("jobs are counted");
        assert_eq!(ahead(job_of_org(1)).await, Ahead::default());
        assert_eq!(ahead(job_of_person(4, 11)).await, Ahead { in_key: 0, in_pool: 2 });
        assert_eq!(ahead(job_of_org(5)).await, Ahead { in_key: 2, in_pool: 3 });
        assert_eq!(
            ahead(job_of_org(6)).await,
            Ahead { in_key: 3, in_pool: 0 },
            "a key may wait for two pools"
        );
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
