//! A migrated store, and deliveries to put into it.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::unwrap_used, reason = "this is part of the tests")]

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, IfAbsent, LogEntry, LogSource},
    entity::{Entity, EntityKind},
    ids::{DeliveryGuid, EntityId, ImageRef, InstallationId, JobId, Login, PoolName, RepoId, RepoName},
    job::{End, JobEvent, JobFacts, Placement, Start},
    labels::LabelSet,
};
use riscv_runner_pg::{PgConfig, PgStore, migrate, testing::ThrowAwayPostgres};
use serde_json::value::RawValue;

pub(crate) async fn migrated() -> PgConfig {
    let config = ThrowAwayPostgres::shared().fresh_config();
    migrate(&config).await.unwrap();
    config
}

pub(crate) async fn store() -> PgStore {
    PgStore::connect(&migrated().await).await.unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

pub(crate) fn facts(id: i64) -> JobFacts {
    JobFacts {
        id: JobId::new(id).unwrap(),
        run: None,
        entity: Entity {
            id: EntityId::new(7).unwrap(),
            kind: EntityKind::Organization,
            login: Login::new("acme").unwrap(),
        },
        installation: InstallationId::new(70).unwrap(),
        repo_id: RepoId::new(700).unwrap(),
        repo: RepoName::new("acme/tools").unwrap(),
        private: false,
        labels: LabelSet::new(["rva23"]).unwrap(),
        name: None,
        html_url: None,
        created_at: at(id % 1_000_000),
    }
}

pub(crate) fn delivery(guid: &str, facts: &JobFacts, event: JobEvent) -> DeliveryRecord {
    DeliveryRecord {
        log: LogEntry {
            source: LogSource::Webhook,
            guid: Some(DeliveryGuid::new(guid).unwrap()),
            event: "workflow_job".to_owned(),
            installation: Some(facts.installation),
            app: None,
            entity: Some(facts.entity.clone()),
            payload: RawValue::from_string(r#"{"action":"queued"}"#.to_owned()).unwrap(),
            received_at: at(0),
        },
        effect: Effect::Join {
            facts: Box::new(facts.clone()),
            event,
            if_absent: IfAbsent::Insert(Placement {
                pool: PoolName::new("k1").unwrap(),
                image: ImageRef::new("runner:1").unwrap(),
            }),
        },
        installation: None,
    }
}

pub(crate) fn in_progress(runner: &str) -> JobEvent {
    JobEvent::InProgress(Start { at: at(5), runner: Some(runner.parse().unwrap()) })
}

pub(crate) fn completed() -> JobEvent {
    JobEvent::Completed { end: End { at: at(9), conclusion: None }, start: None }
}

/// The counts that the triggers keep, against counting the rows.
pub(crate) async fn assert_counts_are_exact(store: &PgStore) {
    let differences: Vec<(String, Option<i64>, Option<i64>)> = sqlx::query_as(
        "SELECT coalesce(counted.pool_key, real.pool_key), counted.n, real.n FROM ( \
             SELECT pool_key, (sum(pending) * 1000000 + sum(running))::bigint AS n \
             FROM (SELECT * FROM pool_demand UNION ALL \
                   SELECT pool_key, k8s_pool, pending, running FROM pool_demand_deltas) parts \
             GROUP BY pool_key HAVING sum(pending) <> 0 OR sum(running) <> 0 \
         ) counted FULL JOIN ( \
             SELECT pool_key, count(*) FILTER (WHERE status = 'pending') * 1000000 \
                              + count(*) FILTER (WHERE status = 'running') AS n \
             FROM jobs WHERE status IN ('pending', 'running') GROUP BY pool_key \
         ) real USING (pool_key) WHERE counted.n IS DISTINCT FROM real.n",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert!(differences.is_empty(), "{differences:?}");
}
