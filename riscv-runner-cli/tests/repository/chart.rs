//! The Helm chart, rendered by Helm itself where it is installed, or by Helm's code as scripts/test installs it.

use std::{
    collections::BTreeSet,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use riscv_runner_k8s::RIGHTS;
use serde_json::Value;

use crate::{
    manifests::{assert_hardened, documents, problems},
    root,
    secrets::{mounted, named, of_webhooks},
};

/// Renders the chart with these values; `None` where neither Helm nor its code is installed.
fn render(values: &str) -> Option<Result<Vec<Value>, String>> {
    let chart = root().join("deploy/helm/rrctl");
    let helm = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|folder| folder.join("helm")).find(|helm| helm.is_file())
    });
    let python = root().join(".deps/helm/bin/python");
    let mut command = match helm {
        Some(helm) => {
            let mut command = Command::new(helm);
            command.args(["template", "boards"]).arg(chart).args(["--namespace", "rrctl", "--values", "-"]);
            command
        }
        None if python.is_file() => {
            let mut command = Command::new(python);
            command.arg(root().join("scripts/render-chart")).arg(chart).args(["boards", "rrctl"]);
            command
        }
        None => return None,
    };
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap();
    child.stdin.take().unwrap().write_all(values.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if output.status.success() {
        Ok(documents(&String::from_utf8(output.stdout).unwrap()))
    } else {
        Err(stderr)
    })
}

/// Where nothing is rendered, scripts/test says so: what a passing test prints is hidden.
#[expect(clippy::print_stderr, reason = "a test that cannot be made says why")]
fn rendered(values: &str) -> Option<Result<Vec<Value>, String>> {
    let result = render(values);
    if result.is_none() {
        eprintln!(
            "the chart was not rendered: helm is not installed, and scripts/test has not installed its code"
        );
    }
    result
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

#[test]
fn what_the_chart_makes_is_what_kubernetes_describes() {
    let everything = "ingress: {enabled: true, className: nginx, tlsSecret: tls, annotations: {a: b}}\n\
                      serviceMonitor: {enabled: true, labels: {release: prometheus}, bearerTokenKey: trace.token}\n\
                      image: {repository: example.org/rrctl, digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000', pullSecrets: [registry]}\n\
                      scheduler: {replicas: 3, affinity: {podAntiAffinity: {}}, extraEnv: [{name: RRCTL_LOG, value: debug}], tolerations: [{key: a, operator: Exists}], nodeSelector: {disk: ssd}}\n\
                      webhook: {extraEnv: [{name: RRCTL_LOG, value: debug}]}\n\
                      workers: {namespace: runners}\n";
    for values in ["{}", everything] {
        let Some(objects) = rendered(values) else { return };
        let objects = objects.unwrap();
        for object in &objects {
            assert_eq!(
                problems(object),
                Vec::<String>::new(),
                "{}: {}",
                object["kind"],
                object["metadata"]["name"]
            );
        }
        assert_eq!(of_kind(&objects, "Deployment").count(), 2);
        of_kind(&objects, "Deployment").for_each(assert_hardened);
        assert_eq!(of_kind(&objects, "PodDisruptionBudget").count(), 2);
    }
}

fn deployment<'a>(objects: &'a [Value], role: &str) -> &'a Value {
    let name = format!("boards-{role}");
    of_kind(objects, "Deployment").find(|found| found["metadata"]["name"] == name.as_str()).unwrap()
}

#[test]
fn webhooks_of_the_chart_get_the_secrets_that_they_read() {
    let Some(objects) = rendered("{}") else { return };
    let objects = objects.unwrap();
    let config = of_kind(&objects, "ConfigMap").next().unwrap()["data"]["rrctl.toml"].as_str().unwrap();
    let config: toml::Table = config.parse().unwrap();
    let given = mounted(deployment(&objects, "webhook")).unwrap();
    assert_eq!(given, named(&config).into_iter().filter(of_webhooks).map(|(_, file)| file).collect());
    assert_eq!(mounted(deployment(&objects, "scheduler")), None, "the scheduler reads everything");
    let more = "webhook: {secretKeys: [postgres.url, personal-webhook.secret]}";
    let objects = rendered(more).unwrap().unwrap();
    let given = mounted(deployment(&objects, "webhook")).unwrap();
    assert_eq!(given, ["personal-webhook.secret".to_owned(), "postgres.url".to_owned()].into());
}

#[test]
fn behind_the_ingress_of_the_chart_each_visitor_is_counted() {
    for (values, expected) in [("{}", None), ("ingress: {enabled: true}", Some("true"))] {
        let Some(objects) = rendered(values) else { return };
        let objects = objects.unwrap();
        for role in ["webhook", "scheduler"] {
            let env = &deployment(&objects, role)["spec"]["template"]["spec"]["containers"][0]["env"];
            let set = env.as_array().into_iter().flatten();
            let mut proxy = set.filter(|variable| variable["name"] == "RRCTL_SERVER__BEHIND_PROXY");
            assert_eq!(proxy.next().and_then(|variable| variable["value"].as_str()), expected, "{role}");
        }
    }
}

#[test]
fn the_chart_grants_the_rights_and_no_more() {
    for (values, advertises) in [("{}", true), ("rbac: {advertiseBoards: false}", false)] {
        let Some(objects) = rendered(values) else { return };
        let objects = objects.unwrap();
        let mut granted = BTreeSet::new();
        for (kind, namespaced) in [("Role", true), ("ClusterRole", false)] {
            for rule in of_kind(&objects, kind).flat_map(|role| role["rules"].as_array().unwrap()) {
                let texts = |field: &str| {
                    let items = rule[field].as_array().unwrap().iter();
                    items.map(|item| item.as_str().unwrap().to_owned()).collect::<Vec<_>>()
                };
                for resource in texts("resources") {
                    granted
                        .extend(texts("verbs").into_iter().map(|verb| (verb, resource.clone(), namespaced)));
                }
            }
        }
        let wanted = RIGHTS.iter().filter(|right| advertises || right.resource != "nodes/status");
        let wanted: BTreeSet<_> = wanted
            .map(|right| (right.verb.to_owned(), right.resource.to_owned(), right.namespaced))
            .collect();
        assert_eq!(granted, wanted);
    }
}

#[test]
fn values_that_the_chart_does_not_know_are_refused() {
    for bad in [
        "webhok: {replicas: 3}",
        "webhook: {replicas: 0}",
        "image: {digest: latest}",
        "service: {port: many}",
        "webhook: {secretKeys: []}",
    ] {
        let Some(outcome) = rendered(bad) else { return };
        assert!(outcome.is_err(), "{bad}");
    }
}

#[test]
fn the_configuration_of_the_chart_is_accepted() {
    let Some(objects) = rendered("{}") else { return };
    let objects = objects.unwrap();
    let map = of_kind(&objects, "ConfigMap").next().unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let path: PathBuf = folder.path().join("rrctl.toml");
    std::fs::write(&path, map["data"]["rrctl.toml"].as_str().unwrap()).unwrap();
    let check = Command::new(env!("CARGO_BIN_EXE_rrctl"))
        .args(["config", "check", "--config"])
        .arg(path)
        .env_clear()
        .output();
    let check = check.unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}
