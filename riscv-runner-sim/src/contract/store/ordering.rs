//! What operators order, and the audit of it.

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use riscv_runner_core::{
    controls::{ControlTarget, Controls, Note, Order, Ordered, Verb},
    ids::RepoName,
    job::JobEvent,
    policy::Cap,
    ports::{AuditEntry, HeadRequest, Store, WorkerChange},
    worker::WorkerStatus,
};

use super::fixture::{NO_LIMIT, at, job_of_org, job_of_person, lead, queue, reserve, tell, worker};

fn order(verb: Verb, kind: &str, name: &str, cap: Option<Cap>) -> Order {
    let target = ControlTarget::parse(kind, name).expect("a target");
    Order::new(verb, target, cap, false).expect("an order")
}

fn note(actor: &str, since: Timestamp) -> Note {
    Note { reason: format!("{actor} says so: 'é' \"q\""), actor: actor.to_owned(), since }
}

async fn give(store: &dyn Store, order: &Order, note: &Note) -> Ordered {
    store.order(order, note).await.expect("the order is written")
}

async fn controls(store: &dyn Store) -> Controls {
    store.standing().await.expect("the standing is read").controls
}

async fn audit(store: &dyn Store) -> Vec<AuditEntry> {
    store.control_audit(100).await.expect("the audit is read")
}

pub(super) fn every_order_is_in_force_until_it_is_taken_back(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let orders = [
            order(Verb::Pause, "everything", "", None),
            order(Verb::Pause, "entity", "7", None),
            order(Verb::Ban, "entity", "7", None),
            order(Verb::Limit, "entity", "7", Some(Cap::AtMost(0))),
            order(Verb::Limit, "entity", "9", Some(Cap::Unlimited)),
            order(Verb::Pause, "repository", "acme/tools", None),
            order(Verb::Drain, "pool", "k1", None),
            order(Verb::Drain, "board", "k1-1.example", None),
        ];
        let mut expected = Controls::default();
        for (n, order) in (0..).zip(&orders) {
            let note = note("ann", at(n));
            assert_eq!(give(store, order, &note).await, Ordered::Done);
            let _ = expected.apply(order, &note);
        }
        assert_eq!(controls(store).await, expected);

        // The last word counts, and both are in the audit.
        let again = note("bob", at(50));
        assert_eq!(give(store, &orders[6], &again).await, Ordered::Done);
        let _ = expected.apply(&orders[6], &again);
        assert_eq!(controls(store).await, expected);

        for order in orders.iter().rev() {
            let back = match order {
                Order::Hold(control) => Order::Release(control.clone()),
                Order::Limit { entity, .. } => Order::ClearLimit { entity: *entity },
                Order::Release(_) | Order::ClearLimit { .. } | Order::Revoke { .. } => unreachable!(),
            };
            assert_eq!(give(store, &back, &note("cid", at(60))).await, Ordered::Done);
        }
        assert_eq!(controls(store).await, Controls::default());

        let rows = audit(store).await;
        assert_eq!(rows.len(), 8 + 1 + 8);
        assert!(rows.is_sorted_by(|newer, older| newer.id > older.id), "newest first");
        let first: Vec<&Order> = rows.iter().rev().take(8).map(|row| &row.order).collect();
        assert_eq!(first, orders.iter().collect::<Vec<_>>());
        assert_eq!(rows[8].note, again);
        let newest = store.control_audit(2).await.expect("the audit is read");
        assert_eq!(newest, rows[..2]);
    }
    .boxed()
}

