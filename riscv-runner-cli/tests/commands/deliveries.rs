//! `rrctl deliveries` on a real database: lists, and replays that end in the same jobs.

use insta::assert_snapshot;
use riscv_runner_core::{
    admission::IntakePolicy,
    controls::Controls,
    engine::replay::{Replay, Replayed},
    ports::LoggedDelivery,
};
use riscv_runner_github::webhook::again;
use riscv_runner_pg::PgStore;
use serde_json::{Value, json};

use crate::log::{Log, apps, database, example, policy};

/// A job's delivery: GitHub's example, as this job of this account.
fn job(id: i64, action: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut payload = example("workflow_job", action);
    payload["workflow_job"]["id"] = json!(id);
    change(&mut payload);
    payload
}

/// Jobs in every state, deliveries of every kind, and some that lead to nothing.
async fn rich() -> Log {
    let mut log = Log::new().await;
    let as_it_is = |_: &mut Value| {};
    let nobody_s = |payload: &mut Value| payload["workflow_job"]["labels"] = json!(["riscv-typo"]);
    let banned = |payload: &mut Value| payload["repository"]["owner"]["id"] = json!(666);
    let staged = |payload: &mut Value| payload["repository"]["full_name"] = json!("Codertocat/staged");
    log.deliver("installation", &example("installation", "created")).await;
    for (id, action) in [
        (1, "queued"),
        (2, "queued"),
        (2, "in_progress"),
        // Out of order.
        (3, "completed"),
        (3, "in_progress"),
        (3, "queued"),
        (4, "waiting"),
        (5, "queued"),
        (5, "completed"),
    ] {
        log.deliver("workflow_job", &job(id, action, as_it_is)).await;
    }
    log.deliver("workflow_job", &job(6, "queued", nobody_s)).await;
    log.deliver("workflow_job", &job(6, "completed", nobody_s)).await;
    log.deliver("workflow_job", &job(7, "queued", banned)).await;
    log.deliver("workflow_job", &job(7, "in_progress", banned)).await;
    log.deliver("workflow_job", &job(8, "queued", staged)).await;
    log.deliver("ping", &json!({ "zen": "Keep it logically awesome.", "hook_id": 1 })).await;
    log.deliver("star", &json!({ "action": "created", "sender": { "login": "s" } })).await;
    log.refuse(crate::log::APP, 404).await;
    log
}

/// The jobs table without the times at which its rows were written.
async fn jobs(store: &PgStore) -> Vec<Value> {
    sqlx::query_scalar("SELECT to_jsonb(j) - 'created_at' - 'updated_at' FROM jobs j ORDER BY job_id")
        .fetch_all(store.pool())
        .await
        .unwrap()
}

