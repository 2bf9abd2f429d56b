//! How `rrctl serve` ends: at once where nothing is in flight, and else as late as the configuration in
//! force allows.

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::{NewJob, ORGANIZATION_APP};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    PATIENCE,
    server::Server,
    stage::{SECRET, Stage},
};

/// So long that a test would not see the end of it.
const LONG: (&str, &str) = ("RRCTL_TIMEOUTS__SHUTDOWN", "1h");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_nothing_in_flight_stops_at_once_in_each_role() {
    let stage = Stage::start(1).await;
    let config = stage.configuration(ThrowAwayPostgres::shared());
    for role in ["all", "webhook", "scheduler"] {
        let server = Server::start(&config, &["--role", role, "--migrate"], &[LONG]).await;
        server.ready().await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_patience_at_the_end_is_the_one_in_force() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    let config = server.configuration();
    let text = config.text();
    config.replace(&text.replace("[timeouts]\n", "[timeouts]\nshutdown = \"1h\"\n"));
    server.logged("timeouts.shutdown: ").await;
    config.replace(&text.replace("[timeouts]\n", "[timeouts]\nshutdown = \"300ms\"\n"));
    server.logged("\\\"1h\\\" -> \\\"300ms\\\"").await;

    // A body that does not come keeps its connection; it is asked for once the request is in hand.
    let address = server.address_of("").replace("http://", "");
    let mut connection = TcpStream::connect(address).await.unwrap();
    let mut head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n".to_owned();
    let job = stage.github.queue(&NewJob::new("acme/tool", crate::LABELS));
    for (name, value) in stage.github.webhook(job, "queued").unwrap().headers(SECRET) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(PATIENCE, connection.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    server.terminate().await;
    server.logged("stopped with work in flight").await;
    assert!(server.ended().await.success());
    drop(connection);
}
