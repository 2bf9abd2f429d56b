//! Tables on narrow terminals: names can be copied whole, and no reason is lost.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    foreign::server,
    run::{Folder, fixtures},
    terminal::shown,
};

/// The same command on terminals of two widths.
fn at_60_and_80(folder: &Folder, arguments: &[&str]) -> String {
    let at = |columns| shown(folder, arguments, &[("NO_COLOR", "1")], columns);
    let both = [60, 80].map(|columns| {
        let shown = at(columns);
        for line in shown.lines().take_while(|line| !line.starts_with("----- stderr")) {
            assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
        }
        format!("{columns} columns, {shown}")
    });
    both.join("\n")
}

fn from_server(command: &str, page: &Value) -> String {
    at_60_and_80(&Folder::new(), &[command, "--server", &server(200, page)])
}

#[test]
fn a_plan_is_readable() {
    let folder = Folder::with_fixture("every_verdict.toml");
    let snapshot = fixtures().join("every_verdict.json");
    assert_snapshot!(at_60_and_80(
        &folder,
        &["schedule", "--dry-run", "--snapshot", snapshot.to_str().unwrap()]
    ));
}

#[test]
fn a_queue_is_readable() {
    let group = |id: u32, account: &str, labels: &[&str], name: &str, sentence: &str| {
        json!({
            "entity_id": id, "entity_name": account, "entity_type": "Organization", "repo_full_name": null,
            "job_labels": labels, "jobs_pending": 12, "jobs_running": 3,
            "oldest_created_at": "2026-11-21T08:40:00Z",
            "pools": [{ "k8s_pool": "spacemit-k1", "jobs_pending": 12, "boards": 8, "boards_usable": 7 }],
            "verdicts": [{
                "jobs": 12, "name": name, "sentence": sentence, "since": "2026-11-21T11:52:30Z", "until": null,
                "evidence": {},
            }],
        })
    };
    let queue = json!({
        "jobs_pending": 24, "total_count": 2, "more": false, "page": 0, "per_page": 1000, "leading": true,
        "as_of": "2026-11-21T12:00:00Z", "unrouted": [],
        "queue": [
            group(1001, "riseproject-dev", &["ubuntu-24.04-riscv"], "no_capacity",
                "pool spacemit-k1 has no free slot, and 1 of its boards is set aside until 2026-11-21T12:10:00Z"),
            group(1002, "acme", &["self-hosted", "riscv64"], "paused", "paused by ann: moving to another rack"),
        ],
    });
    assert_snapshot!(from_server("queue", &queue));
}

/// A row of a job or a worker, with what is its own.
fn row(own: &Value) -> Value {
    let mut row = json!({
        "provider": "github", "entity_id": 1001, "entity_name": "riseproject-dev", "entity_type": "Organization",
        "installation_id": 5, "repo_full_name": "riseproject-dev/riscv-runner", "private": false,
        "job_labels": ["ubuntu-24.04-riscv"], "k8s_pool": "spacemit-k1", "k8s_image": "runner:24.04", "attempt": 1,
        "created_at": "2026-11-21T09:00:00Z", "updated_at": "2026-11-21T09:00:00Z",
        "job_created_at": "2026-11-21T09:00:00Z",
    });
    row.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    row
}

#[test]
fn jobs_are_readable_and_as_old_as_the_server_says() {
    let jobs = json!({
        "total_count": 2, "more": false, "page": 0, "per_page": 100, "as_of": "2026-11-21T12:00:00Z",
        "jobs": [
            row(&json!({ "job_id": 57_291_004_511_u64, "status": "running",
                "runner_name": "rise-riscv-runner-hatq54fi9", "job_started_at": "2026-11-21T09:02:10Z" })),
            row(&json!({ "job_id": 57_291_004_512_u64, "status": "failed",
                "failure_reason": "lost", "failure_info":
                    { "version": 1, "message": "nothing was heard of it for three days, and GitHub does not know it" } })),
        ],
    });
    assert_snapshot!(from_server("jobs", &jobs));
    let wide = Folder::new().rrctl(&["jobs", "--server", &server(200, &jobs)]);
    assert!(wide.contains("3h 0m ago"), "{wide}");
}

#[test]
fn workers_are_readable() {
    let workers = json!({
        "total_count": 1, "more": false, "page": 0, "per_page": 100, "as_of": "2026-11-21T12:00:00Z",
        "workers": [row(&json!({ "pod_name": "rise-riscv-runner-hatq54fi9", "status": "running", "k8s_node": "k1-07",
            "job_id": 57_291_004_511_u64 }))],
    });
    assert_snapshot!(from_server("workers", &workers));
}

#[test]
fn boards_are_readable() {
    let board = |node: &str, own: &Value| {
        let mut board = json!({
            "k8s_node": node, "board": "spacemit-k1", "state": "free", "pools": ["spacemit-k1", "spacemit-k1-large"],
            "slots": 1, "ready": true, "cordoned": false, "unreachable_since": null, "drained": null,
            "quarantine": null, "workers": [],
        });
        board.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        board
    };
    let worker = json!([{ "pod_name": "rise-riscv-runner-hatq54fi9", "status": "running",
        "job_id": 57_291_004_511_u64, "running_at": null }]);
    let drained =
        json!({ "reason": "a new kernel, and then a disk", "actor": "ann", "since": "2026-11-21T11:00:00Z" });
    let boards = json!({
        "observed": true, "total_count": 2, "more": false, "page": 0, "per_page": 1000, "as_of": "2026-11-21T12:00:00Z",
        "boards": [
            board("lab-k1-07.example", &json!({ "state": "busy", "workers": worker })),
            board("lab-k1-08.example", &json!({ "state": "drained", "drained": drained })),
        ],
    });
    assert_snapshot!(from_server("boards", &boards));
}
