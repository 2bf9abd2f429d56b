//! Commands that read tell the same whether they ask the store or a server, and a server tells the names of
//! private repositories to the holder of its token alone.

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::{NewJob, ORGANIZATION_APP};
use serde_json::{Value, json};

use crate::{
    LABELS,
    secrets::TRACE_TOKEN,
    server::{Configuration, Server},
    stage::{Stage, eventually},
};

/// What differs by the moment and by who answers.
const OF_THE_MOMENT: [&str; 4] = ["as_of", "leading", "now", "until"];

fn without_the_moment(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !OF_THE_MOMENT.contains(&name.as_str()));
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    strip(&mut value);
    value
}

/// A store with a job that runs, two that wait for one board, one of them of a private repository, and one
/// with a typo; and its server.
async fn busy() -> (Stage, Configuration, Server, i64) {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    stage.github.add_repo("acme/vault", true);
    let config = stage.configuration(ThrowAwayPostgres::shared());
    config.write("token", TRACE_TOKEN);
    let server = Server::start(&config, &["--migrate"], &[("TRACE_API_SECRET", TRACE_TOKEN)]).await;
    server.ready().await;
    let running = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    assert_eq!(stage.deliver(&server, running, "queued").await.1, "job_stored");
    let worker = stage.only_pod().await;
    stage.github.assign(running, &worker);
    assert_eq!(stage.deliver(&server, running, "in_progress").await.1, "job_marked_running");
    let mut waiting = 0;
    for repo in ["acme/tool", "acme/vault"] {
        waiting = stage.github.queue(&NewJob::new(repo, LABELS));
        assert_eq!(stage.deliver(&server, waiting, "queued").await.1, "job_stored");
    }
    let typo = stage.github.queue(&NewJob::new("acme/tool", &["ubunut-24.04-riscv"]));
    assert_eq!(stage.deliver(&server, typo, "queued").await.1, "ignored_no_label");
    (stage, config, server, waiting)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_tells_the_same_from_the_store_and_from_a_server() {
    let (_stage, config, server, waiting) = busy().await;
    let root = server.address_of("");
    let waiting = waiting.to_string();
    let commands: [&[&str]; 11] = [
        &["queue"],
        &["jobs"],
        &["jobs", "--days", "1", "--per-page", "1", "--page", "1"],
        &["jobs", "--status", "pending", "--entity", "ACME", "--pool", "spacemit-k1"],
        &["workers"],
        &["workers", "--status", "failed"],
        &["pools"],
        &["boards"],
        &["usage"],
        &["why", &waiting],
        &["status"],
    ];
    for command in commands {
        let there = [command, &["--server", &root, "--token-file", "token"]].concat();
        eventually(&format!("{command:?} tells the same from both"), async || {
            let here = without_the_moment(config.rrctl_json(command).await);
            let there = without_the_moment(config.rrctl_json(&there).await);
            assert!(!there.as_object().unwrap().is_empty());
            here == there
        })
        .await;
        let table = config.rrctl(&there).await;
        assert!(table.status.success() && !table.stdout.is_empty(), "{command:?}: {table:?}");
    }
    let queue = config.rrctl_json(&["queue", "--server", &root, "--token-file", "token"]).await;
    assert_eq!(queue["jobs_pending"], 2, "{queue}");
    assert_eq!(queue["queue"][0]["verdicts"][0]["name"], "no_capacity", "{queue}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_named_though_the_cluster_is_waited_for_longer_than_a_lease() {
    let stage = Stage::start(1).await;
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    let config = server.configuration();
    eventually("it leads", async || !server.json("/status.json").await["leader"].is_null()).await;
    // It takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    config.write("silent", &config.read("kubeconfig").replace(&stage.kube.url(), &address));
    let text = config.text().replace("\"kubeconfig\"\n", "\"silent\"\ncall_timeout = \"3s\"\n");
    config.write("other.toml", &text);
    let status = config.rrctl_json(&["--config", "other.toml", "status"]).await;
    assert!(status["leader"]["name"].is_string() && status["boards"].is_null(), "{status}");
    let table = config.rrctl(&["--config", "other.toml", "status"]).await;
    let (told, warned) = (String::from_utf8(table.stdout).unwrap(), String::from_utf8(table.stderr).unwrap());
    assert!(told.contains("boards   unknown") && !told.contains("nobody"), "{told}");
    assert!(warned.contains("warning: the cluster cannot be observed"), "{warned}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_shows_labels_that_no_rule_knows_with_no_board() {
    let (_stage, config, server, _) = busy().await;
    let table = config.rrctl(&["queue"]).await;
    let text = String::from_utf8(table.stdout).unwrap();
    let row = text.lines().find(|line| line.contains("ubunut-24.04-riscv")).expect("a row of its own");
    let cells: Vec<_> = row.split_whitespace().take(5).collect();
    assert_eq!(cells, ["acme", "ubunut-24.04-riscv", "-", "0", "1"], "{text}");
    assert!(row.contains("no_rule"), "{text}");
    assert!(text.contains("a typo?"), "{text}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_token_private_repositories_have_no_names() {
    let (_stage, config, server, waiting) = busy().await;
    let root = server.address_of("");
    let names = async |arguments: &[&str]| {
        let jobs = config.rrctl_json(&[&["jobs", "--server", &root], arguments].concat()).await;
        let mut names: Vec<_> =
            jobs["jobs"].as_array().unwrap().iter().map(|job| job["repo_full_name"].clone()).collect();
        names.sort_by_key(Value::to_string);
        names
    };
    let (tool, vault) = (json!("acme/tool"), json!("acme/vault"));
    assert_eq!(names(&[]).await, [tool.clone(), tool.clone(), Value::Null]);
    assert_eq!(names(&["--token-file", "token"]).await, [tool.clone(), tool, vault]);
    let job = waiting.to_string();
    let hidden = config.rrctl(&["why", &job, "--server", &root]).await;
    assert_eq!(hidden.status.code(), Some(1));
    let said = String::from_utf8(hidden.stderr).unwrap();
    assert!(said.contains("404") && said.contains("private repositories"), "{said}");
    config.write("token", "wrong");
    let refused = config.rrctl(&["queue", "--server", &root, "--token-file", "token"]).await;
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("401 Unauthorized") && said.contains("hint: the token is not the one"), "{said}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_planned_again_where_there_is_no_configuration() {
    let (_stage, config, server, _) = busy().await;
    let metrics = server.text("/metrics").await;
    assert!(metrics.contains("rrctl_job_wait_seconds_count 1\n"), "one job found its runner: {metrics}");
    let here = config.rrctl_json(&["schedule", "--dry-run"]).await;
    let written = config.rrctl(&["snapshot"]).await;
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let elsewhere = Configuration::empty();
    elsewhere.write("incident.json", &String::from_utf8(written.stdout).unwrap());
    let there = elsewhere.rrctl_json(&["schedule", "--dry-run", "--snapshot", "incident.json"]).await;
    let verdicts = there["verdicts"].as_array().unwrap();
    assert!(verdicts.iter().any(|verdict| verdict["verdict"] == "no_capacity"), "{there:#}");
    assert_eq!(without_the_moment(there["verdicts"].clone()), without_the_moment(here["verdicts"].clone()));
    server.stop().await;
}