async fn events(store: &PgStore) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM installation_events").fetch_one(store.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_listed_with_filters() {
    let log = rich().await;
    assert_snapshot!(log.folder.rrctl(&["deliveries", "list", "--limit", "6"]));
    assert_snapshot!(log.folder.rrctl(&["deliveries", "list", "--outcome", "ignored_no_label"]));
    let count = |arguments: &[&str]| {
        let all = [&["deliveries", "list", "--format", "json"], arguments].concat();
        serde_json::from_str::<Value>(&log.folder.rrctl_out(&all)).unwrap().as_array().unwrap().len()
    };
    assert_eq!(count(&[]), 18);
    assert_eq!(count(&["--event", "workflow_job"]), 14);
    assert_eq!(count(&["--event", "workflow_job.queued", "--since", "2026-11-20T10:05:00Z"]), 5);
    assert_eq!(count(&["--installation", "957387", "--event", "installation"]), 1);
    assert!(log.folder.rrctl(&["deliveries", "list", "--since", "soon"]).starts_with("exit: 2\n"));
    assert!(log.folder.rrctl(&["deliveries", "replay"]).starts_with("exit: 2\n"));
    assert!(log.folder.rrctl(&["deliveries", "replay", "1", "--all"]).starts_with("exit: 2\n"));
    assert!(log.folder.rrctl(&["deliveries", "redeliver"]).starts_with("exit: 2\n"));
    log.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_log_replayed_into_an_empty_store_gives_the_same_jobs() {
    let log = rich().await;
    let expected = jobs(&log.store).await;
    assert_eq!(expected.len(), 4, "{expected:#?}");
    let (_, empty) = database().await;
    let (policy, controls, apps) = (policy(), Controls::default(), apps());
    let read = |row: &LoggedDelivery| again(row, &apps).map_err(|error| error.to_string());
    let by = IntakePolicy { policy: &policy, controls: &controls };
    let replay = Replay { log: &log.store, into: &empty, again: &read, by };
    for round in 0..2 {
        let mut done = Vec::new();
        replay.all("2026-01-01T00:00:00Z".parse().unwrap(), |batch| done.extend(batch)).await.unwrap();
        assert_eq!(done.len(), 17, "every delivery, and nothing that the scheduler wrote");
        let skipped: Vec<_> =
            done.iter().filter(|(_, replayed)| !matches!(replayed, Replayed::Decided(_))).collect();
        assert_eq!(skipped.len(), 1, "staging has its own: {skipped:?}");
        assert_eq!(jobs(&empty).await, expected, "round {round}");
        assert_eq!(events(&empty).await, 16, "the log comes along, once");
    }
    log.store.close().await;
    empty.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_jobs_come_back_and_mended_routes_take_effect() {
    let log = rich().await;
    let (expected, rows) = (jobs(&log.store).await, events(&log.store).await);
    assert_snapshot!(log.folder.rrctl(&["deliveries", "replay", "--all"]));
    assert_eq!(jobs(&log.store).await, expected, "nothing changes");
    sqlx::raw_sql("TRUNCATE jobs").execute(log.store.pool()).await.unwrap();
    assert_snapshot!(log.folder.rrctl(&["deliveries", "replay", "--all", "--since", "2026-11-20"]));
    assert_eq!(jobs(&log.store).await, expected);
    assert_eq!(events(&log.store).await, rows, "the log did not grow");

    // Rows of which little was kept become demand once a route takes their labels.
    let text = std::fs::read_to_string(log.folder.path().join("rrctl.toml")).unwrap();
    log.folder.write("rrctl.toml", &text.replace("[\"ubuntu-latest\"]", "[\"riscv-typo\"]"));
    assert_snapshot!(log.folder.rrctl(&["deliveries", "replay", "11", "13", "15", "18"]));
    let found = jobs(&log.store).await;
    let six = found.iter().find(|job| job["job_id"] == 6).unwrap();
    assert_eq!(
        (&six["status"], &six["repo_full_name"]),
        (&json!("pending"), &json!("Codertocat/Hello-World"))
    );
    assert_eq!((&six["entity_name"], &six["entity_type"]), (&json!("Codertocat"), &json!("User")));
    assert_snapshot!(log.folder.rrctl(&["deliveries", "replay", "12", "99"]));
    let six = jobs(&log.store).await.into_iter().find(|job| job["job_id"] == 6).unwrap();
    assert_eq!((&six["status"], &six["job_conclusion"]), (&json!("completed"), &json!("failure")));
    log.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_reference_service_are_replayed_as_well_as_can_be() {
    let log = Log::new().await;
    let whole = example("workflow_job", "queued");
    // Neither GUID nor App, and once without what a job needs.
    for payload in [whole.clone(), json!({ "workflow_job": { "id": 5 } })] {
        sqlx::query(
            "INSERT INTO installation_events (source, event, outcome, installation_id, entity_type, entity_id, \
                 entity_name, payload, received_at) \
             VALUES ('webhook', 'workflow_job.queued', 'job_stored', 957387, 'User', 21031067, 'Codertocat', $1, \
                 '2026-11-01T10:00:00Z')",
        )
        .bind(payload)
        .execute(log.store.pool())
        .await
        .unwrap();
    }
    for _ in 0..2 {
        let answer = log.folder.rrctl(&["deliveries", "replay", "--all"]);
        assert!(answer.starts_with("exit: 0\n"), "{answer}");
        assert!(
            answer
                .contains("row 2 (workflow_job.queued) was left out: what the log kept of it is not enough"),
            "{answer}"
        );
    }
    assert_eq!(jobs(&log.store).await.len(), 1);
    assert_eq!(events(&log.store).await, 3, "logged once more, under a GUID of its own");
    log.store.close().await;
}
