//! `rrctl doctor` on set-ups in order and on set-ups that were broken on purpose.

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::{
    github::{NewJob, ORGANIZATION_APP, PERSONAL_APP},
    kube::NodeSpec,
};
use serde_json::Value;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{
    LABELS,
    server::{Configuration, Server},
    stage::Stage,
};

/// The exit status, and status, finding and fix of every check.
async fn doctor(config: &Configuration) -> (i32, Vec<Value>, String) {
    let output = config.rrctl(&["doctor", "--format", "json"]).await;
    let findings = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), findings, String::from_utf8(output.stderr).unwrap())
}

/// What one check found; there must be exactly one of its name.
fn one<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let mut found = findings.iter().filter(|finding| finding["check"] == check);
    let one = found.next().unwrap_or_else(|| panic!("no {check} in {findings:#?}"));
    assert!(found.next().is_none(), "two of {check}");
    one
}

fn says(finding: &Value, status: &str, text: &str, fix: &str) {
    assert_eq!(finding["status"], status, "{finding}");
    assert!(finding["finding"].as_str().unwrap().contains(text), "{finding}");
    assert!(finding["fix"].as_str().unwrap_or_default().contains(fix), "{finding}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_in_order() {
    let stage = Stage::start(3).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let config = stage.configuration(ThrowAwayPostgres::shared());
    assert!(config.rrctl(&["migrate"]).await.status.success());
    let (exit, findings, stderr) = doctor(&config).await;
    let bad: Vec<_> = findings.iter().filter(|finding| finding["status"] != "ok").collect();
    assert_eq!((exit, bad.len()), (0, 0), "{bad:#?}\n{stderr}");
    assert!(findings.len() >= 14, "{findings:#?}");
    says(one(&findings, "cluster boards"), "ok", "3 of 3 nodes take pods", "");
    says(one(&findings, "cluster slots"), "ok", "3 boards offer 3 riseproject.com/runner", "");
    let table = config.rrctl(&["doctor"]).await;
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("STATUS  CHECK"), "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_is_named_with_what_mends_it_and_the_rest_is_looked_at() {
    let stage = Stage::start(1).await;
    let config = stage.configuration(ThrowAwayPostgres::shared());
    // Nothing was migrated, both Apps lack something, and so does our account in the cluster.
    stage.github.grant_app(ORGANIZATION_APP, &[("actions", "read")], &[]);
    let text = config.text();
    config.replace(&text.replace(&format!("app_id = {PERSONAL_APP}"), "app_id = 987654"));
    stage.kube.deny("delete", "secrets");
    stage
        .kubelet
        .set_node(&NodeSpec { slots: None, ..NodeSpec::board("k1-9", "spacemit-k1") })
        .await
        .unwrap();
    let (exit, findings, stderr) = doctor(&config).await;
    assert_eq!(exit, 1);
    assert!(stderr.contains("checks failed") && stderr.contains("hint:"), "{stderr}");
    says(one(&findings, "configuration"), "ok", "can be used", "");
    says(one(&findings, "database version"), "ok", "PostgreSQL", "");
    says(one(&findings, "database migrations"), "fail", "lacks", "rrctl migrate");
    says(one(&findings, "organization App key"), "ok", "GitHub knows App", "");
    says(
        one(&findings, "organization App permissions"),
        "fail",
        "organization_self_hosted_runners: write",
        "Permissions & events",
    );
    says(one(&findings, "organization App events"), "fail", "workflow_job", "subscribe");
    says(one(&findings, "user App key"), "fail", "", "set app_id to the App's own");
    says(one(&findings, "user App permissions"), "skipped", "", "");
    says(one(&findings, "cluster rights"), "fail", "delete secrets", "kubectl auth can-i delete secrets");
    says(
        one(&findings, "cluster slots"),
        "warn",
        "riseproject.com/runner on k1-9",
        "rrctl nodes enroll k1-9",
    );
    says(one(&findings, "GitHub clock"), "ok", "s from ours", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_given_what_doctor_prints_and_can_then_serve() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let config = stage.configuration(ThrowAwayPostgres::shared());
    let unmigrated = config.rrctl(&["status"]).await;
    let said = String::from_utf8(unmigrated.stderr).unwrap();
    assert!(
        said.contains("the schema is not that of this version") && said.contains("rrctl migrate"),
        "{said}"
    );
    let said = String::from_utf8(config.rrctl(&["schedule", "--once"]).await.stderr).unwrap();
    assert!(said.contains("rrctl migrate") && !said.contains("holds the lease"), "{said}");
    assert!(config.rrctl(&["migrate"]).await.status.success());
    assert_eq!(config.rrctl_json(&["schedule", "--once"]).await, serde_json::json!({ "done": true }));
    let url = config.read("postgres.url");
    let mut owner = PgConnection::connect(&url).await.unwrap();
    let text = config.text();
    let (_, schema) = text.split_once("schema = \"").unwrap();
    let role = format!("server_of_{}", schema.split('"').next().unwrap());
    owner.execute(AssertSqlSafe(format!("CREATE ROLE {role}"))).await.unwrap();
    let joint = if url.contains('?') { '&' } else { '?' };
    config.write("postgres.url", &format!("{url}{joint}options[role]={role}"));

    let (_, findings, _) = doctor(&config).await;
    says(one(&findings, "database migrations"), "skipped", "may not access schema", "");
    let rights = one(&findings, "database rights");
    says(rights, "fail", "USAGE on", "GRANT USAGE ON ALL SEQUENCES IN SCHEMA");
    let grant = rights["fix"].as_str().unwrap().to_owned();
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut owner).await.unwrap();
    let (_, findings, _) = doctor(&config).await;
    says(one(&findings, "database migrations"), "ok", "up to date", "");
    says(one(&findings, "database rights"), "ok", "every table and sequence", "");

    let server = Server::start(&config, &[], &[]).await;
    server.ready().await;
    let said = String::from_utf8(config.rrctl(&["schedule", "--once"]).await.stderr).unwrap();
    assert!(said.contains("a running scheduler holds the lease"), "{said}");
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    assert_eq!(stage.deliver(&server, job, "queued").await, (200, "job_stored".to_owned()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_away_does_not_hide_the_others() {
    let stage = Stage::start(0).await;
    let postgres = ThrowAwayPostgres::start_with(&[("fsync", "off")]).unwrap();
    let config = stage.configuration(&postgres);
    postgres.crash().unwrap();
    let (exit, findings, _) = doctor(&config).await;
    assert_eq!(exit, 1);
    says(one(&findings, "database version"), "fail", "PostgreSQL", "store");
    says(one(&findings, "database rights"), "skipped", "cannot be reached", "");
    says(one(&findings, "organization App key"), "ok", "", "");
    says(one(&findings, "cluster boards"), "warn", "pool spacemit-k1 selects no node", "kubectl label node");
    stage.kube.outage(true);
    let (_, findings, _) = doctor(&config).await;
    says(one(&findings, "cluster"), "fail", "", "API server");
    says(one(&findings, "cluster rights"), "skipped", "", "");
}
