//! What another server says: told as it is to programs, and to people without steering their terminal.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener},
};

use serde_json::{Value, json};

use crate::run::Folder;

/// What a title of the window, a colour and a turned reading order look like in a text.
const HOSTILE: &str = "because\u{1b}]0;owned\u{7}\u{1b}[31m\u{202e}txt.exe\u{9b}2J";
const SHOWN: &str = r"because\u{1b}]0;owned\u{7}\u{1b}[31m\u{202e}txt.exe\u{9b}2J";

/// A server that answers everything with this; its address.
pub(crate) fn server(status: u16, body: &Value) -> String {
    let body = body.clone();
    served(status, move |_| body.clone())
}

/// A server that answers with what is given for the target of a request; its address.
fn served(status: u16, body: impl Fn(&str) -> Value + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let asked: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let body = body(asked[0].split(' ').nth(1).unwrap()).to_string();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close");
            write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    address
}

fn rrctl(status: u16, body: &Value, arguments: &[&str]) -> String {
    let address = server(status, body);
    Folder::new().rrctl(&[arguments, &["--server", &address]].concat())
}

fn waiting_job() -> Value {
    json!({
        "job_id": 1, "run_id": null, "status": "pending", "attempt": 1, "failure_reason": null,
        "failure_info": null, "provider": "github", "entity_id": 7, "entity_name": "acme",
        "entity_type": "Organization", "repo_full_name": "acme/tools", "private": false, "installation_id": 70,
        "job_labels": ["riscv"], "k8s_pool": "k1", "k8s_image": "runner:1", "k8s_pod": null,
        "runner_name": null, "html_url": null, "job_name": HOSTILE, "job_conclusion": null,
        "job_created_at": "2026-01-01T00:00:00Z", "job_started_at": null, "job_completed_at": null,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "pool_key": "7", "position": null, "worker": null, "leading": true, "as_of": "2026-01-01T00:01:00Z",
        "reason": { "name": "paused", "sentence": HOSTILE, "since": "2026-01-01T00:00:00Z", "until": null,
                    "evidence": {} },
    })
}

fn pools(boards: Option<u32>) -> Value {
    let note = json!({ "reason": HOSTILE, "actor": "eve", "since": "2026-01-01T00:00:00Z" });
    let pool = |slots: Value, drained: Value| {
        json!({
            "jobs_pending": 0, "jobs_running": 0, "workers_pending": 0, "workers_running": 0,
            "oldest_created_at": null, "reasons": {}, "boards": boards, "slots": slots, "max_workers": null,
            "drained": drained,
        })
    };
    let slots = boards.map_or(Value::Null, |_| json!({ "free": 2 }));
    json!({
        "pools": { "k1": pool(slots, note), "left-over": pool(Value::Null, Value::Null) },
        "as_of": "2026-01-01T00:00:00Z",
    })
}

#[test]
fn a_sentence_of_a_server_does_not_steer_the_terminal() {
    let told = rrctl(200, &waiting_job(), &["why", "1", "--color", "always"]);
    assert!(told.starts_with("exit: 0\n") && told.contains(SHOWN), "{told:?}");
    assert!(!told.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']), "{told:?}");
    let json = rrctl(200, &waiting_job(), &["why", "1", "--format", "json"]);
    assert!(json.contains("\\u001b]0;owned") && json.contains("\u{202e}txt"), "JSON is exact: {json:?}");
}

#[test]
fn a_cell_of_a_table_keeps_its_colours_and_no_others() {
    let told = rrctl(200, &pools(Some(2)), &["pools", "--color", "always"]);
    assert!(told.starts_with("exit: 0\n") && told.contains(r"\u{1b}]0;owned"), "{told:?}");
    assert!(!told.contains("\u{1b}]") && !told.contains(['\u{7}', '\u{202e}', '\u{9b}']), "{told:?}");
}

#[test]
fn a_fault_of_a_server_is_one_line_and_harmless() {
    let fault = json!({ "error": format!("{HOSTILE}\nerror: rrctl is old"), "hint": "run\n  hint: this" });
    let told = rrctl(500, &fault, &["usage", "--color", "always"]);
    assert!(told.starts_with("exit: 1\n") && told.contains(SHOWN), "{told:?}");
    assert!(told.contains(r"\u{a}error: rrctl is old") && told.contains(r"run\u{a}  hint: this"), "{told:?}");
    assert!(!told.contains("\u{1b}]") && !told.contains(['\u{7}', '\u{202e}', '\u{9b}']), "{told:?}");
}

#[test]
fn a_pool_that_nothing_configures_does_not_hide_the_cluster() {
    let told = rrctl(200, &pools(Some(2)), &["pools"]);
    assert!(!told.contains("cannot be observed"), "{told}");
    let blind = rrctl(200, &pools(None), &["pools"]);
    assert!(blind.contains("warning: the cluster cannot be observed"), "{blind}");
}

#[test]
fn a_list_in_pages_is_shown_whole() {
    let board = |n: u32| {
        json!({
            "k8s_node": format!("k1-{n}"), "board": null, "state": "free", "pools": [], "slots": 1, "ready": true,
            "cordoned": false, "unreachable_since": null, "drained": null, "quarantine": null, "workers": [],
        })
    };
    let page = move |n: u32| {
        let boards: Vec<_> = (2 * n..(2 * n + 2).min(5)).map(board).collect();
        json!({ "observed": true, "total_count": 5, "page": n, "per_page": 2, "boards": boards,
                "as_of": "2026-01-01T00:00:00Z" })
    };
    let address = served(200, move |target| {
        let (_, page_asked) = target.split_once("page=").unwrap();
        page(page_asked.split('&').next().unwrap().parse().unwrap())
    });
    let told = Folder::new().rrctl_out(&["boards", "--format", "json", "--server", &address]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let names: Vec<_> = told["boards"].as_array().unwrap().iter().map(|board| &board["k8s_node"]).collect();
    assert_eq!(names, ["k1-0", "k1-1", "k1-2", "k1-3", "k1-4"]);
    assert_eq!((&told["total_count"], &told["page"], &told["per_page"]), (&json!(5), &json!(0), &json!(5)));
}

#[test]
fn boards_out_of_sight_are_told_to_programs_and_fail_for_people() {
    let unseen = json!({ "observed": false, "boards": [], "as_of": "2026-01-01T00:00:00Z" });
    let address = server(200, &unseen);
    let told = Folder::new().rrctl_out(&["boards", "--format", "json", "--server", &address]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["observed"], &told["boards"]), (&json!(false), &json!([])));
    let table = Folder::new().rrctl(&["boards", "--server", &address]);
    assert!(table.starts_with("exit: 1\n") && table.contains("the cluster cannot be observed"), "{table}");
    assert!(table.contains("hint: the server cannot observe it") && !table.contains("kubectl"), "{table}");
}
