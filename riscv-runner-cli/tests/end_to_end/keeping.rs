//! Rows that are over go by themselves, and `status --watch` is a process that ends when asked.

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::{NewJob, ORGANIZATION_APP};

use crate::{
    LABELS,
    server::Server,
    stage::{Stage, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_removes_what_is_over_and_counts_it() {
    let stage = Stage::start(0).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let config = stage.configuration(ThrowAwayPostgres::shared());
    let short: &[(&str, &str)] = &[
        ("RRCTL_TIMEOUTS__RETENTION", "100ms"),
        ("RRCTL_RETENTION__EVENTS", "1500ms"),
        ("RRCTL_RETENTION__JOBS", "1500ms"),
    ];
    let server = Server::start(&config, &["--migrate"], short).await;
    server.ready().await;
    let (ended, waiting) = (
        stage.github.queue(&NewJob::new("acme/tool", LABELS)),
        stage.github.queue(&NewJob::new("acme/tool", LABELS)),
    );
    for job in [ended, waiting] {
        assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
    }
    stage.github.finish(ended, "cancelled");
    assert_eq!(stage.deliver(&server, ended, "completed").await.1, "job_marked_completed");
    eventually("the ended job is gone, and its events with it", async || {
        let metrics = server.text("/metrics").await;
        metrics.contains("rrctl_retention_removed_total{kind=\"jobs\"} 1")
            && metrics.contains("rrctl_retention_removed_total{kind=\"events\"} 3")
    })
    .await;
    let jobs = server.json("/jobs.json").await;
    assert_eq!((&jobs["total_count"], &jobs["jobs"][0]["status"]), (&1.into(), &"pending".into()), "{jobs}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_job_outlives_its_age_until_it_is_unpinned() {
    let stage = Stage::start(0).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let config = stage.configuration(ThrowAwayPostgres::shared());
    let short: &[(&str, &str)] =
        &[("RRCTL_TIMEOUTS__RETENTION", "100ms"), ("RRCTL_RETENTION__JOBS", "500ms")];
    let server = Server::start(&config, &["--migrate"], short).await;
    server.ready().await;
    let [pinned, other] = [(); 2].map(|()| stage.github.queue(&NewJob::new("acme/tool", LABELS)));
    for job in [pinned, other] {
        assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
    }
    let id = pinned.to_string();
    let answer = config.rrctl_json(&["pin", "job", &id]).await;
    assert_eq!(answer, serde_json::json!({ "changed": true, "kind": "job", "name": id, "pinned": true }));
    assert_eq!(config.rrctl_json(&["pin", "job", &id]).await["changed"], false, "it is pinned already");
    for job in [pinned, other] {
        stage.github.finish(job, "cancelled");
        assert_eq!(stage.deliver(&server, job, "completed").await.1, "job_marked_completed");
    }
    let removed = async |jobs: u32| {
        let line = format!("rrctl_retention_removed_total{{kind=\"jobs\"}} {jobs}");
        server.text("/metrics").await.contains(&line)
    };
    eventually("the other job is gone", async || removed(1).await).await;
    let left = server.json("/jobs.json").await;
    assert_eq!((&left["total_count"], &left["jobs"][0]["job_id"]), (&1.into(), &pinned.into()), "{left}");

    assert_eq!(config.rrctl_json(&["unpin", "job", &id]).await["pinned"], false);
    eventually("the job that was pinned is gone too", async || removed(2).await).await;
    let gone = config.rrctl(&["pin", "job", &id]).await;
    assert_eq!(gone.status.code(), Some(1));
    let stderr = String::from_utf8(gone.stderr).unwrap();
    assert!(stderr.contains(&format!("there is no job {id}")) && stderr.contains("hint: "), "{stderr}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_is_drawn_anew_until_it_is_interrupted() {
    let stage = Stage::start(1).await;
    let config = stage.configuration(ThrowAwayPostgres::shared());
    assert!(config.rrctl(&["migrate"]).await.status.success());
    let frames = config.watched(&["status", "--watch", "--every", "0.1"], "workers  0 starting", 2).await;
    assert!(!frames.contains('\x1b'), "not a terminal: {frames:?}");
    assert!(frames.contains("leader   none"), "{frames}");
    let refused = config.rrctl(&["status", "--watch", "--format", "json"]).await;
    assert_eq!(refused.status.code(), Some(2));
}
