//! `rrctl check` against a GitHub that checks what it is asked.

use insta::assert_snapshot;
use riscv_runner_core::entity::EntityKind;
use riscv_runner_sim::doubles::github::{
    Config, GithubDouble, ORGANIZATION_APP, PERSONAL_APP, TEST_APP_KEY_PKCS1,
};
use serde_json::Value;

use crate::run::Folder;

/// A folder with both Apps' keys, and a GitHub with an organization that installed the one.
async fn stage() -> (Folder, GithubDouble, i64) {
    let github = GithubDouble::start(Config::default()).await.unwrap();
    github.add_account("acme", EntityKind::Organization);
    github.add_repo("acme/widget", false);
    github.add_repo("acme/vault", true);
    let installation = github.install(ORGANIZATION_APP, "acme");
    let folder = Folder::with_fixture("routes.toml");
    let mut text = std::fs::read_to_string(folder.path().join("rrctl.toml")).unwrap();
    text.push_str(&format!("\n[github]\napi_url = \"{}\"\n", github.url()));
    for (kind, id) in [("organization", ORGANIZATION_APP), ("user", PERSONAL_APP)] {
        let app =
            format!("[[github.apps]]\nkind = \"{kind}\"\napp_id = {id}\nprivate_key_file = \"app.pem\"\n");
        text.push_str(&app);
    }
    folder.write("rrctl.toml", &text);
    folder.write("app.pem", TEST_APP_KEY_PKCS1);
    (folder, github, installation)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_in_order_is_told_so() {
    let (folder, github, _) = stage().await;
    assert_snapshot!(folder.rrctl(&["check", "acme/widget", "--labels", "riscv,fast"]));
    let private = folder.rrctl_out(&["check", "https://github.com/acme/vault", "--format", "json"]);
    let private: Value = serde_json::from_str(&private).unwrap();
    assert_eq!((&private["clear"], &private["repo"]), (&true.into(), &"acme/vault".into()));
    assert_eq!(github.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_fails_with_what_to_do() {
    let (folder, github, installation) = stage().await;
    github.set_permissions(installation, &[("metadata", "read"), ("actions", "read")]);
    github.choose(installation, &["acme/other"]);
    assert_snapshot!(folder.rrctl(&["check", "acme/widget", "--labels", "risc-v"]));
    github.add_account("ada", EntityKind::User);
    github.add_repo("ada/engine", false);
    github.install(ORGANIZATION_APP, "ada");
    assert_snapshot!(folder.rrctl(&["check", "ada/engine"]));
    assert_snapshot!(folder.rrctl(&["check", "nobody/nothing"]));
    let json = folder.rrctl(&["check", "nobody/nothing", "--format", "json"]);
    assert!(json.starts_with("exit: 1\n") && json.contains("\"clear\": false"), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_named() {
    let (folder, github, _) = stage().await;
    let usage = folder.rrctl(&["check", "acme"]);
    assert!(usage.starts_with("exit: 2\n") && usage.contains("owner/name"), "{usage}");
    assert!(folder.rrctl(&["check", "acme/widget", "--labels", " "]).starts_with("exit: 2\n"));
    drop(github);
    let down = folder.rrctl(&["check", "acme/widget"]);
    assert!(down.starts_with("exit: 1\n") && down.contains("GitHub cannot be reached"), "{down}");
    let keyless = Folder::with_fixture("routes.toml").rrctl(&["check", "acme/widget"]);
    assert!(keyless.starts_with("exit: 2\n") && keyless.contains("private_key_file"), "{keyless}");
}
