//! Windows and pages of lists: parameters, their faults, and the `Link` header.

use http::StatusCode;
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
    for query in ["per_page=1", "per_page=1000", "page=0", "unknown=1"] {
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