pub(super) fn a_repository_is_meant_in_any_spelling(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        queue(store, &[job_of_org(1)]).await;
        for (n, name) in (1..).zip(["Acme/Tools", "acme/tools", "ACME/tools"]) {
            let pause = order(Verb::Pause, "repository", name, None);
            assert_eq!(give(store, &pause, &note("ann", at(n))).await, Ordered::Done);
        }
        let paused = controls(store).await.paused_repos;
        assert_eq!(paused.values().collect::<Vec<_>>(), [&note("ann", at(3))], "one, by the last word");
        assert!(paused.contains_key(&job_of_org(1).repo), "{paused:?}");
        let heads = [HeadRequest { key: job_of_org(1).key(), skip: 0, limit: 5 }];
        let except = [RepoName::new("ACME/Tools").expect("a repository name")];
        let waiting = store.waiting(&heads, &except, &NO_LIMIT).await.expect("the queue is read");
        assert!(waiting.values().all(Vec::is_empty), "{waiting:?}");
        let resume = order(Verb::Resume, "repository", "acme/TOOLS", None);
        assert_eq!(give(store, &resume, &note("bob", at(4))).await, Ordered::Done);
        assert_eq!(controls(store).await, Controls::default());
        assert_eq!(give(store, &resume, &note("bob", at(5))).await, Ordered::NothingToDo);
        assert_eq!(audit(store).await.len(), 4);
    }
    .boxed()
}

pub(super) fn an_order_that_changes_nothing_leaves_no_trace(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        for (verb, kind, name) in [
            (Verb::Resume, "everything", ""),
            (Verb::Undrain, "board", "n1"),
            (Verb::Unban, "entity", "7"),
            (Verb::ClearLimit, "entity", "7"),
            (Verb::Revoke, "worker", "nobody"),
        ] {
            let ordered = give(store, &order(verb, kind, name, None), &note("ann", at(1))).await;
            assert_eq!(ordered, Ordered::NothingToDo, "{verb}");
        }
        assert_eq!(audit(store).await, []);
        assert_eq!(controls(store).await, Controls::default());
    }
    .boxed()
}

pub(super) fn a_revocation_ends_with_its_worker(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        let proof = lead(store).await;
        queue(store, &[job_of_org(1), job_of_org(2)]).await;
        reserve(store, &proof, &["w1", "w2"], &job_of_org(1)).await;
        let gentle = order(Verb::Revoke, "worker", "w1", None);
        assert_eq!(give(store, &gentle, &note("ann", at(1))).await, Ordered::Done);
        let forced = Order::Revoke { worker: worker("w1"), force: true };
        assert_eq!(give(store, &forced, &note("bob", at(2))).await, Ordered::Done);
        let revoked = controls(store).await.revoked_workers;
        assert_eq!(revoked.len(), 1);
        let wish = &revoked[&worker("w1")];
        assert!(wish.force);
        assert_eq!(wish.note, note("bob", at(2)), "the last word");

        let over = WorkerChange::Completed { at: at(5) };
        let change = store.change_worker(&proof, &worker("w1"), WorkerStatus::Pending, &over).await;
        let _ = change.expect("the row is written");
        assert!(controls(store).await.revoked_workers.is_empty(), "there is nobody to end");
        assert_eq!(give(store, &gentle, &note("ann", at(6))).await, Ordered::NothingToDo);
        let orders: Vec<Order> = audit(store).await.into_iter().map(|row| row.order).collect();
        assert_eq!(orders, [forced, gentle]);
    }
    .boxed()
}

pub(super) fn accounts_are_known_by_their_newest_name(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        assert_eq!(store.known_accounts().await.expect("accounts are read"), []);
        tell(store, "g1", &job_of_org(1), JobEvent::Queued).await;
        let mut renamed = super::fixture::delivery("g2", &job_of_person(2, 900), JobEvent::Queued);
        renamed.log.received_at = at(50);
        renamed.log.entity = Some(job_of_person(2, 900).entity);
        let mut older = super::fixture::delivery("g3", &job_of_person(3, 900), JobEvent::Queued);
        let entity = job_of_person(3, 900).entity;
        older.log.entity =
            Some(riscv_runner_core::entity::Entity { login: "formerly".parse().expect("a login"), ..entity });
        super::fixture::record(store, &[renamed, older]).await;
        let known = store.known_accounts().await.expect("accounts are read");
        assert_eq!(known, [job_of_org(1).entity, job_of_person(2, 900).entity]);
    }
    .boxed()
}
