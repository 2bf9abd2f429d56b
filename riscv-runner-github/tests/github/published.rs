//! What GitHub publishes to judge clients by: webhook examples and the description of its API.
//!
//! Both come as npm packages that are fetched once, into a folder that is never committed.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
};

use serde_json::Value;

/// The packages in the versions that the tests were written for.
const PACKAGES: [&str; 2] = ["@octokit/webhooks-examples@7.6.1", "@octokit/openapi@23.0.2"];

static FETCHING: Mutex<()> = Mutex::new(());

/// GitHub's examples of webhooks, by event.
pub(crate) fn webhook_examples() -> Vec<(String, Vec<Value>)> {
    let path = match std::env::var_os("RRCTL_TEST_WEBHOOK_EXAMPLES") {
        Some(path) => PathBuf::from(path),
        None => package("webhooks-examples").join("api.github.com/index.json"),
    };
    let Value::Array(events) = read(&path) else { panic!("{} is not a list", path.display()) };
    let examples = events.into_iter().map(|mut event| {
        let name = event["name"].as_str().expect("an event without a name").to_owned();
        let Value::Array(examples) = event["examples"].take() else { panic!("{name} has no examples") };
        (name, examples)
    });
    examples.collect()
}

/// GitHub's description of its REST API (OpenAPI).
pub(crate) fn api_description() -> &'static Value {
    static DESCRIPTION: OnceLock<Value> = OnceLock::new();
    DESCRIPTION.get_or_init(|| {
        let path = match std::env::var_os("RRCTL_TEST_OPENAPI") {
            Some(path) => PathBuf::from(path),
            None => package("openapi").join("generated/api.github.com.json"),
        };
        read(&path)
    })
}

fn package(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in a workspace");
    let deps = root.join(".deps");
    let package = deps.join("node_modules/@octokit").join(name);
    let _one_at_a_time = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
    if !package.join("package.json").exists() {
        fetch(&deps);
    }
    assert!(package.exists(), "{} is missing although npm install succeeded", package.display());
    package
}

fn fetch(deps: &Path) {
    let advice = format!("run: npm install --prefix {} {}", deps.display(), PACKAGES.join(" "));
    std::fs::create_dir_all(deps).expect("the folder for fetched test data");
    let status = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--prefix"])
        .arg(deps)
        .args(PACKAGES)
        .status()
        .unwrap_or_else(|error| {
            panic!("GitHub's examples are missing and npm is not there ({error}); {advice}")
        });
    assert!(status.success(), "GitHub's examples are missing and npm failed ({status}); {advice}");
}

fn read(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
