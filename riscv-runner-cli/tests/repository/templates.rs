//! The configurations that the documentation recommends.

use std::{collections::BTreeMap, fs};

use riscv_runner_core::{
    ids::{EntityId, ImageRef, InstallationId, Login, PoolName, WorkerName},
    labels::LabelSet,
    ports::PodRequest,
    scope::{ScopeRef, Target},
};
use riscv_runner_k8s::{PodTemplate, PoolTemplate, runner_pod};
use serde::Deserialize;

use crate::read;

/// The first fenced TOML block of a document.
fn block(document: &str) -> String {
    let text = read(document);
    let (_, rest) = text.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_unprivileged_pool_of_the_security_page_has_nothing_privileged() {
    let toml: toml::Table = block("docs/security.md").parse().unwrap();
    let pool = toml["pools"][0].as_table().unwrap();
    let template = PodTemplate::deserialize(pool["pod"].clone()).unwrap();
    assert_eq!(template.problems(), []);
    let node_selector = BTreeMap::<String, String>::deserialize(pool["node_selector"].clone()).unwrap();
    let request = PodRequest {
        name: WorkerName::new("rise-riscv-runner-abc").unwrap(),
        pool: PoolName::new(pool["name"].as_str().unwrap()).unwrap(),
        image: ImageRef::new(pool["image"].as_str().unwrap()).unwrap(),
        scope: ScopeRef {
            installation: InstallationId::new(1).unwrap(),
            entity: EntityId::new(2).unwrap(),
            login: Login::new("acme").unwrap(),
            target: Target::Organization,
        },
        labels: LabelSet::new(["a"]).unwrap(),
        avoid: [].into(),
    };
    let pod = serde_json::to_value(runner_pod(&request, &PoolTemplate { node_selector, template })).unwrap();
    let spec = &pod["spec"];
    // What the standard `baseline` of Kubernetes forbids.
    assert!(spec["hostNetwork"].is_null() && spec["hostPID"].is_null() && spec["hostIPC"].is_null());
    assert_eq!(spec["automountServiceAccountToken"], false);
    for container in spec["containers"].as_array().unwrap() {
        assert_eq!(container["securityContext"]["privileged"], false);
        assert!(container["securityContext"]["capabilities"].is_null() && container["ports"].is_null());
    }
    assert!(spec["volumes"].as_array().unwrap().iter().all(|volume| volume["hostPath"].is_null()));
}

#[test]
fn it_is_accepted_as_a_configuration() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("rrctl.toml");
    fs::write(&path, block("docs/security.md")).unwrap();
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_rrctl"))
        .args(["config", "show", "--config"])
        .arg(path)
        .env_clear()
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[test]
fn the_configuration_of_the_quickstart_is_all_that_is_needed() {
    let folder = tempfile::TempDir::new().unwrap();
    fs::write(folder.path().join("rrctl.toml"), block("docs/quickstart.md")).unwrap();
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_rrctl"))
        .args(["config", "check"])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    let (told, warned) = (String::from_utf8_lossy(&check.stdout), String::from_utf8_lossy(&check.stderr));
    // The two files that `rrctl github-app create` writes are not on this machine.
    assert!(told.contains("ok (1 pool, 1 route, 2 warnings)"), "{told}{warned}");
    for file in ["organization-webhook.secret", "organization-app.pem"] {
        assert!(warned.contains(&format!("/etc/rrctl/{file} is not there")), "{warned}");
    }
}
