//! `serve --migrate` while the schema is being brought up to date: alive, not ready, and stopped when asked.

use std::time::Duration;

use riscv_runner_pg::testing::ThrowAwayPostgres;
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use crate::{
    server::{Configuration, Server},
    stage::Stage,
};

/// Far below the wait that the test imposes, and enough for a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// A server that waits for another process that migrates the same schema, which is the returned connection.
async fn held_up(role: &str) -> (Stage, Configuration, Server, PgConnection) {
    let stage = Stage::start(1).await;
    let postgres = ThrowAwayPostgres::shared();
    let config = stage.configuration(postgres);
    let (_, rest) =
        config.text().split_once("schema = \"").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let schema = rest.split_once('"').unwrap().0.to_owned();
    let url = postgres.fresh_config().url;
    let mut other = PgConnection::connect(url.expose_secret()).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('riscv-runner migrates ' || $1, 0))")
        .bind(schema)
        .execute(&mut other)
        .await
        .unwrap();
    let server = Server::start_migrating(&config, &["--role", role, "--migrate"]).await;
    (stage, config, server, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_migrates_is_alive_and_not_ready_and_then_serves_at_the_same_address() {
    for role in ["webhook", "scheduler"] {
        let (_stage, _config, server, other) = held_up(role).await;
        assert_eq!(server.status("/health").await, 200);
        assert_eq!(server.status("/ready").await, 503);
        let readout: Value = serde_json::from_str(&server.text("/ready").await).unwrap();
        assert_eq!(readout["ready"], false);
        assert!(readout["reasons"][0].as_str().unwrap().contains("migrating"), "{readout}");
        assert_eq!(server.status("/jobs.json").await, 503);
        assert_eq!(server.post(&[], "{}".to_owned()).await.0, 503, "GitHub delivers it again");
        other.close().await.unwrap();
        server.ready().await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_migrates_stops_when_it_is_asked() {
    let (_stage, config, server, other) = held_up("all").await;
    let asked = Instant::now();
    server.stop().await;
    let took = asked.elapsed();
    assert!(took < SOON, "{took:?}");
    other.close().await.unwrap();
    assert!(config.rrctl(&["migrate"]).await.status.success(), "and is in nobody's way");
}
