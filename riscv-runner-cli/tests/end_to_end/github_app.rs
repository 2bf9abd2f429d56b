//! A GitHub App from a manifest: the test is the browser, the double is GitHub.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use riscv_runner_sim::doubles::github::{self, GithubDouble, TEST_APP_KEY_PKCS1};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::PATIENCE;

const NAME: &str = "RISC-V boards";

fn rrctl(folder: &TempDir, github: &GithubDouble, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rrctl"));
    command.args(["github-app"]).args(arguments);
    command.args(["--kind", "organization", "--name", NAME, "--url", "https://hooks.example.org/"]);
    command.current_dir(folder.path()).env_clear().env("RRCTL_GITHUB__API_URL", github.url());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The address of the page, from the first line that it says.
async fn page(child: &mut Child) -> String {
    let mut stderr = BufReader::new(child.stderr.as_mut().unwrap());
    let mut line = String::new();
    timeout(PATIENCE, stderr.read_line(&mut line)).await.unwrap().unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:"));
    url.unwrap_or_else(|| panic!("no address in {line:?}")).trim_end_matches('/').to_owned()
}

/// What stands between two texts.
fn between(text: &str, before: &str, after: &str) -> String {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before} is not in {text}"));
    rest.split_once(after).unwrap().0.replace("&quot;", "\"").replace("&amp;", "&")
}

async fn get(url: &str) -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_made_and_its_secrets_are_in_files_of_their_owner() {
    let github = GithubDouble::start(github::Config::default()).await.unwrap();
    let folder = TempDir::new().unwrap();
    let mut child =
        rrctl(&folder, &github, &["create", "--owner", "acme", "--out", "secrets"]).spawn().unwrap();
    let url = page(&mut child).await;

    let (status, html) = get(&url).await;
    assert_eq!(status, 200);
    let action = between(&html, "form action=\"", "\"");
    let (confirm, state) = action.split_once("?state=").unwrap();
    assert_eq!(confirm, format!("{}/organizations/acme/settings/apps/new", github.url()));
    let manifest: Value = serde_json::from_str(&between(&html, "name=\"manifest\" value=\"", "\">")).unwrap();
    assert_eq!(manifest["default_permissions"]["organization_self_hosted_runners"], "write");
    assert_eq!(manifest["default_events"], serde_json::json!(["workflow_job"]));
    assert_eq!(manifest["hook_attributes"]["url"], "https://hooks.example.org/");
    assert_eq!(manifest["setup_url"], "https://hooks.example.org/setup/org");
    assert_eq!(manifest["redirect_url"], format!("{url}/created"));

    let code = github.confirm_manifest(manifest);
    let wrong = "0".repeat(32);
    assert_eq!(get(&format!("{url}/created?code={code}&state={wrong}")).await.0, 400, "a forged return");
    assert_eq!(get(&format!("{url}/created?code=..%2Fapp&state={state}")).await.0, 400);
    let (status, html) = get(&format!("{url}/created?code={code}&state={state}")).await;
    assert!(status == 200 && html.contains("GitHub created the App"), "{status} {html}");

    let ended = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
    assert!(ended.status.success(), "{stderr}");
    let folder = folder.path().canonicalize().unwrap().join("secrets");
    for (name, content) in [
        ("organization-app.pem", TEST_APP_KEY_PKCS1),
        ("organization-webhook.secret", "webhook-secret-of-the-double"),
    ] {
        let path = folder.join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        assert!(stdout.contains(path.to_str().unwrap()), "{stdout}");
        assert!(!stdout.contains(content) && !stderr.contains(content), "secrets are in files alone");
    }
    let snippet: toml::Table = stdout.parse().unwrap();
    assert_eq!(snippet["github"]["apps"][0]["kind"].as_str(), Some("organization"));
    assert!(stderr.contains("/installations/new"), "{stderr}");
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_of_github_when_its_answer_could_not_be_kept() {
    let github = GithubDouble::start(github::Config::default()).await.unwrap();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("organization-app.pem"), "an older key").unwrap();
    let refused = rrctl(&folder, &github, &["create"]).output().await.unwrap();
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr.contains("already exists") && stderr.contains("hint:"), "{stderr}");
    let open = rrctl(&folder, &github, &["create", "--listen", "0.0.0.0:0"]).output().await.unwrap();
    assert_eq!(open.status.code(), Some(2), "the page is for this machine alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_github_does_not_know_is_said_so() {
    let github = GithubDouble::start(github::Config::default()).await.unwrap();
    let folder = TempDir::new().unwrap();
    let mut child = rrctl(&folder, &github, &["create"]).spawn().unwrap();
    let url = page(&mut child).await;
    let state = between(&get(&url).await.1, "?state=", "\"");
    assert_eq!(get(&format!("{url}/created?code=stale&state={state}")).await.0, 200);
    let mut stderr = String::new();
    timeout(PATIENCE, child.stderr.take().unwrap().read_to_string(&mut stderr)).await.unwrap().unwrap();
    assert_eq!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code(), Some(1));
    assert!(stderr.contains("no longer knows the code"), "{stderr}");
}

#[tokio::test]
async fn the_manifest_can_be_had_by_itself() {
    let github = GithubDouble::start(github::Config::default()).await.unwrap();
    let folder = TempDir::new().unwrap();
    let printed = rrctl(&folder, &github, &["manifest"]).output().await.unwrap();
    let manifest: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(manifest["name"], NAME);
    assert_eq!(manifest["public"], true);
    assert!(manifest["redirect_url"].is_null());
}

/// Webhooks and pages have names of their own where each role is a process of its own.
#[tokio::test]
async fn people_are_led_to_where_the_pages_are() {
    let github = GithubDouble::start(github::Config::default()).await.unwrap();
    let folder = TempDir::new().unwrap();
    let arguments = ["manifest", "--pages-url", "https://boards.example.org/"];
    let printed = rrctl(&folder, &github, &arguments).output().await.unwrap();
    let manifest: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(manifest["setup_url"], "https://boards.example.org/setup/org");
    assert_eq!(manifest["url"], "https://boards.example.org");
    assert_eq!(manifest["hook_attributes"]["url"], "https://hooks.example.org/");
}
