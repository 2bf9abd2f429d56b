//! What is over goes, oldest first; what lives or is young stays.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use riscv_runner_core::{
    controls::{Control, Note, Order},
    job::{JobEvent, JobPhase},
    ports::{PortErrorKind, Remover, Store, WorkerChange},
    retention::{Cutoff, Expiring, Keepsake, Kept},
    worker::WorkerStatus,
};

use super::fixture::{at, completed, job_of_org, lead, queue, replica, reserve, tell, worker};

/// Earlier than anything that a check writes, by any clock.
const BEGINNING: Timestamp = Timestamp::UNIX_EPOCH;
/// Later than anything that a check writes, by any clock.
const END: Timestamp = Timestamp::MAX;

/// What is older is over; whatever the store's clock shows, ours is not ahead of it.
const fn older_than(before: Timestamp) -> Cutoff {
    Cutoff { before, now: BEGINNING }
}

async fn count(store: &dyn Store, kind: Expiring, before: Timestamp) -> u64 {
    store.count_expired(kind, older_than(before)).await.expect("rows are counted")
}

async fn remove(store: &dyn Store, kind: Expiring, before: Timestamp, limit: u32) -> u64 {
    store.remove_expired(Remover::Operator, kind, older_than(before), limit).await.expect("rows are removed")
}

pub(super) fn what_is_over_goes_and_what_lives_stays(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1), job_of_org(2), job_of_org(3)]).await;
        reserve(store, &proof, &["w1", "w2"], &job_of_org(1)).await;
        tell(store, "done", &job_of_org(1), completed(9, None)).await;
        tell(store, "done2", &job_of_org(2), completed(9, None)).await;
        let over = WorkerChange::Completed { at: at(9) };
        let change = store.change_worker(&proof, &worker("w1"), WorkerStatus::Pending, &over).await;
        let _ = change.expect("the row is written");
        for kind in [Expiring::Jobs, Expiring::Workers] {
            assert_eq!(count(store, kind, BEGINNING).await, 0, "{kind} are young");
            assert_eq!(remove(store, kind, BEGINNING, 10).await, 0);
        }
        assert_eq!(count(store, Expiring::Jobs, END).await, 2);
        assert_eq!(remove(store, Expiring::Jobs, END, 1).await, 1, "no more than asked for");
        assert_eq!(remove(store, Expiring::Jobs, END, 10).await, 1);
        assert_eq!(count(store, Expiring::Jobs, END).await, 0);
        assert_eq!(store.job(job_of_org(1).id).await.expect("the store is read"), None);
        let waiting = store.job(job_of_org(3).id).await.expect("the store is read");
        assert_eq!(waiting.expect("it waits").job.state.phase, JobPhase::Pending);
        let demand = store.demand().await.expect("demand is counted");
        assert_eq!(demand.values().map(|demand| demand.pending).sum::<u32>(), 1, "the counts are as before");
        assert_eq!(remove(store, Expiring::Workers, END, 10).await, 1);
        let left = store.workers_named(&[worker("w1"), worker("w2")]).await.expect("workers are read");
        assert_eq!(left.into_keys().collect::<Vec<_>>(), [worker("w2")], "it lives");
    }
    .boxed()
}

