//! "Why did my jobs stop?": from GitHub's refusal to the diagnosis, from the database and from the server.

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::{NewJob, ORGANIZATION_APP, Webhook};
use serde_json::{Value, json};

use crate::{
    LABELS,
    secrets::TRACE_TOKEN,
    server::{Configuration, Server},
    stage::{SECRET, Stage, eventually},
};

async fn post(server: &Server, webhook: &Webhook) {
    let (status, answer) = server.post(&webhook.headers(SECRET), webhook.body.clone()).await;
    assert_eq!(status, 200, "{answer}");
}

async fn diagnosis(config: &Configuration, arguments: &[&str]) -> Value {
    let report = config.rrctl_json(&[&["trace"], arguments].concat()).await;
    report["diagnoses"][0]["diagnosis"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_stopped_is_diagnosed_from_the_database_and_from_the_server() {
    let stage = Stage::start(1).await;
    let entity = stage.github.add_account("acme", EntityKind::Organization);
    stage.github.add_repo("acme/tool", false);
    let installation = stage.github.install(ORGANIZATION_APP, "acme");
    let config = stage.configuration(ThrowAwayPostgres::shared());
    let server = Server::start(&config, &["--migrate"], &[("TRACE_API_SECRET", TRACE_TOKEN)]).await;
    server.ready().await;
    assert_eq!(
        diagnosis(&config, &["--entity-name", "Acme"]).await,
        "nothing_known",
        "GitHub knows the login before the log does"
    );

    let told =
        |action| stage.github.installation_webhook(installation, "acme", ORGANIZATION_APP, action).unwrap();
    let (created, deleted) = (told("created"), told("deleted"));
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    let queued = stage.github.webhook(job, "queued").unwrap();
    stage.github.uninstall(installation);
    post(&server, &created).await;
    post(&server, &queued).await;
    let by_id = ["--entity-id", &entity.to_string()].map(str::to_owned);
    let by_id: Vec<&str> = by_id.iter().map(String::as_str).collect();
    eventually("the refusal is in the log", async || {
        diagnosis(&config, &by_id).await == "authentication_failing"
    })
    .await;
    let rows = config.rrctl_json(&["deliveries", "list", "--event", "auth_attempt"]).await;
    let refusal = &rows[0];
    assert_eq!(
        (&refusal["event"], &refusal["outcome"], &refusal["source"]),
        (&json!("auth_attempt.404"), &json!("auth_404"), &json!("scheduler"))
    );
    assert_eq!(refusal["entity_id"], entity, "the account is known from the log");
    assert_eq!(refusal["app_id"], ORGANIZATION_APP);

    post(&server, &deleted).await;
    assert_eq!(diagnosis(&config, &["--entity-name", "ACME"]).await, "uninstalled", "by our own rows");
    from_the_server(&config, &server, job, entity).await;
    server.stop().await;
}

async fn from_the_server(config: &Configuration, server: &Server, job: i64, entity: i64) {
    config.write("token", &format!("{TRACE_TOKEN}\n"));
    let root = server.address_of("");
    let (job, entity) = (job.to_string(), entity.to_string());
    for subject in [["--job-id", &job], ["--entity-id", &entity], ["--entity-name", "acme"]] {
        // As of one moment, for the scheduler tries again now and then.
        let ask = [&["trace", "--at", "2100-01-01"], &subject[..]].concat();
        let here = config.rrctl_json(&ask).await;
        let there =
            config.rrctl_json(&[&ask[..], &["--server", &root, "--token-file", "token"]].concat()).await;
        assert_eq!(there["diagnoses"][0]["diagnosis"], "uninstalled");
        for key in ["diagnosis", "installation_id", "hint"] {
            assert_eq!(there["diagnoses"][0][key], here["diagnoses"][0][key]);
        }
        assert_eq!(there["state"]["entity_id"], here["state"]["entity_id"]);
    }
    config.write("token", "wrong");
    let wrong = config.rrctl(&["trace", "--job-id", &job, "--server", &root, "--token-file", "token"]).await;
    assert_eq!(wrong.status.code(), Some(1));
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("401 Unauthorized") && said.contains("hint: the token is not the one"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_github_sent_and_we_lack_is_shown_and_asked_for_again() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let config = stage.configuration(ThrowAwayPostgres::shared());
    assert!(config.rrctl(&["migrate"]).await.status.success());
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    let lost = stage.github.webhook(job, "queued").unwrap();
    stage.github.lose(&lost);
    let sent = config.rrctl_json(&["deliveries", "list", "--github"]).await;
    let expected = json!([{
        "delivery_guid": lost.guid, "event": "workflow_job", "app": "Organization",
        "delivered_at": sent[0]["delivered_at"], "attempts": 1, "delivered": false, "recorded": false,
    }]);
    assert_eq!(sent, expected);
    let table = config.rrctl(&["deliveries", "list", "--github"]).await;
    let said = String::from_utf8(table.stderr).unwrap();
    assert!(said.contains("1 of 1 deliveries are missing here"), "{said}");

    let again = config.rrctl(&["deliveries", "redeliver", &lost.guid]).await;
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    eventually("GitHub tried again", async || stage.github.deliveries().len() == 2).await;
    let unknown = config.rrctl(&["deliveries", "redeliver", "no-such-guid", &lost.guid]).await;
    assert_eq!(unknown.status.code(), Some(1));
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(said.contains("no-such-guid: GitHub's log of the last three days does not have it"), "{said}");
    assert!(said.contains("1 of 2 deliveries are not delivered again"), "{said}");
    stage.played_by_the_rules();
}
