//! What people are told: operators when something goes wrong, the monitor that all is well, and users who
//! install an App or ask about a repository.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use hmac::{Hmac, KeyInit, Mac};
use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::{NewJob, ORGANIZATION_APP, PERSONAL_APP};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::{
    LABELS,
    server::Server,
    stage::{Stage, eventually},
};

type Got = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

/// Somebody who is told, and remembers.
async fn receiver() -> (String, Got) {
    let got = Got::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    let take = |State(got): State<Got>, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        got.lock().unwrap().push((uri.to_string(), headers, body));
        StatusCode::NO_CONTENT
    };
    let router = Router::new().fallback(take).with_state(Arc::clone(&got));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (root, got)
}

/// What arrived at a path, as JSON.
fn told(got: &Got, path: &str) -> Vec<Value> {
    let got = got.lock().unwrap();
    let here = got.iter().filter(|(at, ..)| at == path);
    here.map(|(_, _, body)| serde_json::from_slice(body).unwrap()).collect()
}

fn is_about(told: &Value, topic: &str, subject: &str) -> bool {
    told["type"] == topic && told["subject"] == subject
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_are_told_what_goes_wrong_and_the_monitor_that_the_leader_is_well() {
    let (root, got) = receiver().await;
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let configuration = stage.configuration(ThrowAwayPostgres::shared());
    let telling = format!(
        "[notify]\nwebhook_url = \"{root}/hook\"\nwebhook_secret = \"shared\"\n\
         discord_url = \"{root}/discord\"\npool_exhausted_after = \"200ms\"\n\
         [heartbeat]\nurl = \"{root}/push?status=up\"\nevery = \"100ms\"\n"
    );
    configuration.replace(&format!("{}{telling}", configuration.text()));
    let server = Server::start(&configuration, &["--migrate"], &[]).await;
    server.ready().await;
    let beats = || got.lock().unwrap().iter().filter(|(path, ..)| path == "/push?status=up").count();
    eventually("the monitor hears", async || beats() > 0).await;

    let jobs = [0, 1].map(|_| stage.github.queue(&NewJob::new("acme/tool", LABELS)));
    for job in jobs {
        assert_eq!(stage.deliver(&server, job, "queued").await.0, 200);
    }
    let worker = stage.only_pod().await;
    eventually("the pool is told to be exhausted", async || {
        told(&got, "/hook").iter().any(|told| is_about(told, "pool_exhausted", "spacemit-k1"))
    })
    .await;
    stage.kubelet.end(&worker, 1).await.unwrap();
    eventually("the failure is told", async || {
        told(&got, "/hook").iter().any(|told| is_about(told, "worker_failed", "pod_failed"))
    })
    .await;
    eventually("Discord is told as well", async || {
        told(&got, "/discord")
            .iter()
            .any(|told| told["embeds"][0]["footer"]["text"] == "warning · worker_failed · pod_failed")
    })
    .await;
    let (_, headers, body) = got.lock().unwrap().iter().find(|(path, ..)| path == "/hook").cloned().unwrap();
    let signature =
        headers["x-riscv-runner-signature-256"].to_str().unwrap().strip_prefix("sha256=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"shared").unwrap();
    mac.update(&body);
    mac.verify_slice(&hex::decode(signature).unwrap()).unwrap();

    server.stop().await;
    let all = told(&got, "/hook");
    assert!(all.iter().all(|told| told["type"] != "leadership_lost"), "to stop is not to lose: {all:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_greeted_and_their_repositories_checked() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    stage.github.add_repo("acme/vault", true);
    stage.github.add_account("ada", EntityKind::User);
    let wrong = stage.github.install(ORGANIZATION_APP, "ada");
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    let check = server.json("/check.json?repo=acme/tool&labels=ubuntu-24.04-riscv").await;
    assert_eq!(check["clear"], true, "{check:#}");
    let vault = server.json("/check.json?repo=acme/vault").await;
    let nothing = server.json("/check.json?repo=acme/nothing").await;
    assert_eq!(vault["clear"], false);
    assert_eq!(vault["findings"], nothing["findings"]);
    assert_eq!(server.status(&format!("/setup/org?installation_id={wrong}")).await, 409);
    let right = stage.github.install(PERSONAL_APP, "ada");
    let greeted = server.json(&format!("/setup/personal.json?installation_id={right}")).await;
    assert_eq!((&greeted["outcome"], &greeted["account"]), (&"installed".into(), &"ada".into()));
    assert_eq!(server.status("/setup/org?installation_id=1").await, 404);
    assert_eq!(server.status("/setup/org").await, 400);
    server.stop().await;
    stage.played_by_the_rules();
}