pub(super) fn events_and_orders_go_by_their_age(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        for (guid, second) in [("g1", 1), ("g2", 2), ("g3", 30)] {
            let mut delivery = super::fixture::delivery(guid, &job_of_org(1), JobEvent::Queued);
            delivery.log.received_at = at(second);
            super::fixture::record(store, &[delivery]).await;
            let note = Note { reason: "r".into(), actor: "ann".into(), since: at(second) };
            let _ = store.order(&Order::Hold(Control::PauseEverything), &note).await.expect("it is written");
        }
        for kind in [Expiring::Events, Expiring::Orders] {
            assert_eq!(count(store, kind, at(30)).await, 2, "{kind}");
            assert_eq!(remove(store, kind, at(30), 1).await, 1, "{kind}");
            assert_eq!(remove(store, kind, at(30), 10).await, 1, "{kind}");
        }
        let audit = store.control_audit(10).await.expect("the audit is read");
        assert_eq!(audit.iter().map(|row| row.note.since).collect::<Vec<_>>(), [at(30)]);
        let guids = ["g1", "g2", "g3"].map(|guid| guid.parse().expect("a GUID"));
        let known = store.known_deliveries(&guids).await.expect("GUIDs are read");
        assert_eq!(known, [guids[2].clone()]);
        let controls = store.standing().await.expect("the standing is read").controls;
        assert!(controls.everything_paused.is_some(), "what is in force stays, whatever its age");
    }
    .boxed()
}

pub(super) fn what_is_kept_stays_until_it_is_let_go(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1), job_of_org(2)]).await;
        reserve(store, &proof, &["w1"], &job_of_org(1)).await;
        tell(store, "done", &job_of_org(1), completed(9, None)).await;
        let over = WorkerChange::Completed { at: at(9) };
        let change = store.change_worker(&proof, &worker("w1"), WorkerStatus::Pending, &over).await;
        let _ = change.expect("the row is written");
        let keep = async |row: &Keepsake, keep| store.keep(row, keep).await.expect("the row is written");
        for (kind, row) in [
            (Expiring::Jobs, Keepsake::Job(job_of_org(1).id)),
            (Expiring::Workers, Keepsake::Worker(worker("w1"))),
        ] {
            assert_eq!(keep(&row, true).await, Kept::Changed, "{row}");
            assert_eq!(keep(&row, true).await, Kept::Already, "{row}");
            assert_eq!(count(store, kind, END).await, 0, "{row}");
            assert_eq!(remove(store, kind, END, 10).await, 0, "{row}");
            assert_eq!(keep(&row, false).await, Kept::Changed, "{row}");
            assert_eq!(keep(&row, false).await, Kept::Already, "{row}");
            assert_eq!(remove(store, kind, END, 10).await, 1, "{row}");
            assert_eq!(keep(&row, true).await, Kept::NoSuchRow, "{row}");
        }
    }
    .boxed()
}

pub(super) fn only_the_leader_of_the_day_removes(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let old = store.acquire_lease(&replica("a"), Duration::ZERO, at(0)).await;
        let old = old.expect("the store is asked").expect("nobody leads");
        let new = store.acquire_lease(&replica("b"), Duration::from_secs(3600), at(0)).await;
        let new = new.expect("the store is asked").expect("the one before is over");
        tell(store, "g1", &job_of_org(1), JobEvent::Queued).await;
        for kind in Expiring::ALL {
            let late = store.remove_expired(Remover::Leader(&old), kind, older_than(END), 10).await;
            assert_eq!(late.expect_err("its term is over").kind(), PortErrorKind::NotLeader);
        }
        let removed =
            store.remove_expired(Remover::Leader(&new), Expiring::Events, older_than(END), 10).await;
        assert_eq!(removed.expect("rows are removed"), 1);
    }
    .boxed()
}

pub(super) fn nothing_goes_by_a_clock_that_is_far_ahead(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1)]).await;
        tell(store, "done", &job_of_org(1), completed(9, None)).await;
        let ahead = Cutoff { before: END, now: END };
        for kind in Expiring::ALL {
            let counted = store.count_expired(kind, ahead).await;
            assert_eq!(counted.expect_err("it is told").kind(), PortErrorKind::Denied, "{kind}");
            for by in [Remover::Operator, Remover::Leader(&proof)] {
                let removed = store.remove_expired(by, kind, ahead, 10).await;
                assert_eq!(removed.expect_err("it is told").kind(), PortErrorKind::Denied, "{kind}");
            }
        }
        assert_eq!(count(store, Expiring::Jobs, END).await, 1);
    }
    .boxed()
}
