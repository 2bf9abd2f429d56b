//! `/stats/weekly-usage`, and labels that match no rule on `/queue`.

use std::time::Duration;

use http::StatusCode;
use riscv_runner_core::pod::PodPhase;
use serde_json::json;

use crate::{payloads::Job, serving::Serving};

#[tokio::test]
async fn weeks_are_drawn_and_tabled_and_told_to_programs() {
    let serving = Serving::seeing(1);
    let since = serving.clock.now();
    serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since }, None).await;
    serving.clock.advance_to(since + Duration::from_secs(90 * 60));
    let body = serving.get("/stats/weekly-usage.json").await.json();
    assert_eq!(body["minutes"], 90.0, "a worker that lives counts until now");
    let weeks = body["weeks"].as_array().unwrap();
    assert_eq!(weeks.len(), 13, "twelve weeks and the current one");
    assert_eq!(weeks[12]["week"], "2025-12-29");
    assert_eq!(weeks[12]["accounts"][0]["entity_name"], "acme");
    assert_eq!(weeks[12]["accounts"][0]["minutes"], 90.0);
    assert_eq!(body["totals"][0]["workers"], 1);
    let page = serving.get("/stats/weekly-usage").await;
    assert!(page.header("content-type").starts_with("text/html"));
    for text in ["<svg", "role=\"img\"", "<title id=", "<desc id=", "<caption>", "acme", ">90<"] {
        assert!(page.text.contains(text), "{text} is missing in {}", page.text);
    }
    assert!(!page.text.contains("style=\""), "the policy forbids style attributes");
}

#[tokio::test]
async fn a_window_without_workers_says_so_and_an_endless_one_is_refused() {
    let serving = Serving::new();
    let page = serving.get("/stats/weekly-usage?start=2025-01-06&end=2025-01-19").await;
    assert!(page.text.contains("There were no workers in these weeks."), "{}", page.text);
    let body = serving.get("/stats/weekly-usage.json?start=2025-01-06&end=2025-01-19").await.json();
    let weeks: Vec<_> = body["weeks"].as_array().unwrap().iter().map(|week| &week["week"]).collect();
    assert_eq!(weeks, ["2025-01-06", "2025-01-13"]);
    for query in ["start=1999-01-01", "start=yesterday"] {
        let refused = serving.get(&format!("/stats/weekly-usage.json?{query}")).await;
        assert_eq!(
            (refused.status, &refused.json()["parameter"]),
            (StatusCode::BAD_REQUEST, &json!("start"))
        );
    }
}

#[tokio::test]
async fn labels_that_no_rule_knows_are_listed_with_no_board_and_typos_first() {
    let serving = Serving::seeing(1);
    let job = |id, label| Job { id, labels: vec![label], ..Job::default() };
    serving.send(job(1, "ubunut-24.04-riscv").request("g1")).await;
    serving.send(job(2, "<b>windows</b>").request("g2")).await;
    serving.send(job(3, "ubuntu-latest").request("g3")).await;
    let taken = Job { action: "in_progress", runner: Some("GitHub Actions 7"), ..job(3, "ubuntu-latest") };
    serving.send(taken.request("g4")).await;
    let body = serving.get("/queue.json").await.json();
    let unrouted = body["unrouted"].as_array().unwrap();
    assert_eq!(unrouted.len(), 2, "{unrouted:?}");
    assert_eq!(unrouted[0]["job_labels"], json!(["ubunut-24.04-riscv"]));
    assert_eq!((&unrouted[0]["boards"], &unrouted[0]["jobs"]), (&json!(0), &json!(1)));
    assert_eq!(unrouted[0]["known"], "ubuntu-24.04-riscv");
    assert_eq!(unrouted[0]["repo_full_name"], json!(null), "repositories are for readers");
    assert_eq!(unrouted[1]["cause"], "unknown");
    let html = serving.get_as_reader("/queue").await.text;
    assert!(html.contains("Labels that match no rule") && html.contains("a typo?"), "{html}");
    assert!(html.contains("acme/widgets") && !html.contains("<b>windows"), "{html}");
}
