//! Operators at work while jobs run: drains, bans and revocations on the real parts.

use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::github::{NewJob, ORGANIZATION_APP};

use crate::{
    LABELS,
    server::Configuration,
    stage::{Stage, eventually},
};

async fn order(config: &Configuration, line: &str) -> serde_json::Value {
    let arguments: Vec<&str> = line.split(' ').collect();
    config.rrctl_json(&arguments).await
}

/// Where each pod that has not ended runs.
fn nodes_in_use(stage: &Stage) -> Vec<String> {
    let pods = stage.kube.names("pods").into_iter();
    let pods = pods.filter_map(|name| stage.kube.object("pods", "default", &name));
    let live = pods.filter(|pod| matches!(pod["status"]["phase"].as_str(), Some("Pending" | "Running")));
    live.filter_map(|pod| pod["spec"]["nodeName"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_board_finishes_its_job_and_gets_no_other() {
    let stage = Stage::start(2).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    let config = server.configuration();
    let mut jobs = Vec::new();
    for _ in 0..4 {
        let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
        assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
        jobs.push(job);
    }
    eventually("both boards work", async || nodes_in_use(&stage).len() == 2).await;
    let worker_on = |node: &str| {
        let names = stage.kube.names("pods");
        let on =
            |name: &String| stage.kube.object("pods", "default", name).unwrap()["spec"]["nodeName"] == node;
        names.into_iter().find(on).unwrap()
    };
    let (first, second) = (worker_on("k1-1"), worker_on("k1-2"));
    for (job, worker) in [(jobs[0], &first), (jobs[1], &second)] {
        eventually("its pod runs", async || {
            stage.kube.object("pods", "default", worker).unwrap()["status"]["phase"] == "Running"
        })
        .await;
        stage.github.assign(job, worker);
        assert_eq!(stage.deliver(&server, job, "in_progress").await.1, "job_marked_running");
    }

    let typo = config.rrctl(&["drain", "board", "k1-3", "--reason", "fan"]).await;
    assert_eq!(typo.status.code(), Some(1));
    let stderr = String::from_utf8(typo.stderr).unwrap();
    assert!(stderr.contains("there is no board k1-3") && stderr.contains("did you mean k1-"), "{stderr}");

    let drained = order(&config, "drain board k1-1 --reason fan --actor ann").await;
    assert_eq!(drained["workers"], serde_json::json!([first]), "the one that goes on is named");
    assert_eq!(drained["ending"], serde_json::json!([]));
    assert_eq!(nodes_in_use(&stage).len(), 2, "nobody was ended");

    stage.github.finish(jobs[0], "success");
    assert_eq!(stage.deliver(&server, jobs[0], "completed").await.1, "job_marked_completed");
    stage.kubelet.end(&first, 0).await.unwrap();
    eventually("the drained board is free", async || nodes_in_use(&stage) == ["k1-2"]).await;
    // The reason is the planner's own, made after the board was free.
    eventually("why names the drain", async || {
        let why = order(&config, &format!("why {}", jobs[2])).await;
        let sentence = why["reason"]["sentence"].as_str().unwrap_or_default();
        why["reason"]["name"] == "no_capacity"
            && sentence.contains("1 of 1 are taken, and an operator drains 1 board")
    })
    .await;
    let board = order(&config, "boards").await["boards"][0].clone();
    assert_eq!((&board["state"], &board["drained"]["reason"]), (&"drained".into(), &"fan".into()), "{board}");
    eventually("the metrics count its slot as drained", async || {
        server.text("/metrics").await.contains("rrctl_slots{pool=\"spacemit-k1\",state=\"drained\"} 1")
    })
    .await;

    stage.github.finish(jobs[1], "success");
    assert_eq!(stage.deliver(&server, jobs[1], "completed").await.1, "job_marked_completed");
    stage.kubelet.end(&second, 0).await.unwrap();
    eventually("the next job lands on the other board", async || {
        nodes_in_use(&stage) == ["k1-2"] && worker_on("k1-2") != second
    })
    .await;
    assert_eq!(order(&config, "undrain board k1-1 --reason mended").await["changed"], true);
    eventually("the board works again", async || nodes_in_use(&stage).len() == 2).await;
    let audit = order(&config, "controls --audit").await;
    assert_eq!((audit.as_array().unwrap().len(), &audit[1]["actor"]), (2, &"ann".into()), "{audit}");
    server.stop().await;
    stage.played_by_the_rules();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_tells_those_that_run_jobs_from_those_that_it_ends() {
    let stage = Stage::start(2).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    let config = server.configuration();
    for _ in 0..2 {
        let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
        assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
    }
    let runs = |name: &String| {
        stage.kube.object("pods", "default", name).is_some_and(|pod| pod["status"]["phase"] == "Running")
    };
    eventually("both boards have a runner", async || {
        stage.kube.names("pods").iter().filter(|n| runs(n)).count() == 2
    })
    .await;
    let names = stage.kube.names("pods");
    let (busy, idle) = (&names[0], &names[1]);
    let job = stage.github.job_for(busy).unwrap();
    stage.github.assign(job, busy);
    assert_eq!(stage.deliver(&server, job, "in_progress").await.1, "job_marked_running");
    let output = config.rrctl(&["drain", "pool", "spacemit-k1", "--reason", "kernel"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said.trim_end(),
        format!(
            "pool spacemit-k1 is drained: nothing new is placed on it; 1 worker runs a job and keeps running: {busy}; \
             1 worker has no job and is ended: {idle}"
        )
    );
    eventually("so it is", async || stage.kube.names("pods") == [busy.clone()]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_worker_goes_at_once_and_a_busy_one_by_force() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let server = stage.serve(ThrowAwayPostgres::shared()).await;
    let config = server.configuration();
    let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
    assert_eq!(stage.deliver(&server, job, "queued").await.1, "job_stored");
    let idle = stage.only_pod().await;
    order(&config, &format!("revoke {idle} --reason hot --actor ann")).await;
    eventually("its registration and its pod are gone", async || {
        stage.github.runner(&idle).is_none() && !stage.kube.names("pods").contains(&idle)
    })
    .await;
    let row = async |name: &str| {
        let workers = order(&config, "workers").await["workers"].as_array().unwrap().clone();
        workers.into_iter().find(|row| row["pod_name"] == name).unwrap()
    };
    let revoked = row(&idle).await;
    assert_eq!(revoked["failure_reason"], "revoked", "{revoked}");
    let note = revoked["failure_info"]["note"].as_str().unwrap();
    assert!(note.starts_with("revoked by ann at "), "{revoked}");

    // The job is still there, so it gets another.
    eventually("another worker runs", async || {
        stage.kube.names("pods").iter().any(|name| {
            stage.kube.object("pods", "default", name).is_some_and(|pod| pod["status"]["phase"] == "Running")
        })
    })
    .await;
    let busy = stage.only_pod().await;
    stage.github.assign(job, &busy);
    assert_eq!(stage.deliver(&server, job, "in_progress").await.1, "job_marked_running");
    let spared = config.rrctl(&["revoke", &busy, "--reason", "hot"]).await;
    assert_eq!(spared.status.code(), Some(1));
    let stderr = String::from_utf8(spared.stderr).unwrap();
    assert!(stderr.contains(&format!("{busy} runs job {job}")) && stderr.contains("--force"), "{stderr}");
    order(&config, &format!("revoke {busy} --reason hot --force")).await;
    eventually("its pod is ended", async || !stage.kube.names("pods").contains(&busy)).await;
    assert_eq!(row(&busy).await["failure_reason"], "revoked");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_takes_effect_in_intake_of_another_process() {
    let stage = Stage::start(1).await;
    stage.account("acme", EntityKind::Organization, ORGANIZATION_APP, &["acme/tool"]);
    let postgres = ThrowAwayPostgres::shared();
    let config = stage.configuration(postgres);
    assert!(config.rrctl(&["migrate"]).await.status.success());
    let webhook = crate::server::Server::start(&config, &["--role", "webhook"], &[]).await;
    let deliver = async || {
        let job = stage.github.queue(&NewJob::new("acme/tool", LABELS));
        stage.deliver(&webhook, job, "queued").await.1
    };
    assert_eq!(deliver().await, "job_stored");
    order(&config, "entity ban ACME --reason spam").await;
    eventually("its jobs are refused", async || deliver().await == "banned_entity").await;
    order(&config, "entity unban acme --reason sorry").await;
    eventually("its jobs are accepted", async || deliver().await == "job_stored").await;
    webhook.stop().await;
}
