//! `/boards`: every machine with its state, and whom it serves.

use std::time::Duration;

use http::StatusCode;
use riscv_runner_core::{
    controls::{Controls, Note},
    ids::{NodeName, PoolName, ReplicaName},
    pod::PodPhase,
    ports::{LeaseStore, SchedulingStore},
    quarantine::Quarantine,
};
use serde_json::{Value, json};

use crate::{payloads::Job, serving::Serving};

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

/// One board in each state.
async fn every_state() -> Serving {
    let serving = Serving::seeing(7);
    let now = serving.clock.now();
    serving.looking.edit("k1-1", |node| node.unreachable_since = Some(now));
    serving.looking.edit("k1-2", |node| node.ready = false);
    serving.looking.edit("k1-3", |node| node.slots = 0);
    serving.looking.edit("k1-4", |node| node.cordoned = true);
    let quarantine = Quarantine { strikes: 3, times: 1, until: Some(now + Duration::from_secs(600)) };
    let replica = ReplicaName::new("replica-1").unwrap();
    let proof = serving.store.acquire_lease(&replica, Duration::from_secs(8), now).await.unwrap().unwrap();
    serving.store.set_quarantine(&proof, &node("k1-5"), Some(&quarantine)).await.unwrap();
    let note = Note { reason: "<i>new fan</i>".into(), actor: "eve".into(), since: now };
    let drained_nodes = [(node("k1-6"), note)].into();
    serving.store.set_controls(Controls { drained_nodes, ..Controls::default() });
    serving.looking.worker("rr-abc", "k1-7", PodPhase::Running { since: now }, None).await;
    serving.looking.add_boards("x9", 1);
    serving
}

#[tokio::test]
async fn each_board_has_one_state_and_the_facts_behind_it() {
    let serving = every_state().await;
    let body = serving.get("/boards.json").await.json();
    assert_eq!(body["observed"], true);
    let boards = body["boards"].as_array().unwrap();
    let states: Vec<_> = boards.iter().map(|board| board["state"].as_str().unwrap()).collect();
    assert_eq!(
        states,
        ["unreachable", "not_ready", "no_slot", "cordoned", "quarantined", "drained", "busy", "free"]
    );
    assert_eq!(boards[0]["unreachable_since"], json!(serving.clock.now().to_string()));
    assert_eq!(boards[4]["quarantine"]["strikes"], 3);
    assert_eq!(boards[5]["drained"]["actor"], "eve");
    assert_eq!(boards[6]["board"], "k1");
    assert_eq!(boards[6]["pools"], json!(["k1"]));
    assert_eq!(boards[6]["workers"][0]["pod_name"], "rr-abc");
    assert_eq!(boards[7]["pools"], json!([]), "no pool selects it");
}

#[tokio::test]
async fn the_pages_show_the_boards_and_escape_what_is_said_of_them() {
    let serving = every_state().await;
    let html = serving.get("/boards").await.text;
    assert!(html.contains("8 boards: 1 busy, 1 free, 1 drained, 1 cordoned"), "{html}");
    assert!(html.contains("&lt;i&gt;new fan&lt;/i&gt;") && !html.contains("<i>"), "{html}");
    assert!(html.contains("none selects it"), "{html}");
    let overview = serving.get("/").await.text;
    assert!(overview.contains("<li class=\"quarantined\">") && overview.contains("k1-5"), "{overview}");
}

#[tokio::test]
async fn a_cluster_out_of_sight_is_said_and_not_guessed() {
    let serving = every_state().await;
    serving.looking.lose_cluster();
    let body = serving.get("/boards.json").await.json();
    assert_eq!((&body["observed"], &body["boards"]), (&json!(false), &json!([])));
    for path in ["/boards", "/"] {
        let answer = serving.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text.contains("The cluster cannot be observed now"), "{}", answer.text);
    }
    assert!(!serving.get("/metrics").await.text.contains("rrctl_slots{"));
}

#[tokio::test]
async fn a_board_leads_to_its_job() {
    let serving = Serving::seeing(1);
    let now = serving.clock.now();
    for (action, guid) in [("queued", "g1"), ("in_progress", "g2")] {
        let runner = (action == "in_progress").then_some("rr-abc");
        let job = crate::payloads::Job { id: 5, action, runner, ..crate::payloads::Job::default() };
        serving.send(job.request(guid)).await;
    }
    serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since: now }, Some(5)).await;
    let board = &serving.get("/boards.json").await.json()["boards"][0];
    assert_eq!(board["workers"][0]["job_id"], 5);
    assert_ne!(board["workers"][0]["running_at"], Value::Null);
    for path in ["/boards", "/"] {
        assert!(serving.get(path).await.text.contains("href=\"/why/5\""), "{path}");
    }
}

#[tokio::test]
async fn boards_come_in_the_order_of_their_numbers() {
    let serving = Serving::seeing(11);
    let body = serving.get("/boards.json").await.json();
    let names: Vec<_> =
        body["boards"].as_array().unwrap().iter().map(|board| board["k8s_node"].clone()).collect();
    assert_eq!(names, (1..=11).map(|n| json!(format!("k1-{n}"))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_drained_pool_offers_no_slot_though_its_boards_are_free() {
    let serving = Serving::seeing(3);
    let now = serving.clock.now();
    serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since: now }, None).await;
    serving.send(Job { id: 7, ..Job::default() }.request("g1")).await;
    let note = || Note { reason: "new rack".into(), actor: "eve".into(), since: now };
    let drained_pools = [(PoolName::new("k1").unwrap(), note())].into();
    let drained_nodes = [(node("k1-2"), note())].into();
    serving.store.set_controls(Controls { drained_pools, drained_nodes, ..Controls::default() });
    let slots = &serving.get("/pools.json").await.json()["pools"]["k1"]["slots"];
    assert_eq!((&slots["free"], &slots["active"], &slots["drained"]), (&json!(0), &json!(1), &json!(2)));
    let page = serving.get("/pools").await.text;
    assert!(page.contains("0 of 1"), "{page}");
    let queue = serving.get("/queue.json").await.json();
    let share = &queue["queue"][0]["pools"][0];
    assert_eq!((&share["boards"], &share["boards_usable"]), (&json!(3), &json!(0)), "{queue}");
    let metrics = serving.get("/metrics").await.text;
    for line in [
        r#"rrctl_slots{pool="k1",state="free"} 0"#,
        r#"rrctl_slots{pool="k1",state="active"} 1"#,
        r#"rrctl_slots{pool="k1",state="drained"} 2"#,
        r#"rrctl_controls{action="drain",target_kind="pool"} 1"#,
        r#"rrctl_controls{action="drain",target_kind="board"} 1"#,
        r#"rrctl_controls{action="pause",target_kind="everything"} 0"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing:\n{metrics}");
    }
}
