//! TLS, and the log: what the outside may and may not learn.

use std::fs;

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::{NewJob, ORGANIZATION_APP};

use crate::{
    LABELS,
    server::Server,
    stage::{Stage, eventually},
};

fn fixture(name: &str) -> String {
    fs::read_to_string(format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The certificate that the server shows, if it speaks TLS that our authority signed.
async fn shown(url: &str) -> Option<Vec<u8>> {
    let authority = reqwest::Certificate::from_pem(fixture("ca.pem").as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).tls_info(true).build().unwrap();
    let answer = client.get(url).send().await.ok()?;
    assert_eq!(answer.status(), 200);
    answer.extensions().get::<reqwest::tls::TlsInfo>()?.peer_certificate().map(<[u8]>::to_vec)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_and_a_renewed_certificate_is_taken() {
    let stage = Stage::start(1).await;
    let config = stage.configuration(ThrowAwayPostgres::shared());
    config.write("tls.crt", &fixture("first.pem"));
    config.write("tls.key", &fixture("first.key"));
    let tls =
        [("RRCTL_SERVER__TLS_CERTIFICATE", "tls.crt"), ("RRCTL_SERVER__TLS_PRIVATE_KEY_FILE", "tls.key")];
    let server = Server::start(&config, &["--migrate"], &tls).await;
    let url = server.address_of("/health").replace("http://", "https://");
    let first = shown(&url).await.expect("it speaks TLS");
    assert!(reqwest::get(url.replace("https://", "http://")).await.is_err(), "and nothing else");

    config.write("tls.crt", "-----BEGIN CERTIFICATE-----\n");
    server.logged("the new TLS certificate is refused").await;
    assert_eq!(shown(&url).await.as_ref(), Some(&first));
    config.write("tls.key", &fixture("second.key"));
    config.write("tls.crt", &fixture("second.pem"));
    eventually("the renewed certificate is shown", async || {
        shown(&url).await.is_some_and(|certificate| certificate != first)
    })
    .await;
    server.stop().await;
}

/// Every secret that the process is given or makes, looked for in everything it logs at its most talkative.
/// `Server` looks for them in the logs of every other test as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_the_log_however_much_is_logged() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let config = stage.configuration(ThrowAwayPostgres::shared());
    let talkative = [("RRCTL_LOG", "trace"), ("TRACE_API_SECRET", crate::secrets::TRACE_TOKEN)];
    let server = Server::start(&config, &["--migrate"], &talkative).await;
    server.ready().await;
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
    let worker = stage.only_pod().await;
    assert_eq!(server.status_with_token("/jobs.json", crate::secrets::TRACE_TOKEN).await, 200);
    assert_eq!(server.status_with_token("/jobs.json", "wrong-token-planted").await, 401);
    stage.github.assign(job, &worker);
    stage.deliver(&server, job, "in_progress").await;
    stage.github.finish(job, "success");
    stage.deliver(&server, job, "completed").await;
    stage.kubelet.end(&worker, 0).await.unwrap();
    stage.nothing_is_left().await;
    server.logged("TRACE").await;
    server.stop().await;
}
