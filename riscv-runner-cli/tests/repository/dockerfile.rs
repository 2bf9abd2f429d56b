//! The Dockerfile and the compose file, as far as they can be judged without building an image.

use serde_json::Value;

use crate::{manifests::documents, read, root};

/// Instructions with their arguments, continuation lines joined.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let whole = joined.lines().map(str::trim).filter(|line| !line.is_empty());
    whole
        .map(|line| {
            let (name, rest) = line.split_once(' ').unwrap();
            (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

#[test]
fn the_image_holds_a_static_binary_and_runs_as_nobody() {
    let all = instructions(&read("deploy/Dockerfile"));
    let named = |name: &str| -> Vec<&str> {
        all.iter().filter(|(known, _)| known == name).map(|(_, rest)| rest.as_str()).collect()
    };
    let stages: Vec<_> = named("FROM");
    assert_eq!(stages.len(), 2);
    assert!(stages[0].starts_with("--platform=$BUILDPLATFORM rust:"), "{}", stages[0]);
    assert_eq!(stages[1], "scratch");
    assert_eq!(named("USER"), ["65532:65532"]);
    assert_eq!(named("ENTRYPOINT"), ["[\"/usr/local/bin/rrctl\"]"]);
    assert_eq!(named("ADD").len(), 0, "COPY says what it does");
    let last_from = all.iter().rposition(|(name, _)| name == "FROM").unwrap();
    assert!(all[last_from..].iter().all(|(name, _)| name != "RUN"), "nothing can run in an empty image");
    let known = [
        "FROM",
        "ARG",
        "WORKDIR",
        "RUN",
        "COPY",
        "LABEL",
        "USER",
        "EXPOSE",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    ];
    assert!(all.iter().all(|(name, _)| known.contains(&name.as_str())), "{all:?}");
    let run: String = named("RUN").concat();
    for target in ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "riscv64gc-unknown-linux-musl"]
    {
        assert!(run.contains(target), "{target}");
    }
    assert!(run.contains("cargo build --release --locked") && run.contains("+crt-static"));
}

#[test]
fn the_image_is_built_with_the_rust_that_the_workspace_states() {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let stated = workspace["workspace"]["package"]["rust-version"].as_str().unwrap().to_owned();
    assert!(read("deploy/Dockerfile").contains(&format!("ARG RUST_VERSION={stated}\n")), "{stated}");
}

#[test]
fn the_build_sees_no_secret_and_every_crate() {
    let ignored = read(".dockerignore");
    let rules: Vec<_> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(rules[0], "*", "what is not named is left out");
    for needed in ["!Cargo.toml", "!Cargo.lock", "!LICENSE-*", "!riscv-runner-*"] {
        assert!(rules.contains(&needed), "{needed}");
    }
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    for member in workspace["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        let is_seen = member.starts_with("riscv-runner-") || rules.contains(&format!("!{member}").as_str());
        assert!(is_seen, "{member} is not copied into the build");
    }
}

#[test]
fn compose_runs_it_without_rights_and_with_secrets_as_files() {
    let compose = documents(&read("deploy/compose.yaml")).remove(0);
    let rrctl = &compose["services"]["rrctl"];
    assert_eq!(rrctl["read_only"], true);
    assert_eq!(rrctl["cap_drop"][0], "ALL");
    assert_eq!(rrctl["user"], "65532:65532");
    assert_eq!(rrctl["security_opt"][0], "no-new-privileges:true");
    assert!(
        root()
            .join("deploy")
            .join(rrctl["build"]["context"].as_str().unwrap())
            .join(rrctl["build"]["dockerfile"].as_str().unwrap())
            .is_file()
    );
    for (_, service) in compose["services"].as_object().unwrap() {
        for secret in service["secrets"].as_array().unwrap() {
            assert!(compose["secrets"][secret.as_str().unwrap()]["file"].is_string(), "{secret} is a file");
        }
        for (name, value) in service["environment"].as_object().unwrap() {
            let secret = name.contains("PASSWORD") || name.contains("SECRET") || name.contains("URL");
            let is_file =
                |value: &Value| value.as_str().is_some_and(|text| text.starts_with("/run/secrets/"));
            assert!(!secret || is_file(value), "{name}");
        }
    }
    assert_eq!(compose["networks"]["database"]["internal"], true);
    assert_eq!(rrctl["environment"]["RRCTL_SERVER__BEHIND_PROXY"], "true", "its port is for a proxy");
}
