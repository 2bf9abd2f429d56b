//! `/setup/org` and `/setup/personal`: every outcome of an installation, for people and for programs.

use std::time::Duration;

use http::StatusCode;
use riscv_runner_core::{entity::EntityKind, ids::Login, ports::PortErrorKind};
use serde_json::json;

use crate::inspecting::{Inspecting, installed};

use EntityKind::{Organization, User};

/// The outcome for programs, and the page for people with the same status.
async fn check(
    t: &Inspecting,
    path: &str,
    query: &str,
    status: StatusCode,
    outcome: &str,
    words: &str,
) -> String {
    let json = t.get(&format!("{path}.json?{query}")).await;
    assert_eq!(json.status, status, "{}", json.text);
    assert_eq!(json.json()["outcome"], outcome, "{}", json.text);
    let page = t.get(&format!("{path}?{query}")).await;
    assert_eq!(page.status, status);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text.contains(words), "{words:?} is not in {}", page.text);
    page.text
}

#[tokio::test]
async fn an_installation_that_fits_is_greeted_with_an_example() {
    let t = Inspecting::new();
    t.set_installation(installed(&t.serving.clock, 7, Organization, Some(Organization)));
    t.set_installation(installed(&t.serving.clock, 8, User, Some(User)));
    let query = "installation_id=7&setup_action=install";
    let page =
        check(&t, "/setup/org", query, StatusCode::OK, "installed", "installed on <strong>acme</strong>")
            .await;
    assert!(page.contains("runs-on: ubuntu-24.04-riscv"), "{page}");
    assert!(page.contains("href=\"/check\""), "{page}");
    check(&t, "/setup/personal", "installation_id=8", StatusCode::OK, "installed", "You are set up").await;
    check(&t, "/setup/org", "installation_id=8", StatusCode::OK, "installed", "You are set up").await;
}

#[tokio::test]
async fn the_wrong_app_is_told_with_the_one_that_fits() {
    let t = Inspecting::new();
    t.set_installation(installed(&t.serving.clock, 7, Organization, Some(User)));
    t.set_installation(installed(&t.serving.clock, 8, User, Some(Organization)));
    for (path, id, words, fitting) in [
        ("/setup/org", 7, "this account needs the App for personal accounts", "for-people"),
        ("/setup/personal", 8, "this account needs the App for organizations", "for-organizations"),
    ] {
        let query = format!("installation_id={id}");
        let page = check(&t, path, &query, StatusCode::CONFLICT, "wrong_app", words).await;
        assert!(page.contains(&format!("href=\"https://github.com/apps/{fitting}\"")), "{page}");
        assert!(page.contains("role=\"alert\""), "{page}");
        let json = t.get(&format!("{path}.json?{query}")).await.json();
        assert_eq!(json["install"], format!("https://github.com/apps/{fitting}"));
    }
}

#[tokio::test]
async fn an_enterprise_cannot_be_served() {
    let t = Inspecting::new();
    t.set_installation(installed(&t.serving.clock, 7, Organization, None));
    check(&t, "/setup/org", "installation_id=7", StatusCode::CONFLICT, "wrong_type", "cannot be served")
        .await;
}

#[tokio::test]
async fn a_suspension_a_request_and_an_unknown_number_are_told() {
    let t = Inspecting::new();
    let mut suspended = installed(&t.serving.clock, 7, Organization, Some(Organization));
    suspended.suspended_at = suspended.changed_at;
    t.set_installation(suspended);
    check(&t, "/setup/org", "installation_id=7", StatusCode::OK, "suspended", "but suspended").await;
    check(&t, "/setup/org", "setup_action=request", StatusCode::OK, "requested", "Waiting for an owner")
        .await;
    let query = "installation_id=9";
    check(&t, "/setup/org", query, StatusCode::NOT_FOUND, "unknown_installation", "does not know").await;
}

#[tokio::test]
async fn a_missing_or_broken_parameter_is_named() {
    let t = Inspecting::new();
    for query in
        ["", "?setup_action=install", "?installation_id=", "?installation_id=seven", "?installation_id=-7"]
    {
        let page = t.get(&format!("/setup/org{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(page.text.contains("installation_id"), "{}", page.text);
        let json = t.get(&format!("/setup/personal.json{query}")).await;
        assert_eq!(
            (json.status, &json.json()["parameter"]),
            (StatusCode::BAD_REQUEST, &json!("installation_id"))
        );
    }
    assert_eq!(t.asked(), 0);
}

#[tokio::test]
async fn a_github_that_does_not_answer_leaves_it_unconfirmed() {
    let t = Inspecting::new();
    t.fail(PortErrorKind::Transient);
    let page = t.get("/setup/org?installation_id=7").await;
    assert_eq!((page.status, page.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
    assert!(
        page.text.contains("most likely installed") && !page.text.contains("secret detail"),
        "{}",
        page.text
    );
    assert_eq!(t.get("/setup/org.json?installation_id=7").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_account_is_named_only_for_some_minutes() {
    let t = Inspecting::new();
    t.set_installation(installed(&t.serving.clock, 7, Organization, Some(Organization)));
    t.pass(Duration::from_secs(15 * 60));
    let page =
        check(&t, "/setup/org", "installation_id=7", StatusCode::OK, "installed", "You are set up").await;
    assert!(!page.contains("acme"), "{page}");
    assert_eq!(t.get("/setup/org.json?installation_id=7").await.json()["account"], json!(null));
}

#[tokio::test]
async fn it_is_there_for_everybody_and_escapes_what_it_shows() {
    let t = Inspecting::with(|builder| builder.public_pages(false));
    let mut hostile = installed(&t.serving.clock, 7, Organization, Some(Organization));
    hostile.account.login = Login::new("<img src=x onerror=alert(1)>\"'&").unwrap();
    hostile.settings = Some("javascript:alert(1)".to_owned());
    t.set_installation(hostile);
    let page = t.get("/setup/org?installation_id=7").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("<img") && !page.text.contains("javascript:"), "{}", page.text);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
}
