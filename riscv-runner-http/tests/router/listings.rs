//! Windows and pages of lists: parameters, their faults, and the `Link` header.

use std::time::Duration;

use http::StatusCode;
use riscv_runner_core::pod::PodPhase;
use serde_json::Value;

use crate::{payloads::Job, serving::Serving};

/// Five jobs, stored on 2026-01-01.
async fn five_jobs() -> Serving {
    let serving = Serving::new();
    for id in 1..=5 {
        serving.send(Job { id, ..Job::default() }.request(&format!("g{id}"))).await;
    }
    serving
}

fn ids(body: &Value) -> Vec<i64> {
    body["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn pages_split_the_list_and_the_links_lead_through_it() {
    let serving = five_jobs().await;
    let first = serving.get("/jobs.json?per_page=2").await;
    assert_eq!(ids(&first.json()), [5, 4]);
    assert_eq!(first.json()["total_count"], 5);
    assert_eq!(
        first.header("link"),
        "</jobs.json?page=1&per_page=2>; rel=\"next\", </jobs.json?page=2&per_page=2>; rel=\"last\""
    );
    let last = serving.get("/jobs.json?page=2&per_page=2&start=-7d").await;
    assert_eq!(ids(&last.json()), [1]);
    assert_eq!(
        last.header("link"),
        "</jobs.json?start=-7d&page=0&per_page=2>; rel=\"first\", \
         </jobs.json?start=-7d&page=1&per_page=2>; rel=\"prev\""
    );
    let beyond = serving.get("/jobs.json?page=9&per_page=2").await;
    assert_eq!(ids(&beyond.json()), [0; 0]);
    assert!(beyond.header("link").contains("page=2&per_page=2>; rel=\"prev\""), "{}", beyond.header("link"));
    assert_eq!(serving.get("/jobs.json").await.header("link"), "", "one page needs no links");
}

#[tokio::test]
async fn a_filter_is_repeated_in_the_links_and_in_its_form() {
    let serving = five_jobs().await;
    for id in 1..=2 {
        let done = Job { id, action: "completed", ..Job::default() };
        serving.send(done.request(&format!("done-{id}"))).await;
    }
    let asked = |query: &str| format!("/jobs.json?{query}");
    let pending = serving.get(&asked("status=pending&entity=ACME&pool=k1&per_page=2")).await;
    assert_eq!(ids(&pending.json()), [5, 4]);
    assert_eq!(pending.json()["total_count"], 3);
    let next = "</jobs.json?status=pending&entity=ACME&pool=k1&page=1&per_page=2>; rel=\"next\"";
    assert!(pending.header("link").starts_with(next), "{}", pending.header("link"));
    assert_eq!(ids(&serving.get(&asked("status=completed")).await.json()), [2, 1]);
    assert_eq!(ids(&serving.get(&asked("entity=nobody")).await.json()), [0; 0]);
    assert_eq!(ids(&serving.get(&asked("status=&entity=&pool=")).await.json()).len(), 5, "an empty form");
    for (query, parameter) in [("status=done", "status"), ("entity=%00", "entity"), ("pool=%00", "pool")] {
        let refused = serving.get(&asked(query)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(refused.json()["parameter"], parameter, "{query}");
    }
    let page = serving.get("/jobs?status=pending&entity=%22%3E%3Cb%3E").await;
    assert!(page.text.contains("<option value=\"pending\" selected>"), "{}", page.text);
    assert!(!page.text.contains("<b>"), "{}", page.text);
    assert_eq!(serving.get("/workers.json?status=failed").await.json()["total_count"], 0);
}

#[tokio::test]
async fn windows_are_whole_days_of_utc() {
    let serving = five_jobs().await;
    for (query, found) in [
        ("start=2026-01-01&end=2026-01-01", 5),
        ("start=2026-01-02", 0),
        ("end=2025-12-31", 0),
        ("start=-0d", 5),
        ("end=-1d", 0),
        ("start=-3660d&end=-0d", 5),
        ("start=2025-12-30&end=9000-12-31", 5),
    ] {
        let answer = serving.get(&format!("/jobs.json?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text);
        assert_eq!(ids(&answer.json()).len(), found, "{query}");
    }
}

#[tokio::test]
async fn a_parameter_that_cannot_be_read_is_named() {
    let serving = Serving::new();
    for (query, parameter) in [
        ("start=yesterday", "start"),
        ("start=2026-02-30", "start"),
        ("start=-d", "start"),
        ("start=--3d", "start"),
        ("start=-9999d", "start"),
        ("start=0001-01-01", "start"),
        ("start=2026-01-02&end=2026-01-01", "start"),
        ("end=2026-1-1", "end"),
        ("end=", "end"),
        ("page=-1", "page"),
        ("page=one", "page"),
        ("page=99999999999", "page"),
        ("page=1001", "page"),
        ("page=101&per_page=1000", "page"),
        ("per_page=0", "per_page"),
        ("per_page=1001", "per_page"),
        ("per_page=%2B5", "per_page"),
    ] {
        for path in ["/jobs.json", "/history.json", "/workers.json"] {
            let answer = serving.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}?{query}");
            assert_eq!(answer.json()["parameter"], parameter, "{path}?{query}");
        }
    }
    for query in ["per_page=1", "per_page=1000", "page=0", "page=1000", "page=100&per_page=1000", "unknown=1"]
    {
        assert_eq!(serving.get(&format!("/workers.json?{query}")).await.status, StatusCode::OK, "{query}");
    }
}

#[tokio::test]
async fn a_fault_on_a_page_for_people_names_the_parameter_and_is_escaped() {
    let answer = Serving::new().get("/jobs?start=%3Cscript%3E").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text.contains("<code>start</code>"), "{}", answer.text);
    assert!(!answer.text.contains("<script"), "{}", answer.text);
}

/// Three accounts whose jobs wait, and a board each of two pools.
async fn three_accounts() -> Serving {
    let serving = Serving::seeing(3);
    serving.looking.add_boards("x9", 1);
    serving.looking.edit("k1-2", |node| node.cordoned = true);
    for (n, repo) in [(1, "acme/a"), (2, "globex/b"), (3, "initech/c")] {
        serving.send(Job { id: n, owner: 500 + n, repo, ..Job::default() }.request(&format!("g{n}"))).await;
    }
    serving
}

fn names(body: &Value, list: &str, name: &str) -> Vec<String> {
    let rows = body[list].as_array().unwrap_or_else(|| panic!("no {list} in {body}"));
    rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_now_has_pages_and_filters_too() {
    let serving = three_accounts().await;
    for (path, list, name, all) in [
        ("/queue", "queue", "entity_name", ["acme", "globex", "initech"].as_slice()),
        ("/usage", "usage", "entity_name", &["acme", "globex", "initech"]),
        ("/boards", "boards", "k8s_node", &["k1-1", "k1-2", "k1-3", "x9-1"]),
    ] {
        let whole = serving.get(&format!("{path}.json")).await;
        assert_eq!(names(&whole.json(), list, name), all, "{path}");
        assert_eq!(whole.header("link"), "", "one page needs no links: {path}");
        let second = serving.get(&format!("{path}.json?per_page=2&page=1")).await;
        assert_eq!(names(&second.json(), list, name), all[2..], "{path}");
        let (total, page) = (&second.json()["total_count"], &second.json()["page"]);
        assert_eq!((total, page), (&all.len().into(), &1.into()), "{path}");
        assert_eq!(
            second.header("link"),
            format!(
                "<{path}.json?page=0&per_page=2>; rel=\"first\", <{path}.json?page=0&per_page=2>; rel=\"prev\""
            )
        );
        let page = serving.get(&format!("{path}?per_page=2")).await.text;
        assert!(page.contains("rel=\"next\"") && page.contains("Page 1 of 2"), "{path}: {page}");
        assert!(page.contains(all[1]) && !page.contains(all[2]), "{path}: {page}");
    }
    let queue = serving.get("/queue.json?per_page=1").await.json();
    assert_eq!(queue["jobs_pending"], 3, "over all pages");
    assert_eq!(serving.get("/usage.json?per_page=1").await.json()["totals"]["jobs_pending"], 3);
}

#[tokio::test]
async fn a_filter_of_what_is_now_is_repeated_in_the_links() {
    let serving = three_accounts().await;
    for (query, found) in [
        ("/queue.json?entity=GLOBEX", vec!["globex"]),
        ("/queue.json?pool=k1&entity=acme", vec!["acme"]),
        ("/queue.json?pool=x9", vec![]),
        ("/usage.json?entity=initech&pool=k1", vec!["initech"]),
        ("/boards.json?state=cordoned", vec!["k1-2"]),
        ("/boards.json?pool=k1&state=free", vec!["k1-1", "k1-3"]),
    ] {
        let list = query[1..].split('.').next().unwrap();
        let name = if list == "boards" { "k8s_node" } else { "entity_name" };
        let body = serving.get(query).await.json();
        assert_eq!(names(&body, list, name), found, "{query}");
        assert_eq!(body["total_count"], found.len(), "{query}");
    }
    let linked = serving.get("/boards.json?state=free&pool=k1&per_page=1").await;
    let next = "</boards.json?state=free&pool=k1&page=1&per_page=1>; rel=\"next\"";
    assert!(linked.header("link").starts_with(next), "{}", linked.header("link"));
    let page = serving.get("/boards?state=cordoned").await.text;
    assert!(page.contains("<a href=\"/boards?state=cordoned\" aria-current=\"true\">cordoned</a>"), "{page}");
    assert!(page.contains("href=\"/boards?state=free\""), "{page}");
}

#[tokio::test]
async fn accounts_of_the_weeks_have_pages() {
    let serving = Serving::seeing(1);
    let since = serving.clock.now();
    serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since }, None).await;
    serving.clock.advance_to(since + Duration::from_secs(90 * 60));
    let whole = serving.get("/stats/weekly-usage.json").await.json();
    assert_eq!((&whole["total_count"], whole["totals"].as_array().unwrap().len()), (&1.into(), 1), "{whole}");
    let beyond = serving.get("/stats/weekly-usage.json?page=1&per_page=1&start=-30d").await;
    let body = beyond.json();
    assert_eq!((&body["totals"], body["minutes"].is_number()), (&serde_json::json!([]), true));
    let weeks = body["weeks"].as_array().unwrap();
    assert!(weeks.iter().all(|week| week["accounts"] == serde_json::json!([])), "{body}");
    let first = "</stats/weekly-usage.json?start=-30d&page=0&per_page=1>; rel=\"first\"";
    assert!(beyond.header("link").starts_with(first), "{}", beyond.header("link"));
}

#[tokio::test]
async fn a_parameter_that_cannot_be_read_is_named_on_every_page() {
    let serving = Serving::seeing(1);
    for path in
        ["/boards", "/boards.json", "/queue", "/queue.json", "/usage.json", "/stats/weekly-usage.json"]
    {
        for (query, parameter) in
            [("per_page=0", "per_page"), ("page=x", "page"), ("start=bogus", "start"), ("end=", "end")]
        {
            let answer = serving.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}?{query}");
            assert!(answer.text.contains(parameter), "{path}?{query}: {}", answer.text);
        }
        assert_eq!(
            serving.get(&format!("{path}?per_page=1000&page=3")).await.status,
            StatusCode::OK,
            "{path}"
        );
    }
    let wrong = serving.get("/boards.json?state=idle").await;
    assert_eq!((wrong.status, &wrong.json()["parameter"]), (StatusCode::BAD_REQUEST, &"state".into()));
}
