//! Every request that the adapter sends, judged by GitHub's own description of its API.

use std::{collections::BTreeSet, time::Duration};

use riscv_runner_core::{
    entity::EntityKind,
    ids::{JobId, RepoName, RunId},
    ports::{Forge as _, Inspector as _, JobRef, Platform as _, RepoRef, RunRef},
};
use riscv_runner_github::Endpoint;
use riscv_runner_sim::doubles::github::{NewJob, Recorded};
use serde_json::Value;

use crate::{published::api_description, setting::Setting};

#[tokio::test]
async fn every_request_is_as_github_describes_it() {
    let t = Setting::new().await;
    use_everything(&t).await;
    let description = api_description();
    let requests = t.double.requests();
    let used: BTreeSet<_> = requests.iter().map(|request| request.template.as_str()).collect();
    let known: BTreeSet<_> = Endpoint::ALL.iter().map(|endpoint| endpoint.template()).collect();
    assert_eq!(used, known, "the test uses every operation");
    for request in &requests {
        judge(description, request);
    }
    t.assert_lawful();
}

async fn use_everything(t: &Setting) {
    let repo = RepoName::new("Acme/widget").unwrap();
    let job = t.double.queue(&NewJob::new("Acme/widget", &["a"]));
    let run = t.double.job(job).unwrap().run;
    let (installation, app) = (t.org.installation, EntityKind::Organization);
    for scope in [&t.org, &t.person] {
        let minted = t.mint(scope, "rise-riscv-runner-a").await.unwrap();
        t.forge.runners(scope).await.unwrap();
        t.forge.delete_runner(&t.proof(), scope, minted.runner).await.unwrap();
    }
    let job_ref = JobRef { installation, app, repo: repo.clone(), job: JobId::new(job).unwrap() };
    t.forge.job(&job_ref).await.unwrap();
    let repo_ref = RepoRef { installation, app, repo: repo.clone() };
    t.forge.active_runs(&repo_ref).await.unwrap();
    let run_ref = RunRef { installation, app, repo, run: RunId::new(run).unwrap() };
    t.forge.run_jobs(&run_ref).await.unwrap();
    t.forge.run_conclusion(&run_ref).await.unwrap();
    t.double.lose(&t.double.webhook(job, "queued").unwrap());
    let since = t.clock.now().checked_sub(Duration::from_secs(60)).unwrap();
    let lost = t.forge.hook_deliveries(app, since).await.unwrap().remove(0);
    t.forge.redeliver(&t.proof(), app, lost.id).await.unwrap();
    t.forge.app(app).await.unwrap();
    t.forge.installation(app, installation).await.unwrap();
    for name in ["Acme/widget", "ada/engine"] {
        t.inspector.repository(&RepoName::new(name).unwrap()).await.unwrap();
    }
}

fn judge(description: &Value, request: &Recorded) {
    let what = &request.template;
    let (method, path) = what.split_once(' ').unwrap();
    let operation = &description["paths"][path][method.to_lowercase()];
    assert!(operation.is_object(), "{what} is not in GitHub's description");
    let allowed: BTreeSet<_> = parameters(description, operation);
    for (name, _) in &request.query {
        assert!(allowed.contains(name.as_str()), "{what} has no parameter {name}, but {allowed:?}");
    }
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    match &request.body {
        Some(body) => {
            assert!(schema.is_object(), "{what} takes no body");
            conforms(body, schema, what);
        }
        None => assert_ne!(operation["requestBody"]["required"], true, "{what} needs a body"),
    }
}

fn parameters<'a>(description: &'a Value, operation: &'a Value) -> BTreeSet<&'a str> {
    let listed = operation["parameters"].as_array().into_iter().flatten();
    let resolved = listed.map(|parameter| match parameter["$ref"].as_str() {
        Some(reference) => description.pointer(reference.trim_start_matches('#')).unwrap(),
        None => parameter,
    });
    let of_query = resolved.filter(|parameter| parameter["in"] == "query");
    of_query.map(|parameter| parameter["name"].as_str().unwrap()).collect()
}

/// The part of JSON Schema that GitHub's description of these bodies uses.
fn conforms(value: &Value, schema: &Value, at: &str) {
    let of_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        other => panic!("{at}: this check does not know the type {other:?}"),
    };
    assert!(of_type, "{at}: {value} is not of type {}", schema["type"]);
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{at}: {value} is none of {allowed:?}");
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(value.get(name).is_some(), "{at}: {name} is missing");
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let known = &schema["properties"][name];
        assert!(known.is_object(), "{at}: GitHub knows no property {name}");
        conforms(inner, known, &format!("{at}.{name}"));
    }
    if let Some(items) = value.as_array() {
        let count = items.len() as u64;
        assert!(schema["minItems"].as_u64().is_none_or(|least| least <= count), "{at}: too few");
        assert!(schema["maxItems"].as_u64().is_none_or(|most| count <= most), "{at}: too many");
        for item in items {
            conforms(item, &schema["items"], at);
        }
    }
}

#[test]
fn the_check_refuses_what_github_would_refuse() {
    let description = api_description();
    let path = "/orgs/{org}/actions/runners/generate-jitconfig";
    let schema = &description["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
    let refused = |body: Value| std::panic::catch_unwind(|| conforms(&body, schema, "body")).is_err();
    let good = serde_json::json!({ "name": "a", "runner_group_id": 1, "labels": ["x"] });
    assert!(!refused(good.clone()));
    for (key, bad) in [
        ("name", Value::Null),
        ("runner_group_id", "1".into()),
        ("labels", Value::Array(Vec::new())),
        ("novelty", 1.into()),
    ] {
        let mut body = good.clone();
        body[key] = bad;
        assert!(refused(body.clone()), "{body}");
    }
}
