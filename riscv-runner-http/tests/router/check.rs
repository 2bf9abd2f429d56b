//! `/check`: what it finds, what strangers do not learn, and how often it may be asked.

use http::StatusCode;
use riscv_runner_core::{
    observed::Observed,
    ports::{PortErrorKind, RepositoryFacts},
};
use serde_json::json;

use crate::{
    inspecting::{Inspecting, in_order},
    serving::{Serving, TOKEN},
};

#[tokio::test]
async fn without_a_repository_there_is_a_form() {
    let t = Inspecting::new();
    let answer = t.get("/check").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.contains("<form") && answer.text.contains("name=\"repo\""), "{}", answer.text);
    assert!(answer.text.contains("aria-current=\"page\">Check</a>"), "{}", answer.text);
    assert!(answer.header("content-security-policy").contains("form-action 'self'"));
    let answer = t.get("/check.json").await;
    assert_eq!((answer.status, &answer.json()["parameter"]), (StatusCode::BAD_REQUEST, &json!("repo")));
    assert_eq!(t.asked(), 0);
}

#[tokio::test]
async fn a_repository_in_order_is_told_so() {
    let t = Inspecting::new();
    t.set_repository(in_order(&t.serving.clock, "acme/widget", false));
    let json =
        t.get("/check.json?repo=https://github.com/acme/widget&labels=ubuntu-24.04-riscv").await.json();
    assert_eq!((&json["repo"], &json["clear"]), (&json!("acme/widget"), &json!(true)));
    let findings = json["findings"].as_array().unwrap();
    assert!(findings.iter().all(|found| found["verdict"] == "ok"), "{json}");
    let page = t.get("/check?repo=acme%2Fwidget").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text.contains("Nothing is in the way of jobs of <strong>acme/widget</strong>"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn a_problem_comes_with_what_to_do_and_where() {
    let t = Inspecting::new();
    let facts = RepositoryFacts { chosen: [].into(), ..in_order(&t.serving.clock, "acme/widget", false) };
    t.set_repository(facts);
    let json = t.get("/check.json?repo=acme/widget&labels=x86").await.json();
    assert_eq!(json["clear"], false);
    let problems: Vec<_> =
        json["findings"].as_array().unwrap().iter().filter(|f| f["verdict"] == "problem").collect();
    assert_eq!(problems[0]["check"], "repository_chosen");
    assert_eq!(
        problems[0]["links"][0]["url"],
        "https://github.com/organizations/acme/settings/installations/7"
    );
    assert_eq!(problems[1]["check"], "labels");
    assert_eq!(problems[1]["remedy"], "Write one of these as runs-on: [ubuntu-24.04-riscv]");
    let page = t.get("/check?repo=acme/widget&labels=x86").await.text;
    assert!(page.contains("2 things are in the way"), "{page}");
    assert!(
        page.contains("href=\"https://github.com/organizations/acme/settings/installations/7\""),
        "{page}"
    );
    assert!(page.contains("value=\"acme/widget\"") && page.contains("value=\"x86\""), "{page}");
}

#[tokio::test]
async fn a_private_repository_is_not_told_from_none() {
    let t = Inspecting::new();
    let clock = &t.serving.clock;
    t.set_repository(in_order(clock, "acme/vault", true));
    let none = RepositoryFacts {
        repository: Observed::Absent,
        chosen: [].into(),
        ..in_order(clock, "acme/nvault", false)
    };
    t.set_repository(none);
    for form in ["/check?repo=acme/", "/check.json?repo=acme/"] {
        let private = t.get(&format!("{form}vault")).await;
        let nothing = t.get(&format!("{form}nvault")).await;
        assert_eq!(private.status, nothing.status);
        assert_eq!(private.text.replace("/vault", "/nvault"), nothing.text);
        assert!(private.text.contains("does not exist"), "{}", private.text);
    }
    let told = t.serving.get_as_reader("/check.json?repo=acme/vault").await.json();
    assert_eq!(told["clear"], true, "a reader with the token is told");
}

#[tokio::test]
async fn what_cannot_be_a_repository_is_refused_and_escaped() {
    let t = Inspecting::new();
    for query in
        ["repo=acme", "repo=..%2Fapp", "repo=a%2Fb%2Fc", "repo=%3Cscript%3E%2Fx", "repo=a/b&labels=,"]
    {
        let answer = t.get(&format!("/check?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(!answer.text.contains("<script"), "{}", answer.text);
        assert!(answer.text.contains("<form"), "the form stays, to be corrected");
        let json = t.get(&format!("/check.json?{query}")).await;
        assert_eq!(json.status, StatusCode::BAD_REQUEST);
        assert!(json.json()["parameter"].is_string() && json.json()["hint"].is_string());
    }
    let hostile = "acme/w&labels=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E";
    let page = t.get(&format!("/check?repo={hostile}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("<img"), "{}", page.text);
    assert_eq!(t.asked(), 1);
}

#[tokio::test]
async fn one_address_asks_ten_times_and_then_waits() {
    let t = Inspecting::new();
    for _ in 0..10 {
        assert_eq!(t.get_from("192.0.2.1", "/check?repo=acme/widget").await.status, StatusCode::OK);
    }
    let refused = t.get_from("192.0.2.1", "/check?repo=acme/widget").await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "6"));
    assert_eq!(
        t.get_from("192.0.2.1", "/setup/org?installation_id=7").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(t.asked(), 10);
    assert_eq!(t.get_from("192.0.2.2", "/check?repo=acme/widget").await.status, StatusCode::OK);
    assert_eq!(t.get_from("192.0.2.1", "/check").await.status, StatusCode::OK, "the form costs nothing");
    t.pass(std::time::Duration::from_secs(6));
    assert_eq!(t.get_from("192.0.2.1", "/check?repo=acme/widget").await.status, StatusCode::OK);
    for _ in 0..12 {
        let request =
            http::Request::get("/check?repo=acme/widget").header("authorization", format!("Bearer {TOKEN}"));
        let answer = t.serving.send(request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "readers are not counted");
    }
}

#[tokio::test]
async fn behind_a_proxy_its_header_tells_the_addresses_apart() {
    let t = Inspecting::with(|builder| builder.behind_proxy(true));
    let ask = async |address: &str| {
        let request = http::Request::get("/check?repo=acme/widget").header("x-forwarded-for", address);
        t.serving.send(request.body(axum::body::Body::empty()).unwrap()).await.status
    };
    for n in 0..10 {
        assert_eq!(ask(&format!("203.0.113.{n}, 192.0.2.1")).await, StatusCode::OK);
    }
    assert_eq!(ask("203.0.113.77, 192.0.2.1").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask("192.0.2.1, 192.0.2.2").await, StatusCode::OK);
}

#[tokio::test]
async fn github_that_is_asked_too_much_or_does_not_answer_is_told() {
    let t = Inspecting::new();
    t.fail(PortErrorKind::RateLimited {
        until: t.serving.clock.now() + jiff::SignedDuration::from_millis(2500),
    });
    let limited = t.get("/check.json?repo=acme/widget").await;
    assert_eq!((limited.status, limited.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "3"));
    t.fail(PortErrorKind::Transient);
    for uri in ["/check?repo=acme/widget", "/check.json?repo=acme/widget"] {
        let answer = t.get(uri).await;
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
        assert!(!answer.text.contains("secret detail"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_process_that_may_not_ask_github_says_so() {
    let serving = Serving::new();
    for uri in ["/check", "/check.json?repo=a/b", "/setup/org?installation_id=7"] {
        assert_eq!(serving.get(uri).await.status, StatusCode::NOT_FOUND, "{uri}");
    }
    assert!(!serving.get("/").await.text.contains(">Check</a>"));
    let closed = Inspecting::with(|builder| builder.public_pages(false));
    assert_eq!(closed.get("/check?repo=a/b").await.status, StatusCode::UNAUTHORIZED);
}
