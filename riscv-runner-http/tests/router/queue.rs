//! `/queue`, and what the overview and the metrics say of it.

use http::StatusCode;
use riscv_runner_core::{
    controls::{Controls, Note},
    ids::RepoName,
};
use riscv_runner_http::views::Picture;
use serde_json::{Value, json};

use crate::{payloads::Job, serving::Serving};

async fn queued(serving: &Serving, job: Job) {
    let guid = format!("queued-{}", job.id);
    assert_eq!(serving.send(job.request(&guid)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn jobs_are_grouped_by_what_the_same_runners_could_serve() {
    let serving = Serving::seeing(1);
    for id in 1..=3 {
        queued(&serving, Job { id, ..Job::default() }).await;
    }
    queued(&serving, Job { id: 4, owner: 501, repo: "globex/gears", ..Job::default() }).await;
    let body = serving.get("/queue.json").await.json();
    assert_eq!(body["jobs_pending"], 4);
    let groups = body["queue"].as_array().unwrap();
    let names: Vec<_> = groups.iter().map(|group| &group["entity_name"]).collect();
    assert_eq!(names, ["acme", "globex"]);
    assert_eq!(groups[0]["job_labels"], json!(["ubuntu-24.04-riscv"]));
    assert_eq!(groups[0]["jobs_pending"], 3);
    assert_eq!(groups[0]["oldest_created_at"], "2026-01-01T00:00:00Z");
    let pool = json!({ "k8s_pool": "k1", "jobs_pending": 3, "boards": 1, "boards_usable": 1 });
    assert_eq!(groups[0]["pools"][0], pool);
    let verdicts: Vec<_> = groups[0]["verdicts"].as_array().unwrap().iter().collect();
    let counts: Vec<_> = verdicts.iter().map(|verdict| (&verdict["name"], &verdict["jobs"])).collect();
    assert_eq!(counts, [(&json!("no_capacity"), &json!(2)), (&json!("provision"), &json!(1))]);

    let html = serving.get("/queue").await.text;
    assert!(html.contains("globex") && html.contains("2 × <strong>no capacity</strong>"), "{html}");
}

#[tokio::test]
async fn a_long_queue_is_counted_without_being_read_and_each_of_its_jobs_explained() {
    let serving = Serving::seeing(1);
    let (most, all) = (Picture::MOST_OF_A_KEY, Picture::MOST_OF_A_KEY + 70);
    for id in 1..=i64::from(all) {
        queued(&serving, Job { id, ..Job::default() }).await;
    }
    let body = serving.get("/queue.json").await.json();
    let group = &body["queue"][0];
    assert_eq!((&body["jobs_pending"], &group["jobs_pending"]), (&json!(all), &json!(all)));
    let counts: Vec<_> =
        group["verdicts"].as_array().unwrap().iter().map(|one| (&one["name"], &one["jobs"])).collect();
    assert_eq!(counts, [(&json!("no_capacity"), &json!(all - 1)), (&json!("provision"), &json!(1))]);
    let metrics = serving.get("/metrics").await.text;
    let held = format!("rrctl_queue_withheld{{reason=\"no_capacity\"}} {}\n", all - 1);
    assert!(metrics.contains(&held), "{metrics}");
    let pools = serving.get("/pools.json").await.json();
    assert_eq!(pools["pools"]["k1"]["reasons"]["no_capacity"], all - 1);
    assert_eq!(serving.looking.most_read(), most, "no page has read the rest");

    let middle = serving.get(&format!("/why/{most}.json")).await.json();
    assert_eq!(middle["position"]["in_pool"], json!({ "place": most, "of": all }));
    let last = serving.get(&format!("/why/{all}.json")).await.json();
    assert_eq!(last["position"]["in_key"], json!({ "place": all, "of": all }));
    assert_eq!(last["reason"]["name"], "no_capacity");
    assert!(last["reason"]["since"].as_str() >= last["job_created_at"].as_str(), "{last}");
    assert_eq!(serving.looking.most_read(), most, "nor has the page of a job at the end");
}

#[tokio::test]
async fn an_empty_queue_says_so() {
    let serving = Serving::seeing(1);
    assert!(serving.get("/queue").await.text.contains("No job waits"));
    assert_eq!(serving.get("/queue.json").await.json()["queue"], json!([]));
}

#[tokio::test]
async fn the_queue_names_no_repository_to_strangers() {
    let serving = Serving::seeing(1);
    let job = Job { id: 1, repo: "acme/skunkworks", private: true, name: "skunkworks", ..Job::default() };
    queued(&serving, job).await;
    let note =
        Note { reason: "skunkworks is too loud".into(), actor: "eve".into(), since: serving.clock.now() };
    let paused_repos = [(RepoName::new("acme/skunkworks").unwrap(), note)].into();
    serving.store.set_controls(Controls { paused_repos, ..Controls::default() });
    for path in ["/queue", "/queue.json", "/boards", "/boards.json", "/", "/metrics"] {
        let text = serving.get(path).await.text;
        assert!(!text.contains("skunkworks"), "{path}: {text}");
    }
    assert!(serving.get("/queue.json").await.text.contains("\"name\":\"paused\""));
    assert!(serving.get_as_reader("/queue.json").await.text.contains("too loud"));
}

#[tokio::test]
async fn without_a_scheduler_the_page_says_who_shows_it() {
    let serving = Serving::new();
    for path in ["/queue", "/boards"] {
        let answer = serving.get(&format!("{path}.json")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.json()["hint"].as_str().unwrap().contains("--role scheduler"), "{}", answer.text);
        assert_eq!(serving.get(path).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn the_overview_shows_age_reasons_and_slots_of_each_pool() {
    let serving = Serving::seeing(1);
    for id in 1..=2 {
        queued(&serving, Job { id, ..Job::default() }).await;
    }
    let request = http::Request::get("/").header("accept", "application/json");
    let body = serving.send(request.body(axum::body::Body::empty()).unwrap()).await.json();
    let pool = &body["pools"]["k1"];
    assert_eq!(pool["jobs_pending"], 2);
    assert_eq!(pool["oldest_created_at"], "2026-01-01T00:00:00Z");
    assert_eq!(pool["reasons"], json!({ "no_capacity": 1, "provision": 1 }));
    assert_eq!(pool["slots"]["free"], 1);
    assert_eq!(body["boards"], json!({ "free": 1 }));
    assert_eq!(
        body["lately"],
        json!({ "waits": Value::Null, "ended_by_hour": {}, "workers": 0, "failures": {} })
    );
    let status = serving.get("/status.json").await.json();
    assert_eq!((&status["pools"], &status["totals"]), (&body["pools"], &body["totals"]), "its other address");
    let pools = serving.get("/pools.json").await.json();
    assert_eq!(pools["pools"]["k1"], *pool, "the page of pools has the same");
    assert_eq!((&pool["boards"], &pool["drained"]), (&json!(1), &Value::Null));
    let page = serving.get("/pools").await.text;
    assert!(page.contains("1 × no capacity") && page.contains("1 of 1"), "{page}");
    let html = serving.get("/").await.text;
    assert!(html.contains("1 × no capacity") && html.contains("class=\"boards\""), "{html}");
}

#[tokio::test]
async fn the_overview_shows_how_long_jobs_waited_and_without_a_scheduler_too() {
    let serving = Serving::new();
    for id in 1..=4 {
        queued(&serving, Job { id, ..Job::default() }).await;
        let started = Job { id, action: "in_progress", runner: Some("rr-abc"), ..Job::default() };
        serving.send(started.request(&format!("started-{id}"))).await;
    }
    let html = serving.get("/").await.text;
    assert!(html.contains("half of 4 at most 2 min 0 s (p50), 95 % at most 2 min 0 s (p95)"), "{html}");
    assert!(!html.contains("class=\"boards\""), "{html}");
}

#[tokio::test]
async fn metrics_are_of_what_the_scheduler_sees() {
    let serving = Serving::seeing(1);
    for id in 1..=2 {
        queued(&serving, Job { id, ..Job::default() }).await;
    }
    serving.clock.advance_to(serving.clock.now() + std::time::Duration::from_secs(90));
    let text = serving.get("/metrics").await.text;
    for line in [
        r#"rrctl_queue_depth{pool="k1"} 2"#,
        r#"rrctl_queue_oldest_seconds{pool="k1"} 90.0"#,
        r#"rrctl_queue_oldest_dispatchable_seconds{pool="k1"} 90.0"#,
        r#"rrctl_queue_withheld{reason="no_capacity"} 1"#,
        r#"rrctl_slots{pool="k1",state="free"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing:\n{text}");
    }
}
