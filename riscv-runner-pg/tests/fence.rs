//! The fence under concurrency: a take-over and a leader's write that meet take turns.

#![expect(clippy::unwrap_used, reason = "so that the parts that tests share read like tests")]

mod common;

use std::time::{Duration, Instant};

use common::{at, delivery, facts, store};
use futures::future::join;
use riscv_runner_core::{
    controls::Note,
    ids::{ImageRef, PoolName, ReplicaName, WorkerName},
    job::JobEvent,
    policy::Cap,
    ports::{
        Cas, DeliveryStore, LeaderProof, LeaseStore, PortErrorKind, Reservation, Reserved, SchedulingStore,
        WorkerChange,
    },
    worker::WorkerStatus,
};
use riscv_runner_pg::PgStore;

async fn lead(store: &PgStore, name: &str, ttl: Duration) -> LeaderProof {
    store.acquire_lease(&ReplicaName::new(name).unwrap(), ttl, at(0)).await.unwrap().unwrap()
}

/// Returns once a statement of this schema's store waits for a lock.
async fn until_somebody_waits(store: &PgStore) {
    let started = Instant::now();
    loop {
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_locks waits JOIN pg_stat_activity a USING (pid) \
             WHERE NOT waits.granted AND a.query LIKE '%leases%')",
        )
        .fetch_one(store.pool())
        .await
        .unwrap();
        if waiting {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "nobody waits");
    }
}

async fn with_a_worker() -> (PgStore, LeaderProof, WorkerName) {
    let store = store().await;
    let old = lead(&store, "a", Duration::ZERO).await;
    store.record_deliveries(&[delivery("g", &facts(1), JobEvent::Queued)]).await.unwrap();
    let name = WorkerName::new("w").unwrap();
    let wish = Reservation {
        name: name.clone(),
        scope: facts(1).scope_ref(),
        labels: facts(1).labels,
        pool: PoolName::new("k1").unwrap(),
        image: ImageRef::new("runner:1").unwrap(),
        entity_cap: None,
        pool_cap: None,
        warm: 0,
        at: at(1),
    };
    assert_eq!(store.reserve(&old, &[wish]).await.unwrap(), [Reserved::Yes]);
    (store, old, name)
}

#[tokio::test]
async fn a_write_that_meets_a_take_over_waits_and_is_refused() {
    let (store, old, name) = with_a_worker().await;
    let mut take_over = store.pool().begin().await.unwrap();
    sqlx::query("UPDATE leases SET epoch = epoch + 1, holder = 'b'").execute(&mut *take_over).await.unwrap();
    let over = WorkerChange::Completed { at: at(5) };
    let (refused, ()) = join(store.change_worker(&old, &name, WorkerStatus::Pending, &over), async {
        until_somebody_waits(&store).await;
        take_over.commit().await.unwrap();
    })
    .await;
    assert_eq!(refused.unwrap_err().kind(), PortErrorKind::NotLeader);
    assert_eq!(store.live_workers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_take_over_waits_for_a_write_that_passed_the_fence() {
    let (store, old, name) = with_a_worker().await;
    let mut write = store.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM leases WHERE epoch = $1 FOR SHARE")
        .bind(old.epoch().get())
        .execute(&mut *write)
        .await
        .unwrap();
    let (new, ()) = join(lead(&store, "b", Duration::from_secs(60)), async {
        until_somebody_waits(&store).await;
        sqlx::query("UPDATE workers SET k8s_node = 'n1'").execute(&mut *write).await.unwrap();
        write.commit().await.unwrap();
    })
    .await;
    assert!(new.epoch() > old.epoch());
    let over = WorkerChange::Completed { at: at(5) };
    let done = store.change_worker(&new, &name, WorkerStatus::Pending, &over).await.unwrap();
    assert_eq!(done, Cas::Done);
}

#[tokio::test]
async fn controls_are_read_and_a_bad_row_does_not_hide_the_others() {
    let store = store().await;
    sqlx::query(
        "INSERT INTO controls (action, target_kind, target_name, max_workers, reason, actor, since) VALUES \
         ('pause', 'everything', '', NULL, 'r', 'me', to_timestamp(1780000001)), \
         ('pause', 'entity', '7', NULL, 'r', 'me', to_timestamp(1780000001)), \
         ('pause', 'entity', 'seven', NULL, 'r', 'me', to_timestamp(1780000001)), \
         ('pause', 'repository', 'acme/tools', NULL, 'r', 'me', to_timestamp(1780000001)), \
         ('drain', 'pool', 'k1', NULL, 'r', 'me', to_timestamp(1780000001)), \
         ('drain', 'board', 'n1', NULL, 'r', 'me', to_timestamp(1780000001)), \
         ('limit', 'entity', '7', 40, 'r', 'me', to_timestamp(1780000001)), \
         ('limit', 'entity', '8', NULL, 'r', 'me', to_timestamp(1780000001)), \
         ('ban', 'entity', '9', NULL, 'r', 'me', to_timestamp(1780000001)), \
         ('ban', 'pool', 'k1', NULL, 'r', 'me', to_timestamp(1780000001))",
    )
    .execute(store.pool())
    .await
    .unwrap();
    let note = || Note { reason: "r".into(), actor: "me".into(), since: at(1) };
    let controls = store.standing().await.unwrap().controls;
    assert_eq!(controls.everything_paused, Some(note()));
    assert_eq!(controls.paused_entities, [("7".parse().unwrap(), note())].into());
    assert_eq!(controls.paused_repos, [("acme/tools".parse().unwrap(), note())].into());
    assert_eq!(controls.drained_pools, [("k1".parse().unwrap(), note())].into());
    assert_eq!(controls.drained_nodes, [("n1".parse().unwrap(), note())].into());
    let caps =
        [("7".parse().unwrap(), (Cap::AtMost(40), note())), ("8".parse().unwrap(), (Cap::Unlimited, note()))];
    assert_eq!(controls.entity_caps, caps.into());
    assert_eq!(controls.banned_entities, [("9".parse().unwrap(), note())].into());
}
