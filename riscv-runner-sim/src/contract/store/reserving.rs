//! Reservations: every cap holds, also when reservers meet.

use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use riscv_runner_core::{
    job::JobFacts,
    ports::{Cas, Reservation, Reserved, Store, WorkerChange},
    worker::WorkerStatus,
};

use super::fixture::{
    at, completed, in_progress, job_of_org, job_of_person, labels, lead, pool, queue, reservation, reserve,
    tell, worker,
};

fn jobs(n: i64) -> Vec<JobFacts> {
    (1..=n).map(job_of_org).collect()
}

pub(super) fn caps_hold_within_a_batch(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &jobs(3)).await;
        queue(store, &[job_of_person(9, 11)]).await;
        let wish = |name| reservation(name, &job_of_org(1));
        let of_person = reservation("p", &job_of_person(9, 11));
        let wishes = [
            Reservation { entity_cap: Some(1), ..wish("a") },
            Reservation { entity_cap: Some(1), ..wish("b") },
            Reservation { pool_cap: Some(1), ..wish("c") },
            Reservation { pool_cap: Some(2), entity_cap: Some(2), ..wish("d") },
            Reservation { pool_cap: Some(2), ..of_person.clone() },
            Reservation { pool: pool("k3"), pool_cap: Some(1), ..of_person },
            wish("e"),
            wish("f"),
        ];
        let results = store.reserve(&proof, &wishes).await.expect("the rows are written");
        assert_eq!(
            results,
            [
                Reserved::Yes,
                Reserved::EntityAtCap,
                Reserved::PoolAtCap,
                Reserved::Yes,
                Reserved::PoolAtCap,
                Reserved::Yes,
                Reserved::Yes,
                Reserved::DemandMet,
            ]
        );
        let live = store.live_workers().await.expect("workers are read");
        let names: Vec<_> = live.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["a", "d", "e", "p"]);
        assert_eq!(live[&worker("p")].pool, pool("k3"));
        assert_eq!(live[&worker("p")].scope, job_of_person(9, 11).scope_ref());
        assert_eq!(live[&worker("a")].status, WorkerStatus::Pending);
        assert_eq!(live[&worker("a")].created_at, at(1));
        assert!(store.reserve(&proof, &[]).await.expect("nothing is asked").is_empty());
    }
    .boxed()
}

pub(super) fn caps_hold_when_reservers_meet(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &jobs(30)).await;
        let of_other = |id| JobFacts { labels: labels(&["other"]), ..job_of_org(id) };
        queue(store, &[of_other(31), of_other(32)]).await;
        let batches: Vec<Vec<Reservation>> = (0..8)
            .map(|n| {
                (0..4)
                    .map(|m| {
                        let facts = if m == 0 { of_other(1) } else { job_of_org(1) };
                        Reservation {
                            entity_cap: Some(11),
                            pool_cap: Some(10),
                            ..reservation(&format!("w-{n}-{m}"), &facts)
                        }
                    })
                    .collect()
            })
            .collect();
        let results = join_all(batches.iter().map(|batch| store.reserve(&proof, batch))).await;
        let granted = results
            .into_iter()
            .flat_map(|result| result.expect("the rows are written"))
            .filter(|result| *result == Reserved::Yes)
            .count();
        let live = store.live_workers().await.expect("workers are read");
        assert_eq!(live.len(), granted, "an answer for every row");
        assert_eq!(live.len(), 10, "the pool is full and no fuller");
        let others = live.values().filter(|worker| worker.key() == of_other(1).key()).count();
        assert_eq!(others, 2, "a key gets what it asks for and no more");
    }
    .boxed()
}

pub(super) fn a_name_is_reserved_once(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &jobs(5)).await;
        let wish = reservation("a", &job_of_org(1));
        let twice = [wish.clone(), wish.clone()];
        let results = store.reserve(&proof, &twice).await.expect("the rows are written");
        assert_eq!(results, [Reserved::Yes, Reserved::NameTaken]);
        let ended = WorkerChange::Completed { at: at(5) };
        let cas = store.change_worker(&proof, &wish.name, WorkerStatus::Pending, &ended).await;
        assert_eq!(cas.expect("the row is written"), Cas::Done);
        let again = store.reserve(&proof, &[wish]).await.expect("the rows are read");
        assert_eq!(again, [Reserved::NameTaken], "names of ended workers are not used again");
    }
    .boxed()
}

pub(super) fn spent_workers_are_no_supply(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &jobs(2)).await;
        reserve(store, &proof, &["a", "b"], &job_of_org(1)).await;
        let wish = |name| [reservation(name, &job_of_org(1))];
        let met = store.reserve(&proof, &wish("c")).await.expect("the rows are read");
        assert_eq!(met, [Reserved::DemandMet]);

        // Job 1 ran on `a` and is over; a third job waits: `a` can serve nobody.
        tell(store, "1", &job_of_org(1), in_progress(5, "a")).await;
        tell(store, "2", &job_of_org(1), completed(6, Some((5, "a")))).await;
        queue(store, &[job_of_org(3)]).await;
        let granted = store.reserve(&proof, &wish("c")).await.expect("the rows are written");
        assert_eq!(granted, [Reserved::Yes]);

        // The registration of `b` is gone: it can serve nobody either, but it still counts in a cap.
        let gone = WorkerChange::RegistrationGone { at: at(7) };
        let cas = store.change_worker(&proof, &worker("b"), WorkerStatus::Pending, &gone).await;
        assert_eq!(cas.expect("the row is written"), Cas::Done);
        let capped = [Reservation { entity_cap: Some(3), ..reservation("d", &job_of_org(1)) }];
        let refused = store.reserve(&proof, &capped).await.expect("the rows are read");
        assert_eq!(refused, [Reserved::EntityAtCap]);
        let granted = store.reserve(&proof, &wish("d")).await.expect("the rows are written");
        assert_eq!(granted, [Reserved::Yes]);
    }
    .boxed()
}

pub(super) fn warm_runners_go_beyond_the_demand(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &jobs(1)).await;
        let wishes: Vec<_> = ["a", "b", "c", "d"]
            .map(|name| Reservation { warm: 2, ..reservation(name, &job_of_org(1)) })
            .into();
        let results = store.reserve(&proof, &wishes).await.expect("the rows are written");
        assert_eq!(results, [Reserved::Yes, Reserved::Yes, Reserved::Yes, Reserved::DemandMet]);
    }
    .boxed()
}
