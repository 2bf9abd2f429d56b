//! Who is counted as one visitor: behind a proxy whoever it names, else whoever connects.

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::ORGANIZATION_APP;

use crate::{server::Server, stage::Stage};

/// More than `/check` answers one visitor at once, by far: its allowance fills up again while a busy machine asks.
const MANY: usize = 40;

/// A server that can ask GitHub about acme/tool.
async fn asking_github(behind_proxy: &str) -> (Stage, Server) {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let config = stage.configuration(ThrowAwayPostgres::shared());
    let proxy = [("RRCTL_SERVER__BEHIND_PROXY", behind_proxy)];
    let server = Server::start(&config, &["--migrate"], &proxy).await;
    server.ready().await;
    (stage, server)
}

/// What a visitor is answered whom a proxy names.
async fn check(server: &Server, visitor: &str) -> u16 {
    server.status_forwarded("/check?repo=acme/tool", visitor).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_one_visitor_does_not_use_up_the_allowance_of_another() {
    let (_stage, server) = asking_github("true").await;
    let mut answers = Vec::new();
    while answers.len() < MANY && answers.last() != Some(&429) {
        answers.push(check(&server, "203.0.113.1").await);
    }
    assert_eq!(answers.last(), Some(&429), "one visitor has one allowance: {answers:?}");
    for n in 2..20 {
        assert_eq!(check(&server, &format!("203.0.113.{n}")).await, 200, "{n}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_proxy_nobody_gets_another_allowance_by_a_header() {
    let (_stage, server) = asking_github("false").await;
    let mut answers = Vec::new();
    while answers.len() < MANY && answers.last() != Some(&429) {
        answers.push(check(&server, &format!("203.0.113.{}", answers.len())).await);
    }
    assert_eq!(answers.last(), Some(&429), "the header is ignored: {answers:?}");
    server.stop().await;
}
