//! The secrets as each way of deploying hands them out: each process gets what it reads, and one App suffices.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    manifests::{documents, plain},
    read,
};

/// The files that `rrctl github-app create` writes for organizations.
const OF_ORGANIZATIONS: [&str; 2] = ["organization-app.pem", "organization-webhook.secret"];
/// Those for personal accounts.
const OF_PERSONAL_ACCOUNTS: [&str; 2] = ["personal-app.pem", "personal-webhook.secret"];

/// The files that a configuration names below `/run/secrets`, by their keys, without the folder.
pub(crate) fn named(config: &toml::Table) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut open: Vec<_> = config.iter().map(|(key, value)| (key.clone(), value)).collect();
    while let Some((path, value)) = open.pop() {
        if let Some(table) = value.as_table() {
            open.extend(table.iter().map(|(key, value)| (format!("{path}.{key}"), value)));
        } else if let Some(items) = value.as_array() {
            open.extend(items.iter().map(|item| (path.clone(), item)));
        } else if let Some(file) = value.as_str().filter(|text| text.starts_with("/run/secrets/")) {
            found.insert((path, file.rsplit('/').next().unwrap().to_owned()));
        }
    }
    found
}

/// Whether a process that takes webhooks reads the file of this key.
pub(crate) fn of_webhooks((key, _): &(String, String)) -> bool {
    ["store.url_file", "github.webhook_secrets_files", "server.trace_secret_file"].contains(&key.as_str())
}

/// The keys of the Secret that a Deployment's pods get; `None` when they get all.
pub(crate) fn mounted(deployment: &Value) -> Option<BTreeSet<String>> {
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    let secret = &volumes.iter().find(|volume| volume["name"] == "secrets").unwrap()["secret"];
    let items = secret["items"].as_array()?;
    let keys = items.iter().map(|item| {
        assert_eq!(item["key"], item["path"], "the configuration names the file");
        item["key"].as_str().unwrap().to_owned()
    });
    Some(keys.collect())
}

fn shipped() -> BTreeSet<(String, String)> {
    named(&read("deploy/manifests/rrctl.toml").parse().unwrap())
}

fn texts<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
    texts.map(str::to_owned).into()
}

#[test]
fn webhooks_get_the_secrets_that_they_read_and_no_key_of_an_app() {
    let all = plain();
    let of_role = |role: &str| {
        let name = format!("rrctl-{role}");
        let is_it =
            |object: &Value| object["kind"] == "Deployment" && object["metadata"]["name"] == name.as_str();
        mounted(&all.iter().find(|(_, object)| is_it(object)).unwrap().1)
    };
    let read = shipped().into_iter().filter(of_webhooks).map(|(_, file)| file).collect();
    assert_eq!(of_role("webhook"), Some(read));
    assert_eq!(
        of_role("webhook"),
        Some(texts(["postgres.url", "organization-webhook.secret", "trace.token"]))
    );
    assert_eq!(of_role("scheduler"), None, "the scheduler reads everything");
}

#[test]
fn the_secret_is_made_of_the_files_that_the_configuration_names() {
    let wanted: BTreeSet<String> = shipped().into_iter().map(|(_, file)| file).collect();
    for document in ["deploy/manifests/kustomization.yaml", "deploy/README.md"] {
        let text = read(document);
        let given = text.split("--from-file=").skip(1).map(|rest| rest.split_whitespace().next().unwrap());
        assert_eq!(given.map(str::to_owned).collect::<BTreeSet<_>>(), wanted, "{document}");
    }
}

#[test]
fn the_shipped_configuration_counts_each_visitor_of_its_ingress() {
    let config: toml::Table = read("deploy/manifests/rrctl.toml").parse().unwrap();
    assert_eq!(config["server"]["behind_proxy"].as_bool(), Some(true));
}

#[test]
fn compose_and_the_unit_start_with_one_app() {
    let compose = documents(&read("deploy/compose.yaml")).remove(0);
    let given = compose["services"]["rrctl"]["secrets"].as_array().unwrap();
    let given: BTreeSet<_> = given.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let unit = read("deploy/systemd/rrctl.service");
    let loaded = unit.lines().filter_map(|line| line.strip_prefix("LoadCredential="));
    let loaded: BTreeSet<_> = loaded
        .map(|line| {
            let (name, path) = line.split_once(':').unwrap();
            assert_eq!(path, format!("/etc/rrctl/secrets/{name}"));
            name.to_owned()
        })
        .collect();
    let wanted =
        texts(["postgres.url", OF_ORGANIZATIONS[0], OF_ORGANIZATIONS[1], "trace.token", "kubeconfig"]);
    assert_eq!((&given, &loaded), (&wanted, &wanted));
    for file in OF_PERSONAL_ACCOUNTS {
        assert!(unit.contains(&format!("\n#LoadCredential={file}:/etc/rrctl/secrets/{file}\n")), "{file}");
        assert!(
            read("deploy/compose.yaml").contains(&format!("# {file}: {{file: ./secrets/{file}}}")),
            "{file}"
        );
    }
    assert!(read("deploy/compose.yaml").contains("chown 65532:65532"), "rrctl can read files of mode 0600");
}
