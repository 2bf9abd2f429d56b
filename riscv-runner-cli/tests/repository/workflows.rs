//! The hosted CI: pinned actions, least permissions, and `.ci/run` as the one list of checks.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{manifests::documents, read, root};

fn workflows() -> BTreeMap<String, (String, Value)> {
    let files =
        std::fs::read_dir(root().join(".github/workflows")).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = read(&format!(".github/workflows/{name}"));
            let parsed = documents(&text).remove(0);
            (name, (text, parsed))
        })
        .collect()
}

fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().unwrap().iter()
}

fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().unwrap()
}

#[test]
fn actions_are_pinned_to_commits_and_say_their_version() {
    let mut pinned = 0;
    for (name, (text, _)) in workflows() {
        for line in text.lines().filter(|line| line.contains("uses:")) {
            let (_, reference) = line.split_once('@').unwrap_or_else(|| panic!("{name}: {line}"));
            let (sha, version) = reference.split_once(" # v").unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(sha.len() == 40 && sha.bytes().all(|b| b.is_ascii_hexdigit()), "{name}: {line}");
            assert!(version.starts_with(|c: char| c.is_ascii_digit()));
            pinned += 1;
        }
    }
    assert!(pinned > 5);
}

#[test]
fn permissions_are_the_least() {
    for (name, (_, workflow)) in workflows() {
        let top =
            workflow["permissions"].as_object().unwrap_or_else(|| panic!("{name} states its permissions"));
        assert!(top.values().all(|right| right == "read"), "{name}: {top:?}");
        for (job, value) in jobs(&workflow) {
            let writes =
                value["permissions"].as_object().is_some_and(|rights| rights.values().any(|r| r == "write"));
            assert!(!writes || (name == "release.yml" && job == "release"), "{name}: {job}");
            assert!(value["timeout-minutes"].is_i64(), "{name}: {job} ends");
        }
    }
}

/// Whoever may publish runs nothing that somebody else can change: it is built elsewhere.
#[test]
fn what_may_publish_builds_nothing() {
    let all = workflows();
    let of_release = &all["release.yml"].1["jobs"];
    for step in steps(&of_release["release"]) {
        let (uses, script) = (step["uses"].as_str(), step["run"].as_str().unwrap_or_default());
        assert!(uses.is_none_or(|uses| uses.starts_with("actions/")), "{uses:?}");
        assert!(
            !uses.is_some_and(|uses| uses.starts_with("actions/checkout@")),
            "no script of the repository"
        );
        for builder in ["cargo ", "docker ", "pip ", "npm ", "curl ", "./"] {
            assert!(!script.contains(builder), "{builder} runs with the rights to publish: {script}");
        }
    }
    assert_eq!(of_release["build"]["permissions"], serde_json::json!({"contents": "read"}));
    let handed = |job: &str, action: &str| {
        let step = steps(&of_release[job]).iter().find(|step| {
            step["uses"].as_str().is_some_and(|uses| uses.starts_with(&format!("actions/{action}@")))
        });
        step.unwrap_or_else(|| panic!("{job} has no {action}"))["with"]["name"].clone()
    };
    assert_eq!(handed("build", "upload-artifact"), handed("release", "download-artifact"));
}

/// The action that pushes an attestation knows the credentials of Docker's own file alone; skopeo writes another
/// one unless it is told.
#[test]
fn who_pushes_an_attestation_finds_the_credentials() {
    let all = workflows();
    let of_release = steps(&all["release.yml"].1["jobs"]["release"]);
    let pushes = of_release.iter().position(|step| step["with"]["push-to-registry"] == true).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let stand_in = "#!/bin/sh\n[ \"$1\" != login ] || echo login >\"${REGISTRY_AUTH_FILE:-$XDG_RUNTIME_DIR/auth.json}\"\n\
                    [ \"$1\" != copy ] || { grep -q login \"${REGISTRY_AUTH_FILE:-$XDG_RUNTIME_DIR/auth.json}\"; echo x >digest; }\n";
    let skopeo = folder.path().join("skopeo");
    std::fs::write(&skopeo, stand_in).unwrap();
    std::fs::set_permissions(&skopeo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for step in of_release[..pushes].iter().filter_map(|step| step["run"].as_str()) {
        if !step.contains("skopeo") {
            continue;
        }
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut bash = std::process::Command::new("bash");
        bash.args(["-e", "-o", "pipefail", "-c", step]).current_dir(folder.path()).env_clear();
        for name in ["HOME", "XDG_RUNTIME_DIR"] {
            bash.env(name, folder.path());
        }
        bash.envs([("PATH", path.as_str()), ("GITHUB_OUTPUT", "output"), ("GITHUB_REF_NAME", "v1.2.3")]);
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let found = std::fs::read_to_string(folder.path().join(".docker/config.json"));
    assert_eq!(found.unwrap_or_default(), "login\n", "the attestation is refused without it");
}

#[test]
fn tools_are_installed_in_one_version_each() {
    let mut texts: Vec<_> = workflows().into_iter().map(|(name, (text, _))| (name, text)).collect();
    for entry in std::fs::read_dir(root().join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        texts.push((path.display().to_string(), std::fs::read_to_string(path).unwrap()));
    }
    let mut versions = BTreeMap::new();
    for (name, text) in &texts {
        for (_, command) in text.lines().filter_map(|line| line.split_once("install cargo-")) {
            let words: Vec<_> = command.split_whitespace().map(|word| word.trim_matches('"')).collect();
            let [tool, "--version", version, "--locked", ..] = words[..] else {
                panic!("{name}: not `install TOOL --version X.Y.Z --locked`: cargo-{command}");
            };
            assert_eq!(version.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3, "{version}");
            let first = *versions.entry(tool).or_insert(version);
            assert_eq!(first, version, "{name}: cargo-{tool} is {first} elsewhere");
        }
        assert!(!text.contains("install --locked"), "{name}: the version stands before --locked");
    }
    assert!(versions.len() >= 4, "{versions:?}");
}

#[test]
fn checkouts_keep_no_credentials_and_scripts_take_no_text_from_events() {
    for (name, (_, workflow)) in workflows() {
        for (job, value) in jobs(&workflow) {
            for step in steps(value) {
                if step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout@")) {
                    assert_eq!(step["with"]["persist-credentials"], false, "{name}: {job}");
                }
                let script = step["run"].as_str().unwrap_or_default();
                assert!(!script.contains("${{"), "{name}: {job}: expressions belong into env: {script}");
            }
        }
    }
}

#[test]
fn what_is_checked_is_in_one_place() {
    let all = workflows();
    for name in ["ci.yml", "release.yml"] {
        let job = &all[name].1["jobs"]["check"];
        assert!(steps(job).iter().any(|step| step["run"] == ".ci/run"), "{name}");
    }
    for (name, (text, _)) in &all {
        for command in ["cargo fmt", "cargo clippy", "cargo nextest"] {
            assert!(!text.contains(command), "{name}: {command} belongs into scripts/test");
        }
    }
    assert!(read(".ci/run").contains("./scripts/test"));
    let cluster = &all["ci.yml"].1["jobs"]["cluster"];
    assert!(steps(cluster).iter().any(|step| step["env"]["RRCTL_TEST_KUBECONFIG"].is_string()));
    let of_release = &all["release.yml"].1["jobs"];
    assert_eq!(
        (of_release["build"]["needs"].as_str(), of_release["release"]["needs"].as_str()),
        (Some("check"), Some("build"))
    );
}
