//! `POST /controls` and the page of what is in force.

use axum::body::Body;
use http::{Request, StatusCode};
use riscv_runner_core::{
    pod::PodPhase,
    ports::{ControlStore, SchedulingStore},
    scope::Target,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    pages::{failed_worker, pod_failure},
    payloads::Job,
    serving::{Answer, Serving},
};

const ADMIN: &str = "admin-token";

/// A process that takes orders and sees two boards.
fn serving() -> Serving {
    let serving =
        Serving::seeing_with(|builder, store| builder.operators(store, Some(SecretString::from(ADMIN))));
    serving.looking.add_boards("k1", 2);
    serving
}

async fn post(serving: &Serving, authorization: Option<&str>, body: &Value) -> Answer {
    let mut request = Request::post("/controls");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    serving.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn order(serving: &Serving, body: &Value) -> Answer {
    post(serving, Some("Bearer admin-token"), body).await
}

fn drain(board: &str) -> Value {
    json!({ "verb": "drain", "target": { "kind": "board", "name": board }, "reason": "new fan", "actor": "ann" })
}

#[tokio::test]
async fn an_order_is_carried_out_written_down_and_answered() {
    let serving = serving();
    let answer = order(&serving, &drain("k1-1")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let since = serving.clock.now().to_string();
    assert_eq!(
        answer.json(),
        json!({ "changed": true, "order": {
            "verb": "drain", "target": { "kind": "board", "name": "k1-1" },
            "reason": "new fan", "actor": "ann", "since": since,
        } })
    );
    let controls = serving.store.standing().await.unwrap().controls;
    assert_eq!(controls.drained_nodes.len(), 1);
    let audit = serving.store.control_audit(10).await.unwrap();
    assert_eq!((audit.len(), audit[0].note.actor.as_str()), (1, "ann"));

    let back =
        json!({ "verb": "undrain", "target": { "kind": "board", "name": "k1-1" }, "reason": "mended" });
    assert_eq!(order(&serving, &back).await.json()["changed"], true);
    let again = order(&serving, &back).await;
    assert_eq!((again.status, &again.json()["changed"]), (StatusCode::OK, &json!(false)));
    let audit = serving.store.control_audit(10).await.unwrap();
    assert_eq!((audit.len(), audit[0].note.actor.as_str()), (2, "http"));
}

#[tokio::test]
async fn nobody_orders_without_the_token() {
    let serving = serving();
    for authorization in [
        None,
        Some("Bearer wrong"),
        Some("Bearer admin-token-and-more"),
        Some("Bearer reader-token"),
        // A browser would send this by itself.
        Some("Basic eDphZG1pbi10b2tlbg=="),
    ] {
        let answer = post(&serving, authorization, &drain("k1-1")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.text, r#"{"error":"unauthorized"}"#);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert!(serving.store.control_audit(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn without_a_token_in_the_configuration_there_is_no_such_route() {
    let off = Serving::seeing_with(|builder, store| builder.operators(store, None));
    let answer = post(&off, Some("Bearer "), &drain("k1-1")).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn what_is_wrong_with_an_order_is_named() {
    let serving = serving();
    let entity = |verb: &str, extra: Value| {
        let mut body = json!({ "verb": verb, "target": { "kind": "entity", "name": 666 }, "reason": "r" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for (body, field, text) in [
        (json!(7), "body", "not an order"),
        (json!({ "reason": "r" }), "verb", "verb must be one of pause, resume"),
        (entity("explode", json!({})), "verb", "must be one of pause, resume"),
        (entity("drain", json!({})), "target", "drain takes a board or a pool, not entity"),
        (entity("limit", json!({})), "max_workers", "limit needs max_workers"),
        (entity("limit", json!({ "max_workers": -1 })), "max_workers", "a number of at least 0"),
        (entity("ban", json!({ "max_workers": 1 })), "max_workers", "ban takes no max_workers"),
        (entity("ban", json!({ "actor": "" })), "actor", "must not be empty"),
        (entity("ban", json!({ "reason": null })), "reason", "must not be empty"),
        (entity("ban", json!({ "force": "yes" })), "force", "true or false"),
        (json!({ "verb": "pause", "reason": "r", "target": { "kind": "moon" } }), "target", "must be one of"),
        (json!({ "verb": "pause", "reason": "r", "target": {} }), "target", "missing field `kind`"),
        (entity("limit", json!({ "max_workers": "lots" })), "max_workers", "or \"unlimited\""),
        (entity("ban", json!({ "reason": " " })), "reason", "must not be empty"),
        (entity("ban", json!({ "because": "x" })), "body", "unknown field `because`"),
    ] {
        let answer = order(&serving, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
        assert_eq!(answer.json()["field"], field, "{}", answer.text);
        assert!(answer.text.contains(&text.replace('"', "\\\"")), "{}", answer.text);
    }
    let large = json!({ "verb": "x".repeat(20_000) });
    assert_eq!(order(&serving, &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(serving.store.control_audit(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_account_may_be_named_by_its_login() {
    let serving = serving();
    serving.send(Job { id: 5, ..Job::default() }.request("g1")).await;
    let limit = |login: &str| json!({ "verb": "limit", "target": { "kind": "entity", "name": login }, "max_workers": 3, "reason": "r" });
    let accounts = serving.store.known_accounts().await.unwrap();
    let account = accounts.first().expect("the delivery told of one");
    let answer = order(&serving, &limit(&account.login.as_str().to_uppercase())).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json()["order"]["target"]["name"], account.id.get());
    let answer = order(&serving, &limit("nobody-of-ours")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text);
    assert_eq!(answer.json()["error"], "no account named nobody-of-ours is known");
}

#[tokio::test]
async fn a_name_that_nothing_has_is_refused_unless_it_is_forced() {
    let serving = serving();
    let answer = order(&serving, &drain("k1-3")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.json()["error"], "there is no board k1-3");
    assert!(answer.json()["hint"].as_str().unwrap().starts_with("did you mean k1-"), "{}", answer.text);
    let ban = json!({ "verb": "ban", "target": { "kind": "entity", "name": 8 }, "reason": "spam" });
    assert_eq!(order(&serving, &ban).await.status, StatusCode::NOT_FOUND);
    for mut body in [drain("k1-3"), ban] {
        body["force"] = json!(true);
        assert_eq!(order(&serving, &body).await.status, StatusCode::OK);
    }
    let blind =
        Serving::seeing_with(|builder, store| builder.operators(store, Some(SecretString::from(ADMIN))));
    blind.looking.lose_cluster();
    let answer = order(&blind, &drain("k1-1")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
}

#[tokio::test]
async fn a_worker_that_runs_a_job_is_only_revoked_by_force() {
    let serving = serving();
    let since = serving.clock.now();
    for (action, guid) in [("queued", "g1"), ("in_progress", "g2")] {
        let runner = (action == "in_progress").then_some("rr-abc");
        let job = Job { id: 42, action, runner, ..Job::default() };
        serving.send(job.request(guid)).await;
    }
    serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since }, Some(42)).await;
    let mut body =
        json!({ "verb": "revoke", "target": { "kind": "worker", "name": "rr-abc" }, "reason": "hot" });
    let answer = order(&serving, &body).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.json()["error"], "the worker runs job 42");
    body["force"] = json!(true);
    let answer = order(&serving, &body).await;
    assert_eq!((answer.status, &answer.json()["order"]["force"]), (StatusCode::OK, &json!(true)));
    assert_eq!(answer.json()["changed"], true);
    let revoked = serving.store.standing().await.unwrap().controls.revoked_workers;
    let revoked: Vec<_> = revoked.iter().map(|(name, wish)| (name.as_str(), wish.force)).collect();
    assert_eq!(revoked, [("rr-abc", true)]);
}

#[tokio::test]
async fn a_worker_that_never_was_is_not_revoked() {
    let serving = serving();
    let since = serving.clock.now();
    serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since }, None).await;
    let revoke = |name: &str, force: bool| json!({ "verb": "revoke", "target": { "kind": "worker", "name": name }, "reason": "hot", "force": force });
    for force in [false, true] {
        let answer = order(&serving, &revoke("rr-abd", force)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text);
        assert_eq!(answer.json()["error"], "there is no worker rr-abd");
        let hint = "did you mean rr-abc? or: GET /workers lists those of recent days";
        assert_eq!(answer.json()["hint"], hint);
    }
    failed_worker(&serving, "rr-ended", Target::Organization, pod_failure("")).await;
    let answer = order(&serving, &revoke("rr-ended", false)).await;
    assert_eq!((answer.status, &answer.json()["changed"]), (StatusCode::OK, &json!(false)));
    assert_eq!(order(&serving, &revoke("rr-abc", false)).await.json()["changed"], true);
}

#[tokio::test]
async fn the_page_shows_what_is_in_force_and_the_audit_to_readers() {
    let serving = serving();
    order(&serving, &drain("k1-1")).await;
    let repo = json!({ "verb": "pause", "target": { "kind": "repository", "name": "acme/hidden" }, "reason": "<b>loud</b>" });
    order(&serving, &repo).await;
    let controls = serving.store.controls();
    serving.controls.send_replace(controls.into());

    let open = serving.get("/controls.json").await.json();
    assert_eq!(open["in_force"].as_array().unwrap().len(), 1, "{open}");
    assert_eq!(open["in_force"][0]["target"]["name"], "k1-1");
    assert!(open.get("audit").is_none(), "{open}");
    let all = serving.get_as_reader("/controls.json").await.json();
    assert_eq!(all["in_force"].as_array().unwrap().len(), 2);
    assert_eq!(all["audit"][0]["target"]["name"], "acme/hidden");

    let page = serving
        .send(Request::get("/controls").header("accept", "text/html").body(Body::empty()).unwrap())
        .await;
    assert!(page.text.contains("new fan") && !page.text.contains("hidden"), "{}", page.text);
    let request = Request::get("/controls").header("accept", "text/html");
    let request = request.header("authorization", "Bearer reader-token");
    let page = serving.send(request.body(Body::empty()).unwrap()).await;
    assert!(page.text.contains("&lt;b&gt;loud&lt;/b&gt;"), "{}", page.text);
}
